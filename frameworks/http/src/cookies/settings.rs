//! The section `http.cookies`.

use garde::Validate;
use polyport_bootstrap::config::Secret;
use serde::{Deserialize, Serialize};

/// The section `http.cookies`: how cookies are signed, encrypted and protected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct CookieSettings {
    /// The keys of signed and private cookies, of 32 characters at least, best random ones. The
    /// first signs and encrypts; those of all others are still read, so that a new key is put before
    /// the old one, and the old one is taken out when its cookies have expired. Default none: such
    /// cookies cannot be set, and none is read.
    #[serde(skip_serializing)]
    #[garde(inner(length(min = 32)))]
    pub keys: Vec<Secret<String>>,
    /// Whether cookies are sent back over TLS only (the attribute `Secure`): `auto`, `always` or
    /// `never`; default `auto`.
    pub secure: SecureCookies,
}

/// Whether cookies are sent back over TLS only, unless a cookie says so itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecureCookies {
    /// Where the client sent its request so, to this process or to a trusted proxy before it.
    #[default]
    Auto,
    /// In any case: for a server behind a proxy that ends TLS.
    Always,
    /// Only where the cookie says so itself.
    Never,
}
