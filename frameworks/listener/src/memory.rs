//! Pipes within the process, in place of a socket.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
};

use crate::peer::Peer;

/// How many clients may wait to be accepted, as on a socket.
const BACKLOG: usize = 1024;
/// How much is on its way in each direction before a writer waits, in bytes.
const CAPACITY: usize = 64 * 1024;
/// The first port that a client appears to come from: those that the system hands out.
const FIRST_PORT: u16 = 49152;

/// Where clients are accepted from.
#[derive(Debug)]
pub(crate) struct Pipes {
    waiting: mpsc::Receiver<DuplexStream>,
    next_port: u16,
}

/// Where clients connect to.
#[derive(Debug)]
pub(crate) struct Connector(mpsc::Sender<DuplexStream>);

/// Both ends of a listener.
pub(crate) fn pipes() -> (Connector, Pipes) {
    let (connecting, waiting) = mpsc::channel(BACKLOG);
    (Connector(connecting), Pipes { waiting, next_port: FIRST_PORT })
}

impl Connector {
    /// Waits where the backlog is full, as a client of a socket does.
    pub(crate) async fn connect(&self) -> io::Result<DuplexStream> {
        let (client, server) = duplex(CAPACITY);
        let connected = self.0.send(server).await;
        connected.map(|()| client).map_err(|_| io::ErrorKind::ConnectionRefused.into())
    }
}

impl Pipes {
    /// The next client.
    ///
    /// # Cancel safety
    /// No client is lost.
    pub(crate) async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        match self.waiting.recv().await {
            Some(stream) => Ok((stream, self.peer())),
            // Nobody can connect any more.
            None => std::future::pending().await,
        }
    }

    /// Refuses new clients, and gives those that wait.
    pub(crate) fn accept_waiting(mut self, mut serve: impl FnMut(DuplexStream, Peer)) {
        self.waiting.close();
        while let Ok(stream) = self.waiting.try_recv() {
            let peer = self.peer();
            serve(stream, peer);
        }
    }

    /// Clients are of this machine and told apart, as those of a port are: what depends on that
    /// (limits for each peer, trusted proxies) does the same here.
    fn peer(&mut self) -> Peer {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
        Peer::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}
