//! What can go wrong before a listener serves.

use std::{io, net::SocketAddr, path::Path};

use polyport_bootstrap::SocketAddress;

use crate::{TlsError, holder};

/// An address could not be taken. Its text names the address and the system's reason;
/// [`advice`](BindError::advice) says what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {address}: {cause}")]
pub struct BindError {
    action: &'static str,
    address: String,
    cause: io::Error,
    /// Who has the port, where the system tells.
    holder: Option<String>,
}

/// Why an address could not be taken, see [`BindError::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindErrorKind {
    /// The host name is not known.
    CannotResolve,
    /// Another socket holds this port.
    AddressInUse,
    /// This process may not take this port.
    PermissionDenied,
    /// No interface of this machine has this address.
    NotOfThisMachine,
    /// Anything else that the system said.
    Other,
}

impl BindError {
    pub(crate) fn resolve(address: String, cause: io::Error) -> Self {
        Self { action: RESOLVE, address, cause, holder: None }
    }

    pub(crate) fn bind(address: SocketAddr, cause: io::Error) -> Self {
        Self::of("bind", address, cause)
    }

    pub(crate) fn path(path: &Path, cause: io::Error) -> Self {
        let address = format!("unix:{}", path.display());
        Self { action: "bind", address, cause, holder: None }
    }

    pub(crate) fn listen(address: &SocketAddress, cause: io::Error) -> Self {
        match address {
            SocketAddress::Tcp(address) => Self::of("listen on", *address, cause),
            other => {
                let address = other.to_string();
                Self { action: "listen on", address, cause, holder: None }
            }
        }
    }

    fn is_path(&self) -> bool {
        self.address.starts_with("unix:")
    }

    pub(crate) fn take_over(cause: io::Error) -> Self {
        let address = "a socket that was handed over".to_owned();
        Self { action: "serve", address, cause, holder: None }
    }

    fn of(action: &'static str, address: SocketAddr, cause: io::Error) -> Self {
        let is_held = cause.kind() == io::ErrorKind::AddrInUse;
        let holder = is_held.then(|| holder::of(address)).flatten();
        Self { action, address: address.to_string(), cause, holder }
    }

    /// The address that was asked for, as `host:port` or `unix:path`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The system's own error.
    #[must_use]
    pub fn os_error(&self) -> &io::Error {
        &self.cause
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> BindErrorKind {
        match self.cause.kind() {
            _ if self.action == RESOLVE => BindErrorKind::CannotResolve,
            io::ErrorKind::AddrInUse => BindErrorKind::AddressInUse,
            io::ErrorKind::PermissionDenied => BindErrorKind::PermissionDenied,
            io::ErrorKind::AddrNotAvailable => BindErrorKind::NotOfThisMachine,
            _ => BindErrorKind::Other,
        }
    }

    /// The process that listens there already, where the system tells: `process 4711 (nginx)`.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let advice = match self.kind() {
            BindErrorKind::CannotResolve => {
                "use an IP address such as 127.0.0.1 or 0.0.0.0, or a name that this machine knows"
            }
            BindErrorKind::AddressInUse if self.is_path() => {
                "another process (or another framework of this one) listens there: stop it, or \
                 choose another path"
            }
            BindErrorKind::AddressInUse => {
                let another = "another process (or another framework of this one)";
                return Some(format!(
                    "{} holds this port: stop it, or choose another port; port 0 takes a free one",
                    self.holder().unwrap_or(another)
                ));
            }
            BindErrorKind::PermissionDenied if self.is_path() => {
                "this user may not write in that folder: choose another, or let it"
            }
            BindErrorKind::Other if self.is_path() => {
                "the folder has to exist, and nothing but a socket may be at the path"
            }
            BindErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege (on Linux CAP_NET_BIND_SERVICE): choose a \
                 higher port, or grant it"
            }
            BindErrorKind::NotOfThisMachine => {
                "no interface of this machine has this address: use 127.0.0.1, 0.0.0.0 or one of \
                 its own"
            }
            BindErrorKind::Other => return None,
        };
        Some(advice.to_owned())
    }
}

const RESOLVE: &str = "resolve";

/// A listener was used in the wrong order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenerError {
    /// Something was mounted on a listener that serves already.
    #[error(
        "cannot mount {mount:?} on listener {listener:?}: it serves already; mount before the \
         process is ready"
    )]
    TooLateToMount {
        /// The listener's name.
        listener: String,
        /// What should have been mounted.
        mount: String,
    },
    /// Two were mounted at one path, of which one would never be reached.
    #[error(
        "{} and {} are both to be served at {path} of listener {listener:?}", mounts[0], mounts[1]
    )]
    PathTaken {
        /// The listener's name.
        listener: String,
        /// The path.
        path: String,
        /// What is mounted there, and what should have been.
        mounts: [String; 2],
    },
    /// Its settings for TLS do not work out.
    #[error("listener {listener:?}: {error}")]
    Tls {
        /// The listener's name.
        listener: String,
        /// What is wrong with them.
        error: TlsError,
    },
    /// A listener was made to serve a second time.
    #[error("listener {listener:?} serves already: one `SharedListener` serves once")]
    ServesAlready {
        /// The listener's name.
        listener: String,
    },
}
