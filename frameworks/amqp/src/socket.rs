//! What AMQP is spoken over, whatever it is.

use std::{
    io,
    net::{Shutdown, TcpStream as StdTcpStream},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, split},
    net::TcpStream,
};

#[cfg(feature = "embedded")]
use crate::pipe;
use crate::{
    broker::{Node, Way},
    refusal::NodeError,
};

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
    /// Connects to a node in its way. Has no limit of its own.
    pub(crate) async fn connect(node: &Node) -> Result<Self, NodeError> {
        match node.way() {
            Way::Tcp => {
                let (stream, kill_switch) = tcp(node).await?;
                let (reading, writing) = stream.into_split();
                Ok(Self::of(reading, writing, kill_switch))
            }
            Way::Tls(tls) => {
                let (stream, kill_switch) = tcp(node).await?;
                let (reading, writing) = split(tls.connect(stream, node.host()).await?);
                Ok(Self::of(reading, writing, kill_switch))
            }
            #[cfg(feature = "embedded")]
            Way::Pipe(pipes) => {
                let (reading, writing, cut) = pipe::open(pipes.connect()?, pipes.pace().clone());
                Ok(Self::of(reading, writing, KillSwitch::Pipe(cut)))
            }
        }
    }

    fn of(
        reading: impl AsyncRead + Send + Unpin + 'static,
        writing: impl AsyncWrite + Send + Unpin + 'static,
        kill_switch: KillSwitch,
    ) -> Self {
        Self { reading: Box::new(reading), writing: Box::new(writing), kill_switch }
    }
}

async fn tcp(node: &Node) -> io::Result<(TcpStream, KillSwitch)> {
    let stream = TcpStream::connect((node.host(), node.port())).await?;
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let kill_switch = KillSwitch::Tcp(stream.try_clone()?);
    Ok((TcpStream::from_std(stream)?, kill_switch))
}

/// Cuts the socket when it is dropped: the one thing that frees lapin's thread wherever it stands.
#[derive(Debug)]
pub(crate) enum KillSwitch {
    Tcp(StdTcpStream),
    #[cfg(feature = "embedded")]
    Pipe(#[allow(dead_code, reason = "it cuts when it is dropped")] pipe::Cut),
}

impl Drop for KillSwitch {
    fn drop(&mut self) {
        match self {
            // It fails where the peer was faster, which is as good.
            Self::Tcp(stream) => drop(stream.shutdown(Shutdown::Both)),
            #[cfg(feature = "embedded")]
            Self::Pipe(_) => {}
        }
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use polyport_amqp_embedded::EmbeddedBroker;
    use tokio::io::{copy_bidirectional, duplex};

    use super::*;
    use crate::{
        broker::{Broker, Pipes},
        connection::Link,
        pace::Pace,
        settings::AmqpSettings,
    };

    #[tokio::test]
    async fn amqp_is_spoken_through_a_pipe_which_can_be_cut() {
        let broker = EmbeddedBroker::start().await.expect("a free port");
        let address = broker.url().rsplit_once('@').expect("credentials").1.to_owned();
        let address = address.trim_end_matches("/%2f").to_owned();
        let pipes = move || {
            let ((near, mut far), address) = (duplex(1024), address.clone());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("it listens");
                copy_bidirectional(&mut far, &mut stream).await
            });
            Ok(near)
        };
        let pipes = Pipes::new(pipes, Pace::keep());
        let piped = Broker::in_process("amqp://in-memory.invalid", pipes);
        let piped = piped.expect("a URL");
        let settings = AmqpSettings::default();
        let link = Link::open(&piped, "test", &settings).await.expect("connects");
        let channel = link.channel().await.expect("a channel");
        drop(link);
        let cut = async {
            while channel.status().connected() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), cut).await.expect("it is cut");
        broker.stop().await;
    }
}
