//! What can be set on a listener.

use std::time::Duration;

/// How a listener treats its connections. More fields may come: build it with
/// `..ListenerSettings::default()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    /// How long an HTTP/1 client may take for the head of a request, counted from the moment the
    /// server could read it, so it also ends idle kept-alive connections; and how long any client
    /// may take for its first words. Default 30 s. Stops "slowloris" clients that hold connections
    /// by sending heads byte by byte, or nothing.
    pub header_read_timeout: Duration,
    /// How long an HTTP/1 connection without a call stays open once the intake has stopped, so
    /// that a request which was already on its way is answered (with `Connection: close`) and not
    /// lost. Default 50 ms.
    pub idle_linger: Duration,
    /// How long [`Server::drain`](crate::Server::drain) waits, after the last active call, for
    /// connections to end by themselves, and [`Server::close`](crate::Server::close) for peers
    /// without a call. Default 500 ms.
    pub flush_grace: Duration,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(30),
            idle_linger: Duration::from_millis(50),
            flush_grace: Duration::from_millis(500),
        }
    }
}
