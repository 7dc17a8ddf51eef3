//! What the test clients of HTTP, WebSocket and gRPC have in common (feature `testing`): a way in,
//! by socket or by pipe, and patience.

mod tls;

use std::{io, net::SocketAddr};

use polyport_bootstrap::framework::reachable;
pub use polyport_bootstrap::testing::patience::{LIMIT, within};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::Door;

/// A connection of a client.
pub trait ClientIo: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ClientIo for T {}

/// A connection of a client, by whichever way it came about.
pub type BoxClientIo = Box<dyn ClientIo>;

/// The protocol that a client is going to speak, where TLS asks for that (ALPN, RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Door {
    /// The way to a server of whichever process, which speaks no TLS.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        let door = Self::default();
        door.set_local_addr(address);
        door
    }

    /// Connects a client: by a pipe where the listener is on no socket, by TCP otherwise, and with
    /// TLS where it speaks that. The certificate is not verified, since it is known who is at the
    /// other end; the client shows none of its own.
    ///
    /// # Errors
    /// Returns an error where nobody listens (yet, or any more), and where no TLS comes about.
    pub async fn connect(&self, speaks: Speaks) -> io::Result<BoxClientIo> {
        let io = self.connect_plain().await?;
        match self.is_encrypted() {
            true => Ok(Box::new(tls::connect(io, speaks).await?)),
            false => Ok(io),
        }
    }

    async fn connect_plain(&self) -> io::Result<BoxClientIo> {
        if let Some(pipe) = self.pipe().await {
            return Ok(Box::new(pipe?));
        }
        let address = self.local_addr().ok_or(io::ErrorKind::ConnectionRefused)?;
        let stream = TcpStream::connect(reachable(address)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
