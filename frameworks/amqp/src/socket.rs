//! What AMQP is spoken over, whatever it is.

use std::net::{Shutdown, TcpStream as StdTcpStream};

use tokio::{
    io::{AsyncRead, AsyncWrite, split},
    net::TcpStream,
};

use crate::{broker::Node, refusal::NodeError};

/// How bytes come.
pub(crate) type Reading = Box<dyn AsyncRead + Send + Unpin>;
/// How bytes go.
pub(crate) type Writing = Box<dyn AsyncWrite + Send + Unpin>;

/// A stream that is connected, and what cuts it.
pub(crate) struct Socket {
    pub(crate) reading: Reading,
    pub(crate) writing: Writing,
    pub(crate) kill_switch: KillSwitch,
}

impl Socket {
    /// Connects to a node, by TLS where its URL asks for it. Has no limit of its own.
    pub(crate) async fn connect(node: &Node) -> Result<Self, NodeError> {
        let stream = TcpStream::connect((node.host(), node.port())).await?;
        stream.set_nodelay(true)?;
        let stream = stream.into_std()?;
        let kill_switch = KillSwitch(stream.try_clone()?);
        let stream = TcpStream::from_std(stream)?;
        let (reading, writing): (Reading, Writing) = match node.tls() {
            None => {
                let (reading, writing) = stream.into_split();
                (Box::new(reading), Box::new(writing))
            }
            Some(tls) => {
                let (reading, writing) = split(tls.connect(stream, node.host()).await?);
                (Box::new(reading), Box::new(writing))
            }
        };
        Ok(Self { reading, writing, kill_switch })
    }
}

/// Shuts the socket down when it is dropped: the one thing that frees lapin's thread wherever it
/// stands.
#[derive(Debug)]
pub(crate) struct KillSwitch(StdTcpStream);

impl Drop for KillSwitch {
    fn drop(&mut self) {
        // It fails where the peer was faster, which is as good.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
