//! The section `http.cors`.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

/// The section `http.cors`: which pages of other origins may read the answers. Off while it names
/// no origin.
///
/// Its headers stand on every answer, whoever gives it, and preflights are answered before anything
/// else sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct CorsSettings {
    /// The origins: `https://app.example.com`; with one `*` for a part of the host or for the port
    /// (`https://*.example.com`, `http://localhost:*`); or `*` for all. Default none.
    #[garde(custom(are_origins), custom(are_named(self.credentials)))]
    pub origins: Vec<String>,
    /// The methods; default `GET`, `HEAD`, `POST`, `PUT`, `PATCH` and `DELETE`.
    #[garde(inner(custom(is_token)))]
    pub methods: Vec<String>,
    /// The headers that a request may have beyond those that always may; `*` for all that it asks
    /// for. Default `authorization`, `content-type` and `x-request-id`.
    #[garde(inner(custom(is_token)))]
    pub headers: Vec<String>,
    /// The headers of an answer that pages may read beyond those that they always may; default
    /// `x-request-id`.
    #[garde(inner(custom(is_token)))]
    pub expose: Vec<String>,
    /// Whether requests may carry cookies and client certificates; not together with an
    /// origin that any page can have: `*`, `null`, `https://*`. Default false.
    pub credentials: bool,
    /// How long browsers may keep the answer to a preflight; default 10 min.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

impl Default for CorsSettings {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            origins: Vec::new(),
            methods: owned(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
            headers: owned(&["authorization", "content-type", "x-request-id"]),
            expose: owned(&["x-request-id"]),
            credentials: false,
            max_age: Duration::from_secs(600),
        }
    }
}

fn are_origins(origins: &[String], _: &()) -> garde::Result {
    match origins.iter().find(|origin| !is_origin(origin)) {
        None => Ok(()),
        Some(origin) => Err(garde::Error::new(format!(
            "{origin:?} is no origin: write it as scheme://host, with a port where it is not the \
             scheme's own, without a slash at its end and with at most one *"
        ))),
    }
}

fn is_origin(origin: &str) -> bool {
    let has_host = |origin: &str| {
        let (scheme, host) = origin.split_once("://")?;
        let is_plain =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]*".contains(&b);
        let is_host = !host.is_empty() && host.bytes().all(is_plain) && !scheme.contains('*');
        (is_host && !scheme.is_empty() && host.matches('*').count() < 2).then_some(())
    };
    matches!(origin, "*" | "null") || has_host(origin).is_some()
}

/// Any page of any origin could act in the user's name.
fn are_named(credentials: bool) -> impl FnOnce(&[String], &()) -> garde::Result {
    move |origins, ()| match origins.iter().find(|origin| credentials && is_anybody(origin)) {
        Some(origin) => {
            let fault = format!("name the origins that may send credentials, instead of {origin}");
            Err(garde::Error::new(fault))
        }
        None => Ok(()),
    }
}

/// Whether any page can be of this origin: one in a sandboxed frame has the origin `null`.
fn is_anybody(origin: &str) -> bool {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    matches!(host, "null" | "*") || host.starts_with("*:")
}

fn is_token(name: &str, _: &()) -> garde::Result {
    match http::HeaderName::try_from(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(garde::Error::new(format!("{name:?} is neither a method nor a header"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_open_more_than_meant_are_refused() {
        let with = |origins: &[&str], credentials| {
            let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
            CorsSettings { origins, credentials, ..CorsSettings::default() }.validate()
        };
        for origins in [&["*"][..], &["https://a.example", "http://localhost:*"], &["null"], &[]] {
            assert!(with(origins, false).is_ok(), "{origins:?}");
        }
        for anybody in ["*", "null", "https://*", "https://*:8443", "*://*"] {
            assert!(with(&[anybody], true).is_err(), "{anybody}");
        }
        assert!(with(&["https://*.a.example", "http://localhost:*"], true).is_ok());
        for origin in ["a.example", "https://a.example/", "https://*.*", "*://a", "https://", "**"]
        {
            assert!(with(&[origin], false).is_err(), "{origin}");
        }
    }
}
