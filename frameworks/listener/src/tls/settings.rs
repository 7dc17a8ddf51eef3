//! The settings of TLS.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use garde::Validate;
use polyport_bootstrap::config::Secret;
use serde::{Deserialize, Serialize};

/// The section `tls` of a framework that listens: `[http.tls]`. TLS 1.2 and 1.3 are spoken (rustls)
/// once there is a certificate, else none; clients choose HTTP/2 or HTTP/1.1 by ALPN.
///
/// # Examples
/// ```
/// use polyport_listener::TlsSettings;
///
/// let tls = TlsSettings {
///     certificate: Some("tls/server.pem".into()),
///     key: Some("tls/server.key".into()),
///     ..TlsSettings::default()
/// };
/// assert!(tls.is_enabled() && !TlsSettings::default().is_enabled());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct TlsSettings {
    /// The file with the certificate of this server, and those that lead to one that clients know
    /// (PEM). A relative path begins at the root of the application. Default none: no TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(only_one("certificate_pem", &self.certificate_pem)))]
    pub certificate: Option<PathBuf>,
    /// The same as text, instead of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
    /// The file with the private key of the certificate (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(only_one("key_pem", &self.key_pem)))]
    pub key: Option<PathBuf>,
    /// The same as text, instead of the file.
    #[serde(skip_serializing)]
    #[garde(custom(belongs(self.key.is_some(), self.is_enabled())))]
    pub key_pem: Option<Secret<String>>,
    /// Whether clients are asked for a certificate: `none`, `optional` or `required`. Who shows one
    /// that does not lead to `client_ca` is not let in. Default `none`.
    #[garde(custom(has_authority(self.client_ca.is_some() || self.client_ca_pem.is_some())))]
    pub client_certificates: ClientCertificates,
    /// The file with the certificates that those of clients have to lead to (PEM). It has to stand
    /// together with `client_certificates`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(only_one("client_ca_pem", &self.client_ca_pem)))]
    pub client_ca: Option<PathBuf>,
    /// The same as text, instead of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca_pem: Option<String>,
    /// How long the handshake may take; then the connection is closed. Stops clients that hold
    /// connections by never finishing it. Default 10 s.
    #[serde(with = "humantime_serde")]
    #[garde(custom(leaves_time))]
    pub handshake_timeout: Duration,
    /// How often the files are looked at for renewed certificates, which hold for every connection
    /// from then on. Files that do not work out are reported, and those before them go on. `0s`
    /// never looks; default 30 s.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    None,
    /// They are, and may have none.
    Optional,
    /// They are, and no connection comes about without.
    Required,
}

impl TlsSettings {
    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.certificate.is_some() || self.certificate_pem.is_some()
    }

    /// The same with the relative paths of its files made absolute.
    #[must_use]
    pub fn within(mut self, root: &Path) -> Self {
        for path in [&mut self.certificate, &mut self.key, &mut self.client_ca] {
            *path = path.take().map(|path| root.join(path));
        }
        self
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificate: None,
            certificate_pem: None,
            key: None,
            key_pem: None,
            client_certificates: ClientCertificates::None,
            client_ca: None,
            client_ca_pem: None,
            handshake_timeout: Duration::from_secs(10),
            reload_interval: Duration::from_secs(30),
        }
    }
}

impl fmt::Display for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Optional => "optional",
            Self::Required => "required",
        })
    }
}

fn only_one<T>(other: &str, text: &Option<T>) -> impl Fn(&Option<PathBuf>, &()) -> garde::Result {
    let both = text.is_some();
    move |path, _: &()| match path.is_some() && both {
        true => Err(garde::Error::new(format!("{other} says the same: set one of the two"))),
        false => Ok(()),
    }
}

fn belongs(
    has_file: bool,
    is_enabled: bool,
) -> impl Fn(&Option<Secret<String>>, &()) -> garde::Result {
    move |text, _: &()| match (is_enabled, has_file || text.is_some()) {
        (true, false) => Err(garde::Error::new("a certificate needs its key: set key or key_pem")),
        (false, true) => Err(garde::Error::new(
            "a key needs its certificate: set certificate or certificate_pem",
        )),
        _ => Ok(()),
    }
}

fn has_authority(has: bool) -> impl Fn(&ClientCertificates, &()) -> garde::Result {
    move |wanted, _: &()| match (*wanted != ClientCertificates::None, has) {
        (true, false) => {
            Err(garde::Error::new("set client_ca, which certificates of clients lead to"))
        }
        (false, true) => Err(garde::Error::new(
            "there is a client_ca, and no client is asked for a certificate: set this to optional \
             or required, or take client_ca away",
        )),
        _ => Ok(()),
    }
}

fn leaves_time(limit: &Duration, _: &()) -> garde::Result {
    match limit.is_zero() {
        true => Err(garde::Error::new("nobody can shake hands in no time at all")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_do_not_fit_together_are_named() {
        let text = || Some("text".to_owned());
        let twice = TlsSettings {
            certificate: Some("a".into()),
            certificate_pem: text(),
            client_certificates: ClientCertificates::Required,
            ..TlsSettings::default()
        };
        let report = twice.validate().expect_err("three faults").to_string();
        for key in ["certificate: ", "key_pem: ", "client_certificates: "] {
            assert!(report.contains(key), "{report}");
        }
        let key_only = TlsSettings { key: Some("a".into()), ..TlsSettings::default() };
        assert!(key_only.validate().is_err());
        let unasked = TlsSettings { client_ca_pem: text(), ..TlsSettings::default() };
        let report = unasked.validate().expect_err("nobody is asked").to_string();
        assert!(report.contains("client_certificates: "), "{report}");
        assert!(TlsSettings::default().validate().is_ok());
        let proper = TlsSettings {
            certificate_pem: text(),
            key_pem: text().map(Secret::new),
            ..TlsSettings::default()
        };
        assert!(proper.validate().is_ok());
    }
}
