//! The section `websocket` of the configuration.

use std::time::Duration;

use polyport_bootstrap::{Error, Result, framework::SettingsSource, wire::EnvelopeStyle};
use serde::{Deserialize, Serialize};

/// The section `websocket`; of a framework named `admin`, the section `websocket_admin`.
///
/// # Examples
/// ```
/// use polyport_websocket::WebSocketSettings;
///
/// let settings = WebSocketSettings { path: "/chat".to_owned(), ..WebSocketSettings::default() };
/// assert_eq!(settings.port, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocketSettings {
    /// The path that clients connect to; default `/ws`.
    pub path: String,
    /// A port of its own, 0 for any free one; default none: the listener of an HTTP framework is
    /// joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The address or name that a port of its own is bound on; default `127.0.0.1`.
    pub host: String,
    /// The name of the HTTP framework whose listener is joined where there is no port; default
    /// `default`.
    pub listener: String,
    /// What stands around answers and faults; default `plain`.
    pub envelope: EnvelopeStyle,
    /// How long the handling of one event may take; default 30 s, `0s` for no limit.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The largest message that a client may send, in bytes, all its fragments together; a larger
    /// one closes the connection with 1009. Default 1 MiB.
    pub max_message_size: usize,
    /// How many messages may wait for a client that reads slowly. One more closes the connection
    /// with 1013, so that a slow client costs little memory and never holds up anybody else.
    /// Default 256.
    pub send_queue: usize,
    /// How long a client may be silent before it is sent a ping; default 30 s, `0s` for never.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
    /// How long a client may stay silent after a ping, or keep a message that is written to it
    /// waiting, before it counts as dead and is cut; default 20 s.
    #[serde(with = "humantime_serde")]
    pub pong_timeout: Duration,
    /// How long a client may take to answer a close frame before it is cut; default 5 s. When the
    /// process stops, it has half a second.
    #[serde(with = "humantime_serde")]
    pub close_timeout: Duration,
    /// When the process stops, each connection waits a random time up to this before it is told,
    /// so that not all clients come back at once; default 100 ms, at most 1 s.
    #[serde(with = "humantime_serde")]
    pub close_jitter: Duration,
    /// How many bytes of each connection are read at once; default 1024, since small buffers make
    /// idle connections cheap and small messages fast.
    pub read_buffer_size: usize,
    /// How many bytes of outgoing messages are gathered before they are written; default 0: each
    /// message is written at once.
    pub write_buffer_size: usize,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self {
            path: "/ws".to_owned(),
            port: None,
            host: "127.0.0.1".to_owned(),
            listener: "default".to_owned(),
            envelope: EnvelopeStyle::default(),
            timeout: Duration::from_secs(30),
            max_message_size: 1 << 20,
            send_queue: 256,
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            close_jitter: Duration::from_millis(100),
            read_buffer_size: 1024,
            write_buffer_size: 0,
        }
    }
}

impl From<WebSocketSettings> for SettingsSource<WebSocketSettings> {
    fn from(settings: WebSocketSettings) -> Self {
        Self::Value(settings)
    }
}

impl WebSocketSettings {
    /// Finds every value that makes no sense; `section` is where they stand.
    pub(crate) fn check(&self, section: &str) -> Result<()> {
        let mut errors = Vec::new();
        let mut wrong = |key: &str, message: String, advice: &str| {
            let error = Error::configuration(message).context(format!("{section}.{key}"));
            errors.push(error.advise(advice));
        };
        if !is_path(&self.path) {
            let message = format!("{:?} is not a path", self.path);
            wrong("path", message, "write a plain path such as \"/ws\", without query or pattern");
        }
        if self.max_message_size == 0 {
            let advice = "give the largest message that clients may send, in bytes: 1048576";
            wrong("max_message_size", "0 bytes allow no message".to_owned(), advice);
        }
        if self.send_queue == 0 {
            let advice = "give the number of messages that may wait for a client: 256";
            wrong("send_queue", "a queue of 0 messages holds none".to_owned(), advice);
        }
        if self.pong_timeout.is_zero() {
            let advice = "give clients some seconds; to send no pings, set ping_interval to \"0s\"";
            wrong("pong_timeout", "0 s leave no time for an answer".to_owned(), advice);
        }
        if self.close_jitter > Duration::from_secs(1) {
            let message = format!("{:?} keep the process from stopping", self.close_jitter);
            wrong("close_jitter", message, "use at most 1s");
        }
        Error::all("the settings make no sense", errors)
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.parse::<http::uri::PathAndQuery>().is_ok_and(|parsed| parsed.path() == path)
        && !path.contains(['{', '}', '*', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_senseless_value_is_named() {
        let settings = WebSocketSettings {
            path: "ws?x".to_owned(),
            max_message_size: 0,
            send_queue: 0,
            pong_timeout: Duration::ZERO,
            close_jitter: Duration::from_secs(2),
            ..WebSocketSettings::default()
        };
        let report = format!("{:?}", settings.check("websocket").expect_err("five faults"));
        for key in ["path", "max_message_size", "send_queue", "pong_timeout", "close_jitter"] {
            assert!(report.contains(&format!("websocket.{key}: ")), "{report}");
        }
        assert!(WebSocketSettings::default().check("websocket").is_ok());
    }

    #[test]
    fn a_path_is_plain() {
        for path in ["/", "/ws", "/a/b", "/%20"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", "ws", "/ws?x=1", "/{room}", "/*", "/#a", "/a b"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
