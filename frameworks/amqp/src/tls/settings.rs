use std::path::Path;

use garde::Validate;
use polyport_bootstrap::config::{Secret, pem};
use serde::Deserialize;

/// The section `amqp.tls`: TLS to brokers whose URL begins with `amqps://`. Certificates and keys
/// are PEM (RFC 7468): the text itself, or the path of a file; a relative one begins at the root
/// of the application. Files are read for every connection anew, so that renewed ones hold from
/// the next on.
///
/// # Examples
/// ```toml
/// [amqp]
/// url = "amqps://rabbit.internal?auth_mechanism=external"
///
/// [amqp.tls]
/// ca = "tls/ca.pem"
/// certificate = "tls/app.pem"
/// key = "tls/app.key"
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct AmqpTlsSettings {
    /// Who has to have signed the broker's certificate; needed for TLS. No other authority is
    /// trusted, so that for a public one this is the file of the system.
    #[garde(inner(length(min = 1)))]
    pub ca: Option<String>,
    /// The certificate of this client, where the broker asks for one; with `key`. With
    /// `auth_mechanism=external` in the URL it is also who logs in (SASL EXTERNAL, RFC 4422).
    #[garde(inner(length(min = 1)))]
    pub certificate: Option<String>,
    /// The private key of that certificate.
    #[garde(inner(length(min = 1)))]
    pub key: Option<Secret<String>>,
    /// The name in the broker's certificate. Default the host of the URL.
    #[garde(inner(length(min = 1)))]
    pub server_name: Option<String>,
}

impl AmqpTlsSettings {
    /// The same with the relative paths of its files made absolute.
    #[must_use]
    pub fn within(mut self, root: &Path) -> Self {
        self.ca = self.ca.map(|value| pem::within(root, value));
        self.certificate = self.certificate.map(|value| pem::within(root, value));
        self.key = self.key.map(|key| pem::within(root, key.expose().clone()).into());
        self
    }
}
