//! Sockets that listen already when the process starts (`sd_listen_fds(3)`): clients that come
//! between two processes wait, and none is refused.
//!
//! `main` takes them before any other thread exists, since the variables that announce them are
//! deleted then, and lays them around its future, as it does with the command line.

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
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
    address: SocketAddr,
    listener: TcpListener,
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
    /// Takes the socket that has the name of a framework's section of the configuration (`http`,
    /// `http_admin`; systemd's `FileDescriptorName=`), or else one on one of these addresses.
    #[must_use]
    pub fn take(&self, section: &str, addresses: &[SocketAddr]) -> Option<TcpListener> {
        let mut sockets = self.lock();
        let by_name = sockets.iter().position(|socket| socket.name == section);
        let by_address = || sockets.iter().position(|socket| addresses.contains(&socket.address));
        let index = by_name.or_else(by_address)?;
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
        // One that is no TCP socket stays where it is.
        let listener = handed.take_tcp_listener(index).ok()??;
        let address = listener.local_addr().ok()?;
        Some(Socket { name, address, listener })
    });
    HandedOver(Arc::new(Mutex::new(sockets.collect())))
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
        let address = listener.local_addr().expect("is bound");
        Socket { name: name.to_owned(), address, listener }
    }

    #[test]
    fn a_socket_is_taken_by_name_or_else_by_address_and_once() {
        let (http, other) = (socket("http"), socket("polyport.socket"));
        let (first, second) = (http.address, other.address);
        let handed = HandedOver(Arc::new(Mutex::new(vec![http, other])));
        let address = |taken: Option<TcpListener>| taken?.local_addr().ok();
        assert_eq!(address(handed.take("http", &[second])), Some(first));
        assert_eq!(address(handed.take("http", &[first])), None);
        assert_eq!(address(handed.take("grpc", &[second])), Some(second));
        assert_eq!(address(handed.take("grpc", &[second])), None);
    }
}
