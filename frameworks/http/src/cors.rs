//! Cross-origin resource sharing (the Fetch standard, section 3.3).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use garde::Validate;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
        ORIGIN, VARY,
    },
};
use polyport_bootstrap::operation::{Context, Fault, Interceptor, Next, Reply, ReplyBody};
use serde::{Deserialize, Serialize};

use crate::{core::Settled, request::Head};

/// The section `http.cors`: which pages of other origins may read the answers. Off while it names
/// no origin.
///
/// It is the middleware `cors` of the core band: it answers preflights before any guard, and its
/// headers stand on faults as well.
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

/// The middleware `cors`.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Vec<Pattern>,
    any_origin: bool,
    methods: HeaderValue,
    /// None for whatever is asked for.
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
}

/// What stands before and behind the `*` of an origin, if it has one.
#[derive(Debug)]
struct Pattern(String, Option<String>);

impl Pattern {
    fn new(origin: &str) -> Self {
        match origin.split_once('*') {
            Some((before, behind)) => Self(before.to_owned(), Some(behind.to_owned())),
            None => Self(origin.to_owned(), None),
        }
    }

    fn matches(&self, origin: &str) -> bool {
        let Self(before, behind) = self;
        let Some(behind) = behind else { return before == origin };
        let part = origin.strip_prefix(&**before).and_then(|rest| rest.strip_suffix(&**behind));
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(is_plain))
    }
}

const TRUE: HeaderValue = HeaderValue::from_static("true");
const ANY: HeaderValue = HeaderValue::from_static("*");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("origin");
const VARY_PREFLIGHT: HeaderValue =
    HeaderValue::from_static("access-control-request-method, access-control-request-headers");

impl Cors {
    /// None where no origin is named.
    pub(crate) fn new(settings: &CorsSettings) -> Option<Self> {
        let CorsSettings { origins, methods, headers, expose, credentials, max_age } = settings;
        let any_origin = origins.iter().any(|origin| origin == "*");
        let any_header = headers.iter().any(|header| header == "*");
        (!origins.is_empty()).then(|| Self {
            origins: origins.iter().map(|origin| Pattern::new(origin)).collect(),
            any_origin,
            methods: list(methods),
            headers: (!any_header).then(|| list(headers)),
            expose: (!expose.is_empty()).then(|| list(expose)),
            credentials: *credentials,
            max_age: max_age.as_secs().into(),
        })
    }

    fn allow_origin(&self, request: &HeaderMap) -> Option<HeaderValue> {
        if self.any_origin {
            return Some(ANY);
        }
        let origin = request.get(ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|known| known.matches(text)).then(|| origin.clone())
    }

    /// What every answer says.
    fn write(
        &self,
        request: &HeaderMap,
        out: &mut impl FnMut(http::HeaderName, HeaderValue),
    ) -> bool {
        if !self.any_origin {
            out(VARY, VARY_ORIGIN);
        }
        let Some(origin) = self.allow_origin(request) else { return false };
        out(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            out(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        true
    }

    fn preflight(&self, request: &HeaderMap) -> Reply {
        let mut reply = Reply::new(ReplyBody::Empty);
        let headers = reply.headers_mut();
        let allows = self.write(request, &mut |name, value| {
            headers.append(name, value);
        });
        headers.append(VARY, VARY_PREFLIGHT);
        if allows {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS);
            if let Some(allowed) = self.headers.as_ref().or(asked) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
            }
            headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        reply
    }

    fn write_answer(
        &self,
        request: &HeaderMap,
        mut out: impl FnMut(http::HeaderName, HeaderValue),
    ) {
        let allows = self.write(request, &mut out);
        if let (true, Some(expose)) = (allows, &self.expose) {
            out(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }
}

#[async_trait]
impl Interceptor for Cors {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        if is_preflight(context) {
            return Ok(self.preflight(&context.metadata));
        }
        match next.run(context).await {
            Ok(mut reply) => {
                let headers = reply.headers_mut();
                self.write_answer(&context.metadata, |name, value| {
                    headers.append(name, value);
                });
                Ok(reply)
            }
            Err(fault) => {
                let mut headers = Vec::new();
                self.write_answer(&context.metadata, |name, value| headers.push((name, value)));
                let add = |fault: Fault, (name, value)| fault.with_header(name, value);
                Err(headers.into_iter().fold(fault, add))
            }
        }
    }
}

/// Whether a browser asks what it may do at a path that is served.
fn is_preflight(context: &Context) -> bool {
    let is_options = |head: &Head| head.method == Method::OPTIONS;
    context.extension::<Head>().is_some_and(is_options)
        && context.metadata.contains_key(ORIGIN)
        && context.metadata.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        && context.extension::<Arc<Settled>>().is_none_or(|settled| settled.is_known)
}

fn list(names: &[String]) -> HeaderValue {
    // They have been checked to be tokens.
    HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_matched_as_a_whole() {
        let matches = |pattern: &str, origin| Pattern::new(pattern).matches(origin);
        assert!(matches("https://a.example", "https://a.example"));
        assert!(matches("https://*.example", "https://a.b.example"));
        assert!(matches("http://localhost:*", "http://localhost:3000"));
        for (pattern, origin) in [
            ("https://a.example", "https://a.example.evil"),
            ("https://a.example", "http://a.example"),
            ("https://*.example", "https://.example"),
            ("https://*.example", "https://evil/.example"),
            ("https://*.example", "https://evil@x.example"),
            ("https://*.example", "https://evil:1.example"),
            ("http://localhost:*", "http://localhost:1@evil"),
            ("null", "https://null"),
        ] {
            assert!(!matches(pattern, origin), "{pattern} {origin}");
        }
    }

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
