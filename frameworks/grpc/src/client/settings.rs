//! The settings of the clients.

use std::{collections::BTreeMap, path::Path, time::Duration};

use garde::Validate;
use polyport_bootstrap::{
    Error, Result, Settings,
    config::{Secret, SettingsSection, pem},
};
use serde::{Deserialize, Serialize};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// One client: `grpc.clients.{name}`. What it does not say, `grpc.default` says for all of them.
///
/// # Examples
/// ```toml
/// [grpc.clients.users]
/// addresses = ["10.0.0.1:7002", "10.0.0.2:7002"]
/// deadline = "2s"
/// tls = { ca = "/etc/app/ca.pem", domain = "users.internal" }
/// ```
#[derive(Debug, Clone, Deserialize, Validate, Settings)]
#[serde(default)]
#[garde(allow_unvalidated)]
#[settings("grpc.default")]
#[settings(crate = polyport_bootstrap)]
pub struct GrpcClientSettings {
    /// Where the service is: `host:port`, one or more. Calls are spread over all that can be
    /// reached. None is connected to before the first call.
    pub addresses: Vec<String>,
    /// How long a call may take where neither it nor the call that it is a part of says; streams,
    /// too. `0s` is no limit. Default `10s`.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// How long to wait for a connection to one address. Default `5s`.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How often all addresses are tried again where none can be reached and nothing of the call
    /// has been sent yet, after delays of up to 100 ms, 200 ms and so on to 2 s. Default 2; the
    /// call's deadline holds for all tries together. A call of which anything was sent is never
    /// repeated.
    #[garde(range(max = 10))]
    pub retries: u32,
    /// Pings that find out whether the other side is still there.
    #[garde(dive)]
    pub keep_alive: GrpcKeepAlive,
    /// Default none: connections are in plain text.
    #[garde(dive)]
    pub tls: Option<GrpcClientTls>,
}

impl Default for GrpcClientSettings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            deadline: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            retries: 2,
            keep_alive: GrpcKeepAlive::default(),
            tls: None,
        }
    }
}

/// HTTP/2 pings of a client: `keep_alive`.
#[derive(Debug, Clone, Deserialize, Serialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct GrpcKeepAlive {
    /// How long nothing has to come before a ping is sent. Default `0s`, which is never: many
    /// servers take frequent pings for an attack, and deadlines end what hangs.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// How long its answer may take, after which the connection is given up. Default `20s`.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Whether pings are sent while there is no call, too. Default false.
    pub while_idle: bool,
}

impl Default for GrpcKeepAlive {
    fn default() -> Self {
        Self { interval: Duration::ZERO, timeout: Duration::from_secs(20), while_idle: false }
    }
}

/// TLS of a client: `tls`. Certificates and keys are PEM: the text itself, or the path of a file; a
/// relative one begins at the root of the application.
#[derive(Debug, Clone, Default, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct GrpcClientTls {
    /// Who has to have signed the server's certificate. No other authority is trusted.
    #[garde(length(min = 1))]
    pub ca: String,
    /// The name in the server's certificate. Default the host of the address.
    pub domain: Option<String>,
    /// The client's own certificate, where the server asks for one; with `key`.
    pub certificate: Option<String>,
    /// The key of that certificate.
    pub key: Option<Secret<String>>,
}

/// All clients, so that each is read and checked at start.
#[derive(Debug, Default, Deserialize, Validate)]
#[serde(transparent)]
#[garde(transparent)]
pub(super) struct Sections(#[garde(dive)] BTreeMap<String, GrpcClientSettings>);

impl SettingsSection for Sections {
    const KEY: &'static str = "grpc.clients";
}

impl GrpcClientSettings {
    /// The same with the relative paths of its files made absolute.
    pub(super) fn within(mut self, root: &Path) -> Self {
        self.tls = self.tls.map(|tls| tls.within(root));
        self
    }

    /// Where to connect to.
    pub(super) fn endpoints(&self) -> Result<Vec<Endpoint>> {
        if self.addresses.is_empty() {
            let advice = "say where the service is: addresses = [\"host:port\"]";
            return Err(Error::configuration("it has no addresses").advise(advice));
        }
        let tls = self.tls.as_ref().map(GrpcClientTls::config).transpose()?;
        self.addresses.iter().map(|address| self.endpoint(address, tls.clone())).collect()
    }

    fn endpoint(&self, address: &str, tls: Option<ClientTlsConfig>) -> Result<Endpoint> {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let malformed = || {
            let message = format!("{address:?} is no address of a gRPC service");
            Error::configuration(message).advise("write host:port, and nothing else")
        };
        let uri: http::Uri = format!("{scheme}://{address}").parse().map_err(|_| malformed())?;
        if uri.port_u16().is_none() || uri.path() != "/" || uri.query().is_some() {
            return Err(malformed());
        }
        let mut endpoint = Endpoint::from(uri).connect_timeout(self.connect_timeout);
        let GrpcKeepAlive { interval, timeout, while_idle } = self.keep_alive;
        if !interval.is_zero() {
            endpoint = endpoint
                .http2_keep_alive_interval(interval)
                .keep_alive_timeout(timeout)
                .keep_alive_while_idle(while_idle);
        }
        match tls {
            None => Ok(endpoint),
            Some(tls) => endpoint.tls_config(tls).map_err(|error| {
                Error::configuration("TLS cannot be set up from `tls`").caused_by(error)
            }),
        }
    }
}

impl GrpcClientTls {
    /// The same with the relative paths of its files made absolute.
    fn within(mut self, root: &Path) -> Self {
        self.ca = pem::within(root, self.ca);
        self.certificate = self.certificate.map(|value| pem::within(root, value));
        self.key = self.key.map(|key| Secret::from(pem::within(root, key.expose().clone())));
        self
    }

    fn config(&self) -> Result<ClientTlsConfig> {
        let ca = Certificate::from_pem(pem::read("tls.ca", &self.ca)?);
        let mut config = ClientTlsConfig::new().ca_certificate(ca);
        if let Some(domain) = &self.domain {
            config = config.domain_name(domain);
        }
        match (&self.certificate, &self.key) {
            (None, None) => Ok(config),
            (Some(certificate), Some(key)) => {
                let certificate = pem::read("tls.certificate", certificate)?;
                Ok(config
                    .identity(Identity::from_pem(certificate, pem::read_secret("tls.key", key)?)))
            }
            _ => Err(Error::configuration("tls.certificate and tls.key belong together")
                .advise("set both, or neither")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_begins_at_the_root_and_a_text_stays_as_it_is() {
        let text = "-----BEGIN CERTIFICATE-----";
        let tls = GrpcClientTls {
            ca: "tls/ca.pem".to_owned(),
            domain: None,
            certificate: Some(text.to_owned()),
            key: Some(Secret::from("/etc/key.pem".to_owned())),
        };
        let tls = tls.within(Path::new("/app"));
        assert_eq!((tls.ca.as_str(), tls.certificate.as_deref()), ("/app/tls/ca.pem", Some(text)));
        assert_eq!(tls.key.map(|key| key.expose().clone()).as_deref(), Some("/etc/key.pem"));
    }
}
