//! What the head of a request says beyond its route.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use http_body::Body;
use polyport_bootstrap::operation::{Context, Fault, RequestId, peer_timeout};
use tokio::time::Instant;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's id.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) id: RequestId,
    /// The header that the client has sent, where it is the id.
    given: Option<HeaderValue>,
}

impl Identity {
    /// The id that the client gave, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(X_REQUEST_ID);
        let id = RequestId::from_peer(given.and_then(|value| value.to_str().ok()));
        let given = given.filter(|given| *given == id.as_str()).cloned();
        Self { id, given }
    }

    /// The header that tells others. Made where it is needed: a value that is kept and copied costs
    /// more than one that is only written.
    pub(crate) fn header(&self) -> HeaderValue {
        self.given.clone().unwrap_or_else(|| {
            // Ids are visible ASCII, which every header can hold.
            let header = HeaderValue::from_str(self.id.as_str());
            let mut header = header.unwrap_or(HeaderValue::from_static("-"));
            // It never comes again: a place in HPACK's table would be taken from one that does.
            header.set_sensitive(true);
            header
        })
    }
}

/// When the call is to be answered: after the framework's time, or sooner where the client asks for
/// that. What is no number of milliseconds is refused, since the client would rely on it.
pub(crate) fn deadline(
    headers: &HeaderMap,
    limit: Option<Duration>,
) -> Result<Option<Instant>, Fault> {
    let asked = peer_timeout(headers)?;
    let timeout = match (asked, limit) {
        (Some(asked), Some(limit)) => Some(asked.min(limit)),
        (asked, limit) => asked.or(limit),
    };
    Ok(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
}

/// When the caller of a call waits no longer for what follows the beginning of its answer, where it
/// says so; the framework's `limit` ends there.
pub(crate) fn patience(call: &Context, limit: Option<Duration>) -> Option<Instant> {
    let asked = peer_timeout(&call.metadata).ok().flatten()?;
    let beyond = limit.map_or(Duration::ZERO, |limit| asked.saturating_sub(limit));
    call.deadline?.checked_add(beyond)
}

/// Checks what hyper lets pass: RFC 9112 wants 400 for a `Host` that is missing, there twice or
/// malformed (section 3.2), and for transfer codings that we do not undo (section 6.1), by which
/// requests are smuggled past proxies.
pub(crate) fn check(version: Version, headers: &HeaderMap, body: &impl Body) -> Result<(), Fault> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_11 => {
            return Err(malformed("the header Host is missing"));
        }
        (Some(_), Some(_)) => return Err(malformed("there are two headers Host")),
        (Some(host), None) if !is_host(host.as_bytes()) => {
            return Err(malformed("the header Host names no host"));
        }
        _ => {}
    }
    if body.is_end_stream() || has_plain_framing(headers) {
        return Ok(());
    }
    Err(malformed("only the transfer coding chunked is understood, and only once"))
}

fn malformed(message: &'static str) -> Fault {
    Fault::invalid_argument("MALFORMED_REQUEST", message)
}

/// Whether this is the `host [ ":" port ]` of RFC 3986, as far as characters go.
fn is_host(host: &[u8]) -> bool {
    let (name, rest) = match host.iter().position(|byte| *byte == b']') {
        Some(end) if host[0] == b'[' => host.split_at(end + 1),
        Some(_) => return false,
        None => host.split_at(host.iter().position(|b| *b == b':').unwrap_or(host.len())),
    };
    let literal = name.first() == Some(&b'[');
    let port = rest.strip_prefix(b":").unwrap_or(rest);
    name.iter().all(|byte| is_host_byte(*byte) || (literal && b"[:]".contains(byte)))
        && (rest.is_empty() || rest[0] == b':')
        && port.iter().all(u8::is_ascii_digit)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

fn has_plain_framing(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next();
    first.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_are_told_from_what_is_none() {
        for host in ["", "a", "a.b-c:80", "127.0.0.1:7001", "[::1]:80", "[::1]", "a:", "a_b"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in ["a b", "a/b", "a@b", "a:b", "[::1", "::1", "a]", "[::1]x", "a:80:80", "ä"] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_host_check_panic(host in any::<Vec<u8>>()) {
            let _ = is_host(&host);
        }
    }
}
