//! What can be set on a listener.

use std::{fmt, time::Duration};

use polyport_bootstrap::framework::Endpoint;
use serde::{Deserialize, Serialize};

use crate::{Limits, TlsSettings, TrustedProxy};

/// How a listener treats its connections. Frameworks have these keys in their sections of the
/// configuration, except for the last two. More fields may come: build it with
/// `..ListenerSettings::default()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Where it listens beside its first address. Default nowhere.
    pub addresses: Vec<Endpoint>,
    /// Who may use its Unix sockets. Default `660`: the user and the group of the process.
    pub socket_mode: SocketMode,
    /// What peers may ask of it.
    pub limits: Limits,
    /// Whether it speaks TLS, and how.
    pub tls: TlsSettings,
    /// Whose word counts on where a request came from. Default nobody's.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// What becomes of a call whose client has left. Default: it is cancelled.
    pub on_client_leave: ClientLeave,
    /// How long an HTTP/1 connection without a call stays open once the intake has stopped, so
    /// that a request which was already on its way is answered (with `Connection: close`) and not
    /// lost. Default 50 ms.
    pub idle_linger: Duration,
    /// How long [`Server::drain`](crate::Server::drain) waits, after the last active call, for
    /// connections to end by themselves, and [`Server::close`](crate::Server::close) for peers
    /// without a call. Default 500 ms.
    pub flush_grace: Duration,
}

impl ListenerSettings {
    /// The same with any free port wherever it has one: for tests.
    #[must_use]
    pub fn with_free_ports(mut self) -> Self {
        self.addresses = self.addresses.into_iter().map(Endpoint::with_free_port).collect();
        self
    }
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            socket_mode: SocketMode::default(),
            limits: Limits::default(),
            tls: TlsSettings::default(),
            trusted_proxies: Vec::new(),
            on_client_leave: ClientLeave::default(),
            idle_linger: Duration::from_millis(50),
            flush_grace: Duration::from_millis(500),
        }
    }
}

/// For a framework's section: what a listener of its own has means nothing where it joins that of
/// another framework, whose own setting holds. To be silent about it would leave somebody believe
/// that TLS is spoken, say.
pub fn only_of_ones_own<T: Default + PartialEq>(joins: bool) -> impl Fn(&T, &()) -> garde::Result {
    move |value, ()| match joins && *value != T::default() {
        true => Err(garde::Error::new(
            "it is for a listener of its own, and the one of an HTTP framework is joined: set it in \
             the section of that framework, or give this one a port and no `listener`",
        )),
        false => Ok(()),
    }
}

/// What becomes of a call whose client has left, or reset its stream, before the answer was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientLeave {
    /// Its operation is dropped where it waits.
    #[default]
    Cancel,
    /// Its operation goes on to its end, as long as its deadline leaves it; the stop of the process
    /// waits for it. One connection can leave no more of them behind than it may have streams: more
    /// are cancelled.
    Finish,
}

/// Who may read and write a Unix socket, as `chmod` writes it: `660`.
///
/// # Examples
/// ```
/// use polyport_listener::SocketMode;
///
/// assert_eq!(SocketMode::try_from("0666".to_owned())?.bits(), 0o666);
/// assert_eq!(SocketMode::default().to_string(), "660");
/// assert!(SocketMode::try_from("rw".to_owned()).is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SocketMode(u32);

impl SocketMode {
    /// The bits of the mode.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o660)
    }
}

impl TryFrom<String> for SocketMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or_else(|| format!("{text:?} is no mode: write it like \"660\""))
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:o}", self.0)
    }
}

impl From<SocketMode> for String {
    fn from(mode: SocketMode) -> Self {
        mode.to_string()
    }
}
