//! Taking an address before it is opened.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
};

use polyport_bootstrap::{Inherited, SocketAddress, framework::Endpoint};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::{
    io::DuplexStream,
    net::{TcpListener, TcpSocket, TcpStream},
};

#[cfg(unix)]
use crate::unix::{self, Path};
use crate::{BindError, Door, SocketMode, memory::Pipes, peer::Peer};

/// How many connections the system keeps ready for the accept loop.
const BACKLOG: u32 = 1024;

/// A socket that holds its address and does not listen yet: clients are refused, not kept hanging.
#[derive(Debug)]
pub struct BoundListener {
    socket: Socket,
    address: SocketAddress,
}

#[derive(Debug)]
enum Socket {
    /// Does not listen yet.
    Tcp(TcpSocket),
    #[cfg(unix)]
    Unix(UnixSocket, Path),
    Memory(Door),
    /// Listens already, and goes on after this process.
    HandedOver(Acceptor),
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

    /// Takes a host and port as [`bind`](Self::bind) does, or a Unix socket: what a process that
    /// has died has left at the path is removed, what lives there is not. Only those may connect
    /// whom `mode` lets; when it is closed, its file is removed.
    ///
    /// # Errors
    /// Those of `bind`; for a Unix socket if something else is at its path.
    pub async fn bind_to(endpoint: &Endpoint, mode: SocketMode) -> Result<Self, BindError> {
        match endpoint {
            Endpoint::Tcp { host, port } => Self::bind(host, *port).await,
            #[cfg(unix)]
            Endpoint::Unix(path) => {
                let (socket, file) = unix::bind(path, mode)?;
                let address = SocketAddress::Unix(path.clone());
                Ok(Self { socket: Socket::Unix(socket, file), address })
            }
            #[cfg(not(unix))]
            Endpoint::Unix(path) => {
                let _ = mode;
                Err(BindError::path(path, io::ErrorKind::Unsupported.into()))
            }
        }
    }

    /// Takes over a socket that listens already: clients that come wait for the first one that
    /// serves it, this process or its successor.
    ///
    /// # Errors
    /// If the system refuses to tell its address, or to let it be used without blocking.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn take_over(listener: Inherited) -> Result<Self, BindError> {
        let (acceptor, address) = Acceptor::take_over(listener).map_err(BindError::take_over)?;
        Ok(Self { socket: Socket::HandedOver(acceptor), address })
    }

    /// Opens no socket: the clients of this process connect by its door.
    pub(crate) fn in_memory(door: Door) -> Self {
        Self { socket: Socket::Memory(door), address: SocketAddress::Memory }
    }

    /// The address that this socket holds, with its real port.
    #[must_use]
    pub fn address(&self) -> &SocketAddress {
        &self.address
    }

    /// Its IP address and port, where it has one.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.address {
            SocketAddress::Tcp(address) => Some(*address),
            _ => None,
        }
    }

    /// Opens the address: from now on clients connect, and wait until it is
    /// [served](crate::SharedListener::serve).
    ///
    /// # Errors
    /// If another socket has begun to listen on this port since it was bound.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn listen(self) -> Result<Listening, BindError> {
        let Self { socket, address } = self;
        let failed = |error| BindError::listen(&address, error);
        let (acceptor, has_successor) = match socket {
            Socket::HandedOver(acceptor) => (acceptor, true),
            Socket::Tcp(socket) => (Acceptor::Tcp(socket.listen(BACKLOG).map_err(failed)?), false),
            Socket::Memory(door) => {
                let pipes = door.open().ok_or_else(|| failed(io::ErrorKind::AddrInUse.into()))?;
                (Acceptor::Memory(pipes), false)
            }
            #[cfg(unix)]
            Socket::Unix(socket, path) => {
                (Acceptor::Unix(socket.listen(BACKLOG).map_err(failed)?, Some(path)), false)
            }
        };
        Ok(Listening { acceptor, address, has_successor })
    }
}

/// A socket that listens and is not served yet, see [`BoundListener::listen`].
#[derive(Debug)]
pub struct Listening {
    pub(crate) acceptor: Acceptor,
    pub(crate) address: SocketAddress,
    /// Whether clients that wait when the intake stops are somebody else's.
    pub(crate) has_successor: bool,
}

impl Listening {
    /// The address that clients connect to.
    #[must_use]
    pub fn address(&self) -> &SocketAddress {
        &self.address
    }

    /// Its IP address and port, where it has one.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.address {
            SocketAddress::Tcp(address) => Some(*address),
            _ => None,
        }
    }
}

/// What clients are accepted from.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    /// The file is removed with it, unless it is somebody else's.
    #[cfg(unix)]
    Unix(UnixListener, Option<Path>),
    Memory(Pipes),
}

/// A client's socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Memory(DuplexStream),
}

impl Acceptor {
    fn take_over(listener: Inherited) -> io::Result<(Self, SocketAddress)> {
        match listener {
            Inherited::Tcp(listener) => {
                let address = SocketAddress::Tcp(listener.local_addr()?);
                listener.set_nonblocking(true)?;
                Ok((Self::Tcp(TcpListener::from_std(listener)?), address))
            }
            #[cfg(unix)]
            Inherited::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().map(std::path::Path::to_owned).unwrap_or_default();
                listener.set_nonblocking(true)?;
                let listener = UnixListener::from_std(listener)?;
                Ok((Self::Unix(listener, None), SocketAddress::Unix(path)))
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Peer::Tcp(peer)))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Unix))
            }
            Self::Memory(pipes) => {
                let (stream, peer) = pipes.accept().await?;
                Ok((Stream::Memory(stream), peer))
            }
        }
    }

    /// Gives the clients to `serve` that the system has connected already, `most` at most: closing
    /// the socket would reset them.
    pub(crate) fn accept_waiting(
        self,
        most: usize,
        mut serve: impl FnMut(Stream, Peer),
    ) -> io::Result<()> {
        // Asked of the system itself: tokio would only tell what it has been notified of.
        match self {
            Self::Tcp(listener) => {
                let listener = listener.into_std()?;
                for _ in 0..most {
                    let (stream, peer) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    serve(Stream::Tcp(TcpStream::from_std(stream)?), Peer::Tcp(peer));
                }
            }
            #[cfg(unix)]
            Self::Unix(listener, _path) => {
                let listener = listener.into_std()?;
                for _ in 0..most {
                    let (stream, _) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    serve(Stream::Unix(UnixStream::from_std(stream)?), Peer::Unix);
                }
            }
            Self::Memory(pipes) => {
                pipes.accept_waiting(|stream, peer| serve(Stream::Memory(stream), peer));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
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
    Ok(BoundListener { socket: Socket::Tcp(socket), address: SocketAddress::Tcp(local_addr) })
}

/// Whether a name's next address may do: this one is of no interface or protocol of ours.
fn is_foreign(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}

fn no_address(host: &str, port: u16) -> BindError {
    let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    BindError::resolve(format!("{host}:{port}"), error)
}
