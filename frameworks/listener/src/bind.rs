//! Taking a port before it is opened.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket};

use crate::BindError;

/// How many connections the system keeps ready for the accept loop.
const BACKLOG: u32 = 1024;

/// A TCP socket that holds its port and does not listen yet: clients are refused, not kept
/// hanging.
#[derive(Debug)]
pub struct BoundListener {
    socket: Socket,
    local_addr: SocketAddr,
}

#[derive(Debug)]
enum Socket {
    /// Does not listen yet.
    Own(TcpSocket),
    /// Listens already, and goes on after this process.
    HandedOver(TcpListener),
}

impl BoundListener {
    /// Takes `port` (0: a free one) on `host`, an IP address or a name. Of a name's addresses the
    /// first that belongs to this machine is taken.
    ///
    /// # Errors
    /// If the host is not known, or the system refuses: port in use, no permission.
    pub async fn bind(host: &str, port: u16) -> Result<Self, BindError> {
        let addresses = resolve(host, port).await?;
        let mut failure = None;
        for address in addresses {
            match bind_one(address) {
                Ok(bound) => return Ok(bound),
                Err(error) if is_foreign(&error) => failure = Some((address, error)),
                Err(error) => return Err(BindError::bind(address, error)),
            }
        }
        Err(match failure {
            Some((address, error)) => BindError::bind(address, error),
            None => no_address(host, port),
        })
    }

    /// Takes over a socket that listens already: clients that come wait for the first one that
    /// serves it, this process or its successor.
    ///
    /// # Errors
    /// If the system refuses to tell its address, or to let it be used without blocking.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn take_over(listener: std::net::TcpListener) -> Result<Self, BindError> {
        let local_addr = listener.local_addr().map_err(BindError::take_over)?;
        listener.set_nonblocking(true).map_err(BindError::take_over)?;
        let listener = TcpListener::from_std(listener).map_err(BindError::take_over)?;
        Ok(Self { socket: Socket::HandedOver(listener), local_addr })
    }

    /// The address that this socket holds, with its real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Opens the port: from now on clients connect, and wait until it is
    /// [served](crate::SharedListener::serve).
    ///
    /// # Errors
    /// If another socket has begun to listen on this port since it was bound.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn listen(self) -> Result<Listening, BindError> {
        let Self { socket, local_addr } = self;
        match socket {
            Socket::HandedOver(listener) => {
                Ok(Listening { listener, local_addr, has_successor: true })
            }
            Socket::Own(socket) => match socket.listen(BACKLOG) {
                Ok(listener) => Ok(Listening { listener, local_addr, has_successor: false }),
                Err(error) => Err(BindError::listen(local_addr, error)),
            },
        }
    }
}

/// A socket that listens and is not served yet, see [`BoundListener::listen`].
#[derive(Debug)]
pub struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) local_addr: SocketAddr,
    /// Whether clients that wait when the intake stops are somebody else's.
    pub(crate) has_successor: bool,
}

impl Listening {
    /// The address that clients connect to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

/// The addresses that a host, an IP address or a name, has.
///
/// # Errors
/// If the host is not known.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, BindError> {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = literal.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    match tokio::net::lookup_host((host, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(BindError::resolve(format!("{host}:{port}"), error)),
    }
}

fn bind_one(address: SocketAddr) -> io::Result<BoundListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // With it a restarted server need not wait for its old connections to time out; but two
    // sockets that ask for any free port could get the same one.
    socket.set_reuseaddr(address.port() != 0)?;
    socket.bind(address)?;
    let local_addr = socket.local_addr()?;
    Ok(BoundListener { socket: Socket::Own(socket), local_addr })
}

/// Whether a name's next address may do: this one is of no interface or protocol of ours.
fn is_foreign(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}

fn no_address(host: &str, port: u16) -> BindError {
    let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    BindError::resolve(format!("{host}:{port}"), error)
}
