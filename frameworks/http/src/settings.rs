//! The section `http` of the configuration.

use std::time::Duration;

use garde::Validate;
use polyport_bootstrap::{
    Settings,
    framework::{Endpoint, SettingsSource},
    wire::EnvelopeStyle,
};
use polyport_listener::{
    ClientLeave, Limits, ListenerSettings, SocketMode, TlsSettings, TrustedProxy,
};
use serde::{Deserialize, Serialize};

use crate::{
    CompressionSettings, CookieSettings, CorsSettings, SecurityHeaderSettings, UploadSettings,
};

/// The section `http`; a framework named `admin` reads `http_admin`.
///
/// # Examples
/// ```
/// use polyport_http::{HttpFramework, HttpSettings};
///
/// let settings = HttpSettings { port: 8080, ..HttpSettings::default() };
/// let framework = HttpFramework::new().configure(settings);
/// # drop(framework);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, Settings)]
#[serde(default)]
#[garde(allow_unvalidated)]
#[settings("http")]
#[settings(crate = polyport_bootstrap)]
pub struct HttpSettings {
    /// The IP address or name to listen on, or `unix:/run/app.sock` for a Unix socket alone; default
    /// `127.0.0.1`.
    #[garde(length(min = 1))]
    pub host: String,
    /// The TCP port; 0 takes a free one; default 7001.
    pub port: u16,
    /// Where it listens beside that: `["[::1]:7001", "unix:/run/app.sock"]`. Default nowhere.
    pub addresses: Vec<Endpoint>,
    /// Who may use its Unix sockets, as `chmod` writes it. Default `660`: user and group.
    pub socket_mode: SocketMode,
    /// What peers may ask of it.
    #[garde(dive)]
    pub limits: Limits,
    /// Whether it speaks TLS, and how.
    #[garde(dive)]
    pub tls: TlsSettings,
    /// The proxies whose word counts on where a request came from (`Forwarded`,
    /// `X-Forwarded-For/-Proto/-Host`): `["10.0.0.0/8", "unix"]`. Where any is named, these headers
    /// are removed from what others send. Default none: nobody's word counts.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// What becomes of a call whose client has left: `cancel` or `finish`. Default `cancel`.
    pub on_client_leave: ClientLeave,
    /// What stands around answers: `plain`, `return-code` or `code-message-data`; default `plain`.
    pub envelope: EnvelopeStyle,
    /// How long a call may take until its answer begins, from the end of its head; then 504 (408
    /// where the body has not come in). `0s` is no limit; default 30 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The longest body of a request in bytes; a longer one is answered with 413. Stops clients
    /// that fill the memory. Default 1 MiB.
    pub body_limit: usize,
    /// What stands before the paths of all routes but the health routes: `/api`. Default none.
    #[garde(custom(is_prefix))]
    pub prefix: String,
    /// The hosts that a [`Redirect`](crate::Redirect) may lead to beyond this one: `example.com`,
    /// `example.com:8443`, or `*.example.com` for all subdomains. Default none.
    #[garde(inner(custom(is_host)))]
    pub redirect_hosts: Vec<String>,
    /// After how long without an event a stream of server-sent events sends a comment, so that
    /// nobody on the way takes it for dead. `0s` sends none; default 15 s.
    #[serde(with = "humantime_serde")]
    pub sse_keep_alive: Duration,
    /// Whether answers are compressed.
    #[garde(dive)]
    pub compression: CompressionSettings,
    /// What files clients may send.
    #[garde(dive)]
    pub uploads: UploadSettings,
    /// How cookies are set.
    #[garde(dive)]
    pub cookies: CookieSettings,
    /// Which pages of other origins may read the answers.
    #[garde(dive)]
    pub cors: CorsSettings,
    /// What answers tell browsers.
    #[garde(dive)]
    pub security_headers: SecurityHeaderSettings,
    /// The health routes.
    #[garde(dive)]
    pub health: HealthSettings,
}

/// The section `http.health`: where orchestrators ask how the process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct HealthSettings {
    /// Whether they are served; default true.
    pub enabled: bool,
    /// Answers 200 while the process lives; default `/health/live`.
    #[garde(prefix("/"))]
    pub live: String,
    /// Answers 200 while the process wants calls, 503 otherwise; default `/health/ready`.
    #[garde(prefix("/"))]
    pub ready: String,
    /// Answers 200 once the process has been started, 503 before; default `/health/started`.
    #[garde(prefix("/"))]
    pub started: String,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 7001,
            addresses: Vec::new(),
            socket_mode: SocketMode::default(),
            limits: Limits::default(),
            tls: TlsSettings::default(),
            trusted_proxies: Vec::new(),
            on_client_leave: ClientLeave::default(),
            envelope: EnvelopeStyle::Plain,
            timeout: Duration::from_secs(30),
            body_limit: 1024 * 1024,
            prefix: String::new(),
            redirect_hosts: Vec::new(),
            sse_keep_alive: Duration::from_secs(15),
            compression: CompressionSettings::default(),
            uploads: UploadSettings::default(),
            cookies: CookieSettings::default(),
            cors: CorsSettings::default(),
            security_headers: SecurityHeaderSettings::default(),
            health: HealthSettings::default(),
        }
    }
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            live: "/health/live".to_owned(),
            ready: "/health/ready".to_owned(),
            started: "/health/started".to_owned(),
        }
    }
}

impl HttpSettings {
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

fn is_prefix(prefix: &str, _: &()) -> garde::Result {
    let is_plain = prefix.starts_with('/') && !prefix.ends_with('/');
    match prefix.is_empty() || (is_plain && !prefix.contains(['{', '}', '?', '#'])) {
        true => Ok(()),
        false => Err(garde::Error::new("write it like /api, without a slash at its end")),
    }
}

fn is_host(host: &str, _: &()) -> garde::Result {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    match !name.is_empty() && name.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(garde::Error::new(format!(
            "{host:?} is no host: write it like example.com, example.com:8443 or *.example.com"
        ))),
    }
}

impl From<HttpSettings> for SettingsSource<HttpSettings> {
    fn from(settings: HttpSettings) -> Self {
        Self::Value(settings)
    }
}
