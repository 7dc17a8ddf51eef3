//! From settings to what rustls works by.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::{ClientCertificates, TlsSettings};

/// Settings for TLS do not work out: which one, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct TlsError {
    place: String,
    problem: String,
    advice: &'static str,
}

impl TlsError {
    fn new(place: &Place<'_>, problem: impl ToString, advice: &'static str) -> Self {
        Self { place: place.name(), problem: problem.to_string(), advice }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        self.advice
    }
}

/// Where a text comes from.
struct Place<'a> {
    key: &'static str,
    file: Option<&'a Path>,
    text: Option<&'a str>,
}

impl Place<'_> {
    fn name(&self) -> String {
        match self.file {
            Some(file) => format!("tls.{} ({})", self.key, file.display()),
            None => format!("tls.{}_pem", self.key),
        }
    }

    fn read(&self) -> Result<Vec<u8>, TlsError> {
        match (self.file, self.text) {
            (Some(file), _) => fs::read(file).map_err(|error| {
                TlsError::new(self, error, "name a file that this process may read")
            }),
            (None, Some(text)) => Ok(text.as_bytes().to_vec()),
            (None, None) => Err(TlsError::new(self, "is not set", "set it, or the name of a file")),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        const ADVICE: &str = "it has to hold lines from -----BEGIN CERTIFICATE----- on";
        let text = self.read()?;
        let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        match chain {
            Ok(chain) if chain.is_empty() => Err(TlsError::new(self, "has no certificate", ADVICE)),
            Ok(chain) => Ok(chain),
            Err(error) => Err(TlsError::new(self, error, ADVICE)),
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.read()?).map_err(|error| {
            // It may quote what stands there, which nobody is to see.
            let problem = match error {
                rustls_pki_types::pem::Error::NoItemsFound => "has no private key",
                _ => "is no private key that can be read",
            };
            let advice = "it has to hold lines from -----BEGIN PRIVATE KEY----- on, not encrypted";
            TlsError::new(self, problem, advice)
        })
    }
}

pub(super) fn config(settings: &TlsSettings) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let key = certified_key(settings, &provider)?;
    let verifier = client_verifier(settings, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::new(&certificate(settings), error, "report it as a bug"))?;
    let mut config = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    }
    .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificate(settings: &TlsSettings) -> Place<'_> {
    Place {
        key: "certificate",
        file: settings.certificate.as_deref(),
        text: settings.certificate_pem.as_deref(),
    }
}

fn certified_key(
    settings: &TlsSettings,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let place = Place {
        key: "key",
        file: settings.key.as_deref(),
        text: settings.key_pem.as_ref().map(|key| key.expose().as_str()),
    };
    let chain = certificate(settings).certificates()?;
    let key = place.key()?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        TlsError::new(&place, error, "it has to be the key that the certificate was made for")
    })
}

fn client_verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    if settings.client_certificates == ClientCertificates::None {
        return Ok(None);
    }
    let place = Place {
        key: "client_ca",
        file: settings.client_ca.as_deref(),
        text: settings.client_ca_pem.as_deref(),
    };
    let refused = |problem: String| {
        TlsError::new(&place, problem, "it has to hold the certificates of authorities")
    };
    let mut roots = RootCertStore::empty();
    for authority in place.certificates()? {
        roots.add(authority).map_err(|error| refused(error.to_string()))?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match settings.client_certificates {
        ClientCertificates::Optional => builder.allow_unauthenticated(),
        _ => builder,
    };
    builder.build().map(Some).map_err(|error| refused(error.to_string()))
}
