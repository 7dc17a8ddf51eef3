//! The port of a broker, which stays its own while the broker is down.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// A bound address.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    /// Bound without listening: clients are refused, and nobody else gets the port.
    reserved: Mutex<Option<TcpSocket>>,
}

impl Port {
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = bound(address)?;
        let address = socket.local_addr()?;
        Ok(Self { address, reserved: Mutex::new(Some(socket)) })
    }

    /// Listens on the port.
    ///
    /// # Errors
    /// When somebody else listens there.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        let reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner).take();
        reserved.map_or_else(|| bound(self.address), Ok)?.listen(BACKLOG)
    }

    /// Keeps the port after its listener has gone.
    pub(crate) fn reserve(&self) {
        match bound(self.address) {
            Ok(socket) => {
                *self.reserved.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
            }
            Err(error) => {
                tracing::debug!(address = %self.address, %error, "the port cannot be kept");
            }
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of before may linger on the port. Elsewhere the option means something else.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
