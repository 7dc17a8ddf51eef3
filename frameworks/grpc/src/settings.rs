//! The settings of a gRPC framework.

use std::time::Duration;

use garde::Validate;
use polyport_bootstrap::{
    Settings,
    framework::{Endpoint, SettingsSource},
};
use polyport_listener::{
    ClientLeave, Limits, ListenerSettings, SocketMode, TlsSettings, TrustedProxy, only_of_ones_own,
};
use serde::{Deserialize, Serialize};

/// The section `grpc` of the configuration (`grpc_{name}` for a framework with a name of its own).
///
/// # Examples
/// ```
/// use polyport_grpc::GrpcSettings;
///
/// let settings = GrpcSettings { port: Some(9002), ..GrpcSettings::default() };
/// assert_eq!(settings.max_message_size, 4 * 1024 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[garde(allow_unvalidated)]
#[settings("grpc")]
#[settings(crate = polyport_bootstrap)]
pub struct GrpcSettings {
    /// The address to listen on, an IP address or a name. Default `127.0.0.1`.
    #[garde(length(min = 1))]
    pub host: String,
    /// A port of its own; 0 takes a free one. Default 7002 where there is no `listener`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The name of the HTTP framework whose listener it joins, whose settings hold there then: it
    /// takes what comes with the content type of gRPC. It wins over `port`. Default none (`""` takes
    /// back what another layer of the configuration says): it has a port of its own.
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
    /// Whether gRPC-Web is answered too, for browsers (unary calls and server streams, over
    /// HTTP/1.1 as well). Default false.
    pub web: bool,
    /// The origins whose pages may call by gRPC-Web: `["https://app.example.com"]`, or `["*"]` for
    /// all. Default none: pages of the same origin only.
    #[garde(inner(custom(is_origin)))]
    pub web_origins: Vec<String>,
    /// How long a unary call may take, from its head to its answer. The peer's own deadline
    /// (`grpc-timeout`) holds where it is sooner. `0s` is no limit. Default `30s`. Streams, and
    /// the services that tonic generates, have only the peer's deadline.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The largest message that an operation takes, in bytes; a larger one is answered with
    /// RESOURCE_EXHAUSTED before it is read, which keeps a peer from filling the memory. Default
    /// 4 MiB. A service that tonic generated has a setting of its own,
    /// `max_decoding_message_size`.
    #[garde(range(min = 1))]
    pub max_message_size: usize,
    /// The `domain` of every `google.rpc.ErrorInfo`: who has defined the reasons of faults.
    /// Default `polyport`.
    pub error_domain: String,
    /// Whether the standard health service, `grpc.health.v1.Health`, is served; default true. No
    /// guard and no middleware of the application stands around it: orchestrators have to reach it.
    pub health: bool,
    /// Whether the standard reflection service is served, `grpc.reflection.v1` and `v1alpha`, which
    /// tells of all services whose descriptors modules bring. Default false: it tells anybody who
    /// reaches the port the whole of its interface.
    pub reflection: bool,
    /// Whether the application's middleware and guards stand around reflection as around all else.
    /// Default false: the tools that ask for it have no credentials.
    pub reflection_behind_guards: bool,
    /// How messages of operations may be compressed.
    #[garde(dive)]
    pub compression: GrpcCompression,
}

/// How messages of operations may be compressed: `grpc.compression`. A service that tonic generated
/// has settings of its own, `accept_compressed` and `send_compressed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct GrpcCompression {
    /// What clients may send; another encoding is answered with UNIMPLEMENTED and the names of
    /// these (`grpc-accept-encoding`). A message counts for `max_message_size` as it is when it is
    /// decompressed, and no more than that is decompressed. Default `["gzip"]`.
    pub receive: Vec<GrpcEncoding>,
    /// What answers are compressed with, where the client takes it. Default none: it costs the
    /// processor more than a small message saves the network, and the size of an answer that holds
    /// both a secret and a client's text tells of the secret.
    pub send: Vec<GrpcEncoding>,
}

/// An encoding of messages, by its name in `grpc-encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GrpcEncoding {
    /// RFC 1952.
    Gzip,
}

impl Default for GrpcCompression {
    fn default() -> Self {
        Self { receive: vec![GrpcEncoding::Gzip], send: Vec::new() }
    }
}

impl Default for GrpcSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: None,
            listener: None,
            addresses: Vec::new(),
            socket_mode: SocketMode::default(),
            limits: Limits::default(),
            tls: TlsSettings::default(),
            trusted_proxies: Vec::new(),
            on_client_leave: ClientLeave::default(),
            web: false,
            web_origins: Vec::new(),
            timeout: Duration::from_secs(30),
            max_message_size: 4 * 1024 * 1024,
            error_domain: "polyport".to_owned(),
            health: true,
            reflection: false,
            reflection_behind_guards: false,
            compression: GrpcCompression::default(),
        }
    }
}

/// Where it listens by default.
const PORT: u16 = 7002;

impl GrpcSettings {
    /// Whose listener it joins.
    pub(crate) fn joined(&self) -> Option<&str> {
        self.listener.as_deref().filter(|name| !name.is_empty())
    }

    /// The port of its own.
    pub(crate) fn own_port(&self) -> u16 {
        self.port.unwrap_or(PORT)
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

impl From<GrpcSettings> for SettingsSource<GrpcSettings> {
    fn from(settings: GrpcSettings) -> Self {
        Self::Value(settings)
    }
}

/// An origin as browsers write it (RFC 6454, section 6.2), or `*`; another one would never be met.
fn is_origin(origin: &str, (): &()) -> garde::Result {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]".contains(&b);
    let written = origin.split_once("://");
    let is_met = written.is_some_and(|(scheme, host)| {
        !scheme.is_empty() && !host.is_empty() && host.bytes().all(is_plain)
    });
    match is_met || origin == "*" {
        true => Ok(()),
        false => Err(garde::Error::new(format!(
            "{origin:?} is no origin: write it like https://app.example.com, or \"*\" for all"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_do_nothing_are_named() {
        let joined = GrpcSettings {
            listener: Some("default".to_owned()),
            tls: TlsSettings {
                certificate: Some("a.pem".into()),
                key: Some("a.key".into()),
                ..TlsSettings::default()
            },
            addresses: vec![Endpoint::new("127.0.0.1", 1)],
            ..GrpcSettings::default()
        };
        let report = joined.validate().expect_err("two faults").to_string();
        assert!(report.contains("tls: ") && report.contains("addresses: "), "{report}");
        let own = GrpcSettings { listener: Some(String::new()), ..joined };
        assert!(own.validate().is_ok());
    }

    #[test]
    fn an_origin_is_one_that_browsers_send() {
        for origin in ["*", "https://app.example.com", "http://localhost:3000", "http://[::1]:1"] {
            assert!(is_origin(origin, &()).is_ok(), "{origin}");
        }
        for origin in ["app.example.com", "https://a/", "https://A.example", "://a", "https://*.a"]
        {
            assert!(is_origin(origin, &()).is_err(), "{origin}");
        }
    }
}
