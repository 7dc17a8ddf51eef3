use std::{fmt, io, sync::Arc};

use polyport_bootstrap::{Error, Result, config::pem};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore, client::WantsClientCert,
    crypto::ring,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{net::TcpStream, task::spawn_blocking};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{refusal::NodeError, tls::AmqpTlsSettings};

/// How TLS is spoken. The files are read for every connection anew, so that renewed certificates
/// hold from the next one on.
pub(crate) struct Tls {
    settings: AmqpTlsSettings,
    section: String,
}

impl Tls {
    /// Takes the settings `tls` of a section, once they have proved to work out.
    ///
    /// # Errors
    /// Returns a configuration error that names the key.
    pub(crate) fn load(settings: &AmqpTlsSettings, section: &str) -> Result<Self> {
        let tls = Self { settings: settings.clone(), section: section.to_owned() };
        tls.config()?;
        Ok(tls)
    }

    /// Shakes hands with the server called `host`, unless the settings have another name.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        stream: TcpStream,
        host: &str,
    ) -> Result<TlsStream<TcpStream>, NodeError> {
        let tls = Arc::clone(self);
        let config = spawn_blocking(move || tls.config()).await.map_err(io::Error::other)?;
        let name = self.server_name(host).and_then(|name| Ok((name, config?)));
        let (name, config) = name.map_err(NodeError::Settings)?;
        Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
    }

    fn server_name(&self, host: &str) -> Result<ServerName<'static>> {
        let name = self.settings.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|error| {
            let message = format!("\"{name}\" is no name that a server's certificate can have");
            Error::configuration(message)
                .caused_by(error)
                .advise(format!("set {}.tls.server_name to one", self.section))
        })
    }

    fn config(&self) -> Result<ClientConfig> {
        let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?;
        self.with_identity(versions.with_root_certificates(self.roots()?))
    }

    fn roots(&self) -> Result<RootCertStore> {
        let key = self.key("ca");
        let Some(ca) = &self.settings.ca else {
            return Err(Error::configuration(format!("{key} is not set, and TLS is asked for"))
                .advise(
                    "set it to the certificate of the authority that has signed the broker's, as \
                     PEM text or the path of a file; of a public one the file of the system will \
                     do, /etc/ssl/certs/ca-certificates.crt, say",
                ));
        };
        let mut roots = RootCertStore::empty();
        for authority in certificates(&key, &pem::read(&key, ca)?)? {
            roots.add(authority).map_err(|error| unusable(&key, error))?;
        }
        Ok(roots)
    }

    fn with_identity(
        &self,
        builder: rustls::ConfigBuilder<ClientConfig, WantsClientCert>,
    ) -> Result<ClientConfig> {
        let (certificate, key) = (self.key("certificate"), self.key("key"));
        match (&self.settings.certificate, &self.settings.key) {
            (Some(chain), Some(secret)) => {
                let chain = certificates(&certificate, &pem::read(&certificate, chain)?)?;
                let secret = private_key(&key, &pem::read_secret(&key, secret)?)?;
                builder.with_client_auth_cert(chain, secret).map_err(|error| unusable(&key, error))
            }
            (None, None) => Ok(builder.with_no_client_auth()),
            _ => Err(Error::configuration(format!("{certificate} and {key} belong together"))
                .advise("set both, or neither")),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}.tls.{name}", self.section)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn certificates(key: &str, text: &str) -> Result<Vec<CertificateDer<'static>>> {
    let chain = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let advice = "it has to hold lines from -----BEGIN CERTIFICATE----- on";
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err(Error::configuration(format!("{key} has no certificate")).advise(advice))
        }
        Ok(chain) => Ok(chain),
        Err(error) => Err(unusable(key, error).advise(advice)),
    }
}

/// What stands there is nobody's to see, so that the cause is not kept.
fn private_key(key: &str, text: &str) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
        Error::configuration(format!("{key} has no private key that can be read"))
            .advise("it has to hold lines from -----BEGIN PRIVATE KEY----- on, not encrypted")
    })
}

fn unusable(key: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::configuration(format!("{key} is of no use")).caused_by(error)
}

/// Whether TLS is the reason of an error.
pub(crate) fn is_reason_of(error: &io::Error) -> bool {
    reason(error).is_some()
}

fn reason(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What to do about an error that TLS is the reason of; the settings stand in `section`.
pub(crate) fn advice(error: &io::Error, section: &str) -> Option<String> {
    Some(match reason(error)? {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("set {section}.tls.server_name to a name that the broker's certificate has"),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "renew the broker's certificate, or correct the clock of this machine".to_owned(),
        rustls::Error::InvalidCertificate(_) => format!(
            "set {section}.tls.ca to the certificate of the authority that has signed the broker's",
        ),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::HandshakeFailure
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown,
        ) => format!(
            "set {section}.tls.certificate and {section}.tls.key to what the broker accepts of its \
             clients",
        ),
        _ => format!(
            "look whether the port in {section}.url is the broker's port for TLS (5671, as a rule)",
        ),
    })
}
