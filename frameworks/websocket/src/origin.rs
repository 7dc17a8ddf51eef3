//! Which pages may connect (RFC 6455, section 10.2).

use http::{
    Request,
    header::{HOST, ORIGIN},
};
use polyport_bootstrap::Fault;
use polyport_listener::Forwarded;

use crate::refusal::Refusal;

/// Refuses a page that is of another origin and not named: browsers let every page connect, and send
/// the user's cookies along. Whoever sends no `Origin` is no page.
pub(crate) fn check<B>(origins: &[String], request: &Request<B>) -> Result<(), Refusal> {
    let mut given = request.headers().get_all(ORIGIN).iter();
    let (origin, further) = (given.next(), given.next());
    let Some(origin) = origin else { return Ok(()) };
    let is_let_in = origin.to_str().is_ok_and(|origin| {
        origins.iter().any(|known| matches(known, origin)) || is_own(origin, request)
    });
    match is_let_in && further.is_none() {
        true => Ok(()),
        false => Err(foreign()),
    }
}

/// Whether the page came from the host that it connects to, as a trusted proxy or the request itself
/// names it. The scheme does not matter: who ends TLS may be somebody else.
fn is_own<B>(origin: &str, request: &Request<B>) -> bool {
    let told = request.extensions().get().and_then(Forwarded::host);
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = told.map(ToString::to_string).or_else(|| named.map(str::to_owned));
    let host = host.or_else(|| request.uri().authority().map(ToString::to_string));
    let of_page = origin.split_once("://").map(|(_, host)| host);
    host.zip(of_page).is_some_and(|(host, of_page)| host.eq_ignore_ascii_case(of_page))
}

/// Whether an origin is the one that is named, whose one `*` stands for a part of it.
fn matches(named: &str, origin: &str) -> bool {
    if named == "*" {
        return true;
    }
    let Some((before, behind)) = named.split_once('*') else { return named == origin };
    let part = origin.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    part.is_some_and(|part| !part.is_empty() && part.bytes().all(is_plain))
}

fn foreign() -> Refusal {
    let message = "pages of this origin may not connect";
    Refusal(Fault::permission_denied("FOREIGN_ORIGIN", message), Vec::new())
}

/// What `origins` of the settings may name.
pub(crate) fn is_origin(origin: &str, (): &()) -> garde::Result {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]*".contains(&b);
    let written = origin.split_once("://");
    let is_sent = written.is_some_and(|(scheme, host)| {
        let is_scheme = !scheme.is_empty() && !scheme.contains('*');
        is_scheme && !host.is_empty() && host.bytes().all(is_plain) && host.matches('*').count() < 2
    });
    match is_sent || matches!(origin, "*" | "null") {
        true => Ok(()),
        false => Err(garde::Error::new(format!(
            "{origin:?} is no origin: write it like https://app.example.com, or \"*\" for all"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_let_in(origins: &[&str], host: &str, sent: &[&str]) -> bool {
        let origins: Vec<_> = origins.iter().map(|&origin| origin.to_owned()).collect();
        let mut request = Request::get("/ws").header(HOST, host);
        for origin in sent {
            request = request.header(ORIGIN, *origin);
        }
        check(&origins, &request.body(()).expect("a request")).is_ok()
    }

    #[test]
    fn pages_of_the_same_host_and_those_that_are_named_are_let_in() {
        let named = ["https://app.example.com", "https://*.a.example", "http://localhost:*"];
        for sent in [
            &[][..],
            &["https://chat.example"],
            &["http://chat.example"],
            &["https://app.example.com"],
            &["https://x.a.example"],
            &["http://localhost:3000"],
        ] {
            assert!(is_let_in(&named, "chat.example", sent), "{sent:?}");
        }
        for sent in [
            &["https://evil.example"][..],
            &["https://chat.example.evil.example"],
            &["https://chat.example:8443"],
            &["https://evil.example/x.a.example"],
            &["https://.a.example"],
            &["null"],
            &[""],
            &["chat.example"],
            &["https://chat.example", "https://evil.example"],
        ] {
            assert!(!is_let_in(&named, "chat.example", sent), "{sent:?}");
        }
        assert!(is_let_in(&["*"], "a", &["https://b"]) && is_let_in(&["null"], "a", &["null"]));
    }

    #[test]
    fn over_http2_the_host_is_in_the_uri() {
        let request = |uri: &str| {
            Request::connect(uri).header(ORIGIN, "https://a:1").body(()).expect("a request")
        };
        assert!(check(&[], &request("https://a:1/ws")).is_ok());
        assert!(check(&[], &request("https://b:1/ws")).is_err());
    }

    #[test]
    fn what_no_browser_sends_is_no_origin() {
        for origin in ["*", "null", "https://a.example", "https://*.a", "http://localhost:*"] {
            assert!(is_origin(origin, &()).is_ok(), "{origin}");
        }
        for origin in ["a.example", "https://a/", "https://A", "*://a", "https://*.*", "://a", ""] {
            assert!(is_origin(origin, &()).is_err(), "{origin}");
        }
    }

    proptest! {
        #[test]
        fn no_page_of_another_host_is_let_in(origin in "[ -~]{0,40}") {
            let own = ["https://chat.example", "http://chat.example"];
            let is_own = origin.split_once("://").is_some_and(|(_, host)| {
                host.eq_ignore_ascii_case("chat.example")
            });
            prop_assert_eq!(is_let_in(&[], "chat.example", &[&origin]), is_own);
            prop_assert!(own.iter().all(|own| is_let_in(&[], "chat.example", &[own])));
        }
    }
}
