//! A port for a process that has to be told one.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port that nobody listens on, and that nobody is given who asks for any free one, as the tests
/// beside this one do; whoever asks for this very one gets it, at least on Linux.
pub(crate) struct FreePort(TcpSocket);

impl FreePort {
    pub(crate) fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("can be made");
        socket.set_reuseaddr(true).expect("is set");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        Self(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("is bound")
    }

    pub(crate) fn number(&self) -> String {
        self.address().port().to_string()
    }
}
