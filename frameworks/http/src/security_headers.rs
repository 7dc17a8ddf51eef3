//! Headers that tell browsers to be careful.

use std::time::Duration;

use garde::Validate;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use serde::{Deserialize, Serialize};

/// The section `http.security_headers`: what answers tell browsers. A header that an operation or a
/// mounted router sets by itself stays as it is; an empty text leaves one out. They stand on every
/// answer, whoever gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct SecurityHeaderSettings {
    /// Whether they are sent; default true.
    pub enabled: bool,
    /// `X-Content-Type-Options`; default `nosniff`.
    #[garde(custom(is_value))]
    pub content_type_options: String,
    /// `X-Frame-Options`: whether other pages may show this one; default `SAMEORIGIN`.
    #[garde(custom(is_value))]
    pub frame_options: String,
    /// The directive `frame-ancestors` of `Content-Security-Policy`, which newer browsers heed
    /// instead: `'self' https://portal.example.com`. Default none.
    #[garde(custom(is_value))]
    pub frame_ancestors: String,
    /// `Referrer-Policy`; default `strict-origin-when-cross-origin`.
    #[garde(custom(is_value))]
    pub referrer_policy: String,
    /// For how long browsers call this host by HTTPS only (`Strict-Transport-Security`, RFC 6797).
    /// Whoever sets it cannot go back to plain HTTP before that. Default `0s`: the header is not
    /// sent.
    #[serde(with = "humantime_serde")]
    pub hsts: Duration,
    /// Whether `hsts` is for all subdomains too; default false.
    pub hsts_subdomains: bool,
}

impl Default for SecurityHeaderSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            content_type_options: "nosniff".to_owned(),
            frame_options: "SAMEORIGIN".to_owned(),
            frame_ancestors: String::new(),
            referrer_policy: "strict-origin-when-cross-origin".to_owned(),
            hsts: Duration::ZERO,
            hsts_subdomains: false,
        }
    }
}

fn is_value(text: &str, _: &()) -> garde::Result {
    match HeaderValue::from_str(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(garde::Error::new("it has characters that no header can hold")),
    }
}

impl SecurityHeaderSettings {
    /// What all answers tell browsers.
    pub(crate) fn headers(&self) -> HeaderMap {
        let ancestors = match self.frame_ancestors.as_str() {
            "" => String::new(),
            ancestors => format!("frame-ancestors {ancestors}"),
        };
        let hsts = match (self.hsts.as_secs(), self.hsts_subdomains) {
            (0, _) => String::new(),
            (seconds, false) => format!("max-age={seconds}"),
            (seconds, true) => format!("max-age={seconds}; includeSubDomains"),
        };
        let all: [(HeaderName, &str); 5] = [
            (X_CONTENT_TYPE_OPTIONS, &self.content_type_options),
            (X_FRAME_OPTIONS, &self.frame_options),
            (CONTENT_SECURITY_POLICY, &ancestors),
            (REFERRER_POLICY, &self.referrer_policy),
            (STRICT_TRANSPORT_SECURITY, &hsts),
        ];
        let value = |(name, text): (HeaderName, &str)| Some((name, value(text)?));
        all.into_iter().filter(|_| self.enabled).filter_map(value).collect()
    }
}

/// The usual values are not counted by who has them: every answer copies them.
fn value(text: &str) -> Option<HeaderValue> {
    const USUAL: [&str; 6] = [
        "nosniff",
        "SAMEORIGIN",
        "DENY",
        "strict-origin-when-cross-origin",
        "same-origin",
        "no-referrer",
    ];
    match USUAL.iter().find(|usual| **usual == text) {
        Some(usual) => Some(HeaderValue::from_static(usual)),
        None => HeaderValue::from_str(text).ok().filter(|value| !value.is_empty()),
    }
}
