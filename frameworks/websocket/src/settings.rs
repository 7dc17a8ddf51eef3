//! The section `websocket` of the configuration.

use std::time::Duration;

use garde::Validate;
use polyport_bootstrap::{
    DEFAULT_NAME, Settings,
    framework::{Endpoint, SettingsSource},
    wire::EnvelopeStyle,
};
use polyport_listener::{
    ClientLeave, Limits, ListenerSettings, SocketMode, TlsSettings, TrustedProxy, normal_path,
    only_of_ones_own,
};
use serde::{Deserialize, Serialize};

use crate::origin::is_origin;

/// The section `websocket`; of a framework named `admin`, the section `websocket_admin`.
///
/// # Examples
/// ```
/// use polyport_websocket::WebSocketSettings;
///
/// let settings = WebSocketSettings { path: "/chat".to_owned(), ..WebSocketSettings::default() };
/// assert_eq!(settings.port, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[garde(allow_unvalidated)]
#[settings("websocket")]
#[settings(crate = polyport_bootstrap)]
pub struct WebSocketSettings {
    /// The path that clients connect to, in its normal form (RFC 3986, section 6.2.2), in which
    /// those of requests are compared with it; default `/ws`.
    #[garde(custom(is_path))]
    pub path: String,
    /// A port of its own, 0 for any free one; default none: `listener` says where it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The address or name that a port of its own is bound on; default `127.0.0.1`.
    #[garde(length(min = 1))]
    pub host: String,
    /// The name of the HTTP framework whose listener it joins, whose settings hold there then.
    /// It wins over `port`. Default none (`""` takes back what another layer of the configuration
    /// says): `default` is joined where there is no port either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// Where it listens beside its own port: `["[::1]:7001", "unix:/run/app.sock"]`. Default nowhere.
    #[garde(custom(only_of_ones_own(self.joined().is_some())))]
    pub addresses: Vec<Endpoint>,
    /// Who may use its own Unix sockets, as `chmod` writes it. Default `660`: user and group.
    pub socket_mode: SocketMode,
    /// What peers may ask of it.
    #[garde(dive, custom(only_of_ones_own(self.joined().is_some())))]
    pub limits: Limits,
    /// Whether it speaks TLS, and how.
    #[garde(dive, custom(only_of_ones_own(self.joined().is_some())))]
    pub tls: TlsSettings,
    /// The proxies whose word counts on where a request came from (`Forwarded`,
    /// `X-Forwarded-For/-Proto/-Host`): `["10.0.0.0/8", "unix"]`. Where any is named, these headers
    /// are removed from what others send. Default none: nobody's word counts.
    #[garde(custom(only_of_ones_own(self.joined().is_some())))]
    pub trusted_proxies: Vec<TrustedProxy>,
    /// What becomes of a call whose client has left: `cancel` or `finish`. Default `cancel`.
    #[garde(custom(only_of_ones_own(self.joined().is_some())))]
    pub on_client_leave: ClientLeave,
    /// What stands around answers and faults; default `plain`.
    pub envelope: EnvelopeStyle,
    /// How long the handling of one event may take; default 30 s, `0s` for no limit. A frame may ask
    /// for less, by `x-request-timeout-ms` among its metadata. Answers of many items have only that
    /// limit.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The largest message that a client may send, in bytes, all its fragments together; a larger
    /// one closes the connection with 1009. Default 1 MiB.
    #[garde(range(min = 1))]
    pub max_message_size: usize,
    /// The largest single frame of one, in bytes; a larger one closes the connection with 1009
    /// before its payload is read. Default 1 MiB, as the message.
    #[garde(range(min = 125))]
    pub max_frame_size: usize,
    /// How many messages may wait for a client that reads slowly, so that one costs little memory
    /// and never holds up anybody else; default 256. What happens at one more, `slow_consumer`
    /// says.
    #[garde(range(min = 1))]
    pub send_queue: usize,
    /// What happens to a client whose `send_queue` is full; default `close`.
    pub slow_consumer: SlowConsumer,
    /// The origins whose pages may connect beside those of the same host (the header `Origin`):
    /// `https://app.example.com`; with one `*` for a part of the host or for the port; or `*` for
    /// all. A page of another one is refused with 403: browsers let it connect, and send the user's
    /// cookies along. Clients that are no browsers send no origin, and are let in. Default none.
    #[garde(inner(custom(is_origin)))]
    pub origins: Vec<String>,
    /// The subprotocols that are spoken (RFC 6455, section 1.9), the preferred one first; default
    /// none. The first that a client offers is agreed on. A client that offers none of them is
    /// connected without one (browsers, which have asked for one, then end the connection
    /// themselves), unless `require_subprotocol` is set.
    #[garde(custom(are_subprotocols))]
    pub subprotocols: Vec<String>,
    /// Whether a client has to offer one of `subprotocols`; else it is refused, with 400. Default
    /// no.
    #[garde(custom(has_some(&self.subprotocols)))]
    pub require_subprotocol: bool,
    /// How long connecting may take, from the request until the connection stands, guards
    /// included; default 10 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(leaves_time))]
    pub handshake_timeout: Duration,
    /// How many requests of the server may wait for the acks of one client; default 64. One more
    /// fails, with RESOURCE_EXHAUSTED.
    #[garde(range(min = 1))]
    pub max_requests: usize,
    /// How many independent events of one connection are handled at once; default 8. Further ones
    /// wait.
    #[garde(range(min = 1))]
    pub max_concurrent_events: usize,
    /// What carries emits to the other instances of the application: the section of a loaded AMQP
    /// framework, `amqp` (or `amqp_orders`); default none: every instance is for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The exchange by which the instances hear of each other; default
    /// `polyport.{app.name}.{section}`, such as `polyport.chat.websocket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 255)))]
    pub cluster_exchange: Option<String>,
    /// How many replies of many items a client may be sent at once; default 16. The next one is
    /// refused, with RESOURCE_EXHAUSTED.
    #[garde(range(min = 1))]
    pub max_streams: usize,
    /// Which headers of the handshake events see among their metadata, so that guards find in each
    /// event what the client said when it connected; default `["authorization", "cookie"]`. They
    /// are copied for each connection, so that it costs what they are long.
    #[garde(inner(custom(is_header)))]
    pub keep_headers: Vec<String>,
    /// How long a client may be silent before it is sent a ping; default 30 s, `0s` for never.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
    /// How long a client may stay silent after a ping, or keep a message that is written to it
    /// waiting, before it counts as dead and is cut; default 20 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(leaves_time))]
    pub pong_timeout: Duration,
    /// How long a client may take to answer a close frame before it is cut; default 5 s. When the
    /// process stops, it has half a second.
    #[serde(with = "humantime_serde")]
    pub close_timeout: Duration,
    /// When the process stops, each connection waits a random time up to this before it is told,
    /// so that not all clients come back at once; default 100 ms, at most 1 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(is_short))]
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
            listener: None,
            addresses: Vec::new(),
            socket_mode: SocketMode::default(),
            limits: Limits::default(),
            tls: TlsSettings::default(),
            trusted_proxies: Vec::new(),
            on_client_leave: ClientLeave::default(),
            envelope: EnvelopeStyle::default(),
            timeout: Duration::from_secs(30),
            max_message_size: 1 << 20,
            max_frame_size: 1 << 20,
            send_queue: 256,
            slow_consumer: SlowConsumer::default(),
            origins: Vec::new(),
            subprotocols: Vec::new(),
            require_subprotocol: false,
            handshake_timeout: Duration::from_secs(10),
            max_requests: 64,
            max_concurrent_events: 8,
            cluster: None,
            cluster_exchange: None,
            max_streams: 16,
            keep_headers: ["authorization", "cookie"].map(str::to_owned).to_vec(),
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            close_jitter: Duration::from_millis(100),
            read_buffer_size: 1024,
            write_buffer_size: 0,
        }
    }
}

/// What happens to a client that is sent more than it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SlowConsumer {
    /// It is closed with 1013, and may come again.
    #[default]
    Close,
    /// It loses the oldest of what it was pushed (by rooms, users, `send_event`); answers, and
    /// requests to it, are never dropped.
    DropOldest,
}

impl WebSocketSettings {
    /// Whose listener it joins, where it has no port of its own.
    pub(crate) fn joined(&self) -> Option<&str> {
        let named = self.listener.as_deref().filter(|name| !name.is_empty());
        named.or(self.port.is_none().then_some(DEFAULT_NAME))
    }

    /// What of it is the listener's.
    pub(crate) fn listener(&self) -> ListenerSettings {
        ListenerSettings {
            addresses: self.addresses.clone(),
            socket_mode: self.socket_mode,
            limits: self.limits.clone(),
            tls: self.tls.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            on_client_leave: self.on_client_leave,
            ..ListenerSettings::default()
        }
    }
}

impl From<WebSocketSettings> for SettingsSource<WebSocketSettings> {
    fn from(settings: WebSocketSettings) -> Self {
        Self::Value(settings)
    }
}

fn is_path(path: &str, _: &()) -> garde::Result {
    let plain = path.starts_with('/')
        && path.parse::<http::uri::PathAndQuery>().is_ok_and(|parsed| parsed.path() == path)
        && !path.contains(['{', '}', '*', '#']);
    if !plain {
        let advice = "not a plain path such as \"/ws\", without query or pattern";
        return Err(garde::Error::new(advice));
    }
    match normal_path(path) {
        normal if normal == path => Ok(()),
        normal => {
            Err(garde::Error::new(format!("requests are compared by another form: {normal}")))
        }
    }
}

fn is_header(name: &str, _: &()) -> garde::Result {
    match http::HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(garde::Error::new("not the name of a header")),
    }
}

/// Tokens (RFC 9110, section 5.6.2), as the names of headers are, each once.
fn are_subprotocols(names: &[String], _: &()) -> garde::Result {
    for (position, name) in names.iter().enumerate() {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(garde::Error::new(format!("{name:?} is no token")));
        }
        if names[..position].contains(name) {
            return Err(garde::Error::new(format!("{name:?} stands twice")));
        }
    }
    Ok(())
}

fn has_some(subprotocols: &[String]) -> impl Fn(&bool, &()) -> garde::Result {
    let none = subprotocols.is_empty();
    move |required, ()| match *required && none {
        true => Err(garde::Error::new("there is none to offer: name them in subprotocols")),
        false => Ok(()),
    }
}

fn leaves_time(limit: &Duration, _: &()) -> garde::Result {
    let advice = "no time is left for an answer";
    if limit.is_zero() { Err(garde::Error::new(advice)) } else { Ok(()) }
}

fn is_short(jitter: &Duration, _: &()) -> garde::Result {
    let advice = "it keeps the process from stopping: at most 1s";
    if *jitter > Duration::from_secs(1) { Err(garde::Error::new(advice)) } else { Ok(()) }
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
            max_streams: 0,
            keep_headers: vec!["no header".to_owned()],
            subprotocols: ["chat", "chat"].map(str::to_owned).to_vec(),
            handshake_timeout: Duration::ZERO,
            max_requests: 0,
            max_concurrent_events: 0,
            cluster_exchange: Some(String::new()),
            pong_timeout: Duration::ZERO,
            close_jitter: Duration::from_secs(2),
            ..WebSocketSettings::default()
        };
        let report = settings.validate().expect_err("twelve faults").to_string();
        for key in [
            "path",
            "max_message_size",
            "send_queue",
            "max_streams",
            "keep_headers[0]",
            "subprotocols",
            "handshake_timeout",
            "max_requests",
            "max_concurrent_events",
            "cluster_exchange",
            "pong_timeout",
            "close_jitter",
        ] {
            assert!(report.contains(&format!("{key}: ")), "{report}");
        }
        assert!(WebSocketSettings::default().validate().is_ok());
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        let limits = Limits { header_count: 5, ..Limits::default() };
        let joined = WebSocketSettings {
            limits: limits.clone(),
            require_subprotocol: true,
            on_client_leave: ClientLeave::Finish,
            ..WebSocketSettings::default()
        };
        let report = joined.validate().expect_err("three faults").to_string();
        for key in ["limits", "require_subprotocol", "on_client_leave"] {
            assert!(report.contains(&format!("{key}: ")), "{report}");
        }
        let own = WebSocketSettings { port: Some(0), limits, ..WebSocketSettings::default() };
        assert!(own.validate().is_ok());
    }

    #[test]
    fn a_path_is_plain() {
        for path in ["/", "/ws", "/a/b", "/%20"] {
            assert!(is_path(path, &()).is_ok(), "{path}");
        }
        for path in ["", "ws", "/ws?x=1", "/{room}", "/*", "/#a", "/a b"] {
            assert!(is_path(path, &()).is_err(), "{path}");
        }
    }
}
