//! Cross-origin resource sharing (the Fetch standard, section 3.3).

mod settings;

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
        ORIGIN, VARY,
    },
};
use polyport_listener::ResponseBody;

pub use self::settings::CorsSettings;
use crate::adapter::empty;

/// Which pages of other origins may read the answers.
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

    /// The origin that may read the answer, as the answer names it.
    pub(crate) fn reader(&self, request: &HeaderMap) -> Option<HeaderValue> {
        if self.any_origin {
            return Some(ANY);
        }
        let origin = request.get(ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|known| known.matches(text)).then(|| origin.clone())
    }

    /// What a browser is told that asks what its page may do.
    pub(crate) fn preflight(&self, request: &HeaderMap) -> Response<ResponseBody> {
        let mut response = empty(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        headers.append(VARY, VARY_PREFLIGHT);
        if self.reader(request).is_some() {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS);
            if let Some(allowed) = self.headers.as_ref().or(asked) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
            }
            headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        response
    }

    /// Says on an answer who may read it, unless it says so itself.
    pub(crate) fn write(&self, reader: Option<HeaderValue>, answer: &mut HeaderMap) {
        if !self.any_origin {
            answer.append(VARY, VARY_ORIGIN);
        }
        let Some(reader) = reader else { return };
        // Half of one policy and half of another would be a third one that nobody has meant.
        if answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, reader);
        if self.credentials {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        if let Some(expose) = &self.expose {
            answer.entry(ACCESS_CONTROL_EXPOSE_HEADERS).or_insert_with(|| expose.clone());
        }
    }
}

/// Whether a browser asks what one of its pages may do.
pub(crate) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
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
}
