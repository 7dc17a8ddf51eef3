//! How clients get in.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use tokio::io::DuplexStream;

use crate::memory::{Connector, Pipes, pipes};

/// How clients of this process get into a listener. It may be kept by whoever the listener serves
/// for, since it holds nothing of what is served. Clones are cheap and mean the same door.
#[derive(Debug, Clone, Default)]
pub struct Door(Arc<State>);

#[derive(Debug, Default)]
struct State {
    local_addr: OnceLock<SocketAddr>,
    encrypted: OnceLock<()>,
    /// Where it is on no socket.
    connector: OnceLock<Connector>,
}

impl Door {
    /// The address that clients connect to, the first of several; none before the owner has bound
    /// one, or where it has Unix sockets only, or none at all.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr.get().copied()
    }

    /// Whether clients have to speak TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.encrypted.get().is_some()
    }

    /// The first address counts.
    pub(crate) fn set_local_addr(&self, address: SocketAddr) {
        let _ = self.0.local_addr.set(address);
    }

    pub(crate) fn set_encrypted(&self) {
        let _ = self.0.encrypted.set(());
    }

    /// Lets clients in by pipes; none where they are already.
    pub(crate) fn open(&self) -> Option<Pipes> {
        let (connector, pipes) = pipes();
        self.0.connector.set(connector).ok().map(|()| pipes)
    }

    /// Connects by a pipe; none where the listener is on a socket, or does not listen yet.
    ///
    /// # Errors
    /// Returns an error where it has stopped its intake.
    pub async fn pipe(&self) -> Option<io::Result<DuplexStream>> {
        Some(self.0.connector.get()?.connect().await)
    }
}
