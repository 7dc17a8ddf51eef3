//! Addresses to listen on, as they are configured.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// What stands before the path of a Unix socket.
const UNIX: &str = "unix:";

/// An address to listen on: `127.0.0.1:7001`, `[::1]:7001`, `localhost:0` (any free port), or
/// `unix:/run/app.sock`.
///
/// # Examples
/// ```
/// use polyport_bootstrap::framework::Endpoint;
///
/// let endpoint: Endpoint = "[::1]:7001".parse()?;
/// assert_eq!(endpoint, Endpoint::Tcp { host: "[::1]".to_owned(), port: 7001 });
/// assert_eq!(endpoint.to_string(), "[::1]:7001");
/// assert!("unix:/run/app.sock".parse::<Endpoint>().is_ok());
/// assert!("7001".parse::<Endpoint>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Endpoint {
    /// A host and port.
    Tcp {
        /// An IP address or a name.
        host: String,
        /// The port; 0 is any free one.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// A host and port; a host that is written `unix:/run/app.sock` is a Unix socket, whatever the
    /// port.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        match host.strip_prefix(UNIX) {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp { host: host.to_owned(), port },
        }
    }

    /// The same with any free port, where it has one: for tests.
    #[must_use]
    pub fn with_free_port(self) -> Self {
        match self {
            Self::Tcp { host, .. } => Self::Tcp { host, port: 0 },
            unix @ Self::Unix(_) => unix,
        }
    }

    /// Whether both cannot be bound at once.
    #[must_use]
    pub fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix(one), Self::Unix(other)) => one == other,
            (Self::Tcp { host: one, port }, Self::Tcp { host: other, port: same }) => {
                *port != 0 && port == same && (one == other || is_any(one) || is_any(other))
            }
            _ => false,
        }
    }
}

fn is_any(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "::" | "[::]")
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "{text:?} is no address: write it like 127.0.0.1:7001, [::1]:7001 or unix:/run/app.sock"
            )
        };
        if let Some(path) = text.strip_prefix(UNIX) {
            return if path.is_empty() { Err(refused()) } else { Ok(Self::Unix(path.into())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        let port = port.parse().map_err(|_| refused())?;
        match !host.is_empty() && (is_bracketed || !host.contains(':')) {
            true => Ok(Self::Tcp { host: host.to_owned(), port }),
            false => Err(refused()),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for text in ["127.0.0.1:80", "[::1]:80", "localhost:0", "unix:/run/a.sock", "unix:a"] {
            assert_eq!(text.parse::<Endpoint>().map(|read| read.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "80", ":80", "::1:80", "a:", "a:x", "a:65536", "unix:"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_one_of_two_that_collide_can_be_bound() {
        let collide = |one: &str, other: &str| {
            let read = |text: &str| text.parse::<Endpoint>().ok();
            read(one).zip(read(other)).is_some_and(|(one, other)| one.collides_with(&other))
        };
        assert!(collide("127.0.0.1:80", "0.0.0.0:80") && collide("unix:/a", "unix:/a"));
        assert!(!collide("127.0.0.1:80", "127.0.0.2:80") && !collide("a:0", "a:0"));
        assert!(!collide("unix:/a", "unix:/b") && !collide("unix:/a", "a:80"));
    }
}
