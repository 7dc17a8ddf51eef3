//! Sockets that listen already when the process starts (`sd_listen_fds(3)`): clients that come
//! between two processes wait, and none is refused.
//!
//! `main` takes them before any other thread exists, since the variables that announce them are
//! deleted then, and lays them around its future, as it does with the command line.

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The names of the sockets, separated by colons.
#[cfg(unix)]
const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";

tokio::task_local! {
    static GIVEN: HandedOver;
}

/// The listening sockets that this process was handed, each of which one framework takes. A cheap
/// handle.
#[derive(Clone, Default)]
pub struct HandedOver(Arc<Mutex<Vec<Socket>>>);

struct Socket {
    name: String,
    address: SocketAddress,
    listener: Inherited,
}

/// A socket that listens already.
#[derive(Debug)]
#[non_exhaustive]
pub enum Inherited {
    /// On a port.
    Tcp(TcpListener),
    /// On a path.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketAddress {
    /// A port.
    Tcp(SocketAddr),
    /// A path.
    Unix(PathBuf),
    /// Nowhere: its clients are in the same process (tests).
    Memory,
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Memory => f.write_str("memory"),
        }
    }
}

impl fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().iter().map(|socket| socket.to_string())).finish()
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" ({})", self.name, self.address)
    }
}

impl HandedOver {
    /// Takes the sockets that have the name of a framework's section of the configuration (`http`,
    /// `http_admin`; systemd's `FileDescriptorName=`).
    #[must_use]
    pub fn take_named(&self, section: &str) -> Vec<Inherited> {
        let taken = self.lock().extract_if(.., |socket| socket.name == section).collect::<Vec<_>>();
        taken.into_iter().map(|socket| socket.listener).collect()
    }

    /// Takes a socket that listens on one of these addresses, whatever its name.
    #[must_use]
    pub fn take(&self, addresses: &[SocketAddress]) -> Option<Inherited> {
        let mut sockets = self.lock();
        let index = sockets.iter().position(|socket| addresses.contains(&socket.address))?;
        Some(sockets.remove(index).listener)
    }

    /// Warns of those that nobody has taken.
    pub(crate) fn warn_of_rest(&self) {
        for socket in self.lock().iter() {
            tracing::warn!(
                %socket,
                "no framework takes a socket that was handed over: name it as the framework's \
                 section of the configuration (FileDescriptorName=http), or give the framework \
                 its address"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Socket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `main` with the sockets that this process was handed. To be called before any thread is
/// started: the variables are deleted, so that no child takes the sockets for its own.
pub(crate) fn with<T>(main: impl Future<Output = T>) -> impl Future<Output = T> {
    GIVEN.scope(from_variables(), main)
}

/// The sockets that lie around this task.
pub(crate) fn given() -> HandedOver {
    GIVEN.try_with(Clone::clone).unwrap_or_default()
}

#[cfg(unix)]
fn from_variables() -> HandedOver {
    let names = std::env::var(LISTEN_FDNAMES).unwrap_or_default();
    let mut names = names.split(':');
    let mut handed = listenfd::ListenFd::from_env();
    let sockets = (0..handed.len()).filter_map(|index| {
        let name = names.next().unwrap_or_default().to_owned();
        // One that is of neither kind stays where it is.
        let (listener, address) =
            take_tcp(&mut handed, index).or_else(|| take_unix(&mut handed, index))?;
        Some(Socket { name, address, listener })
    });
    HandedOver(Arc::new(Mutex::new(sockets.collect())))
}

#[cfg(unix)]
fn take_tcp(handed: &mut listenfd::ListenFd, index: usize) -> Option<(Inherited, SocketAddress)> {
    let listener = handed.take_tcp_listener(index).ok()??;
    let address = listener.local_addr().ok()?;
    Some((Inherited::Tcp(listener), SocketAddress::Tcp(address)))
}

#[cfg(unix)]
fn take_unix(handed: &mut listenfd::ListenFd, index: usize) -> Option<(Inherited, SocketAddress)> {
    let listener = handed.take_unix_listener(index).ok()??;
    let path = listener.local_addr().ok()?.as_pathname()?.to_owned();
    Some((Inherited::Unix(listener), SocketAddress::Unix(path)))
}

#[cfg(not(unix))]
fn from_variables() -> HandedOver {
    HandedOver::default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    fn socket(name: &str) -> Socket {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = SocketAddress::Tcp(listener.local_addr().expect("is bound"));
        Socket { name: name.to_owned(), address, listener: Inherited::Tcp(listener) }
    }

    fn address(taken: &Inherited) -> SocketAddress {
        match taken {
            Inherited::Tcp(listener) => {
                SocketAddress::Tcp(listener.local_addr().expect("is bound"))
            }
            Inherited::Unix(_) => unreachable!("none is handed over here"),
        }
    }

    #[test]
    fn sockets_are_taken_by_name_or_by_address_and_once() {
        let (http, other, more) = (socket("http"), socket("polyport.socket"), socket("http"));
        let (first, second, third) =
            (http.address.clone(), other.address.clone(), more.address.clone());
        let handed = HandedOver(Arc::new(Mutex::new(vec![http, other, more])));
        let named = handed.take_named("http");
        assert_eq!(named.iter().map(address).collect::<Vec<_>>(), [first.clone(), third]);
        assert!(handed.take_named("http").is_empty() && handed.take(&[first]).is_none());
        assert_eq!(
            handed.take(std::slice::from_ref(&second)).as_ref().map(address),
            Some(second.clone())
        );
        assert!(handed.take(&[second]).is_none());
    }
}
