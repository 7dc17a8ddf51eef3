//! What the head of a request says beyond its route.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version, header, request::Parts};
use http_body::Body;
use polyport_bootstrap::operation::{
    Context, Fault, RequestId, TIMEOUT_HEADER, peer_timeout, timeout_of,
};
use polyport_listener::Client;
use tokio::time::Instant;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_REQUEST_TIMEOUT: HeaderName = HeaderName::from_static(TIMEOUT_HEADER);

/// A request before anybody has looked where it goes.
pub(crate) struct Arrival {
    pub(crate) caller: Caller,
    pub(crate) asked: Asked,
    pub(crate) is_head: bool,
    /// When it came.
    pub(crate) at: Instant,
}

impl Arrival {
    /// What has come `at` that time.
    pub(crate) fn of(
        request: &Request<impl Body>,
        at: Instant,
        client: Option<Arc<Client>>,
    ) -> Self {
        let said = Said::by(request.headers());
        Self {
            caller: Caller { id: said.id(at), client },
            asked: said.asked(request.version(), request.body()),
            is_head: request.method() == Method::HEAD,
            at,
        }
    }
}

/// The head, of which nothing is left where it was.
pub(crate) fn taken(head: &mut Parts) -> Parts {
    let (mut taken, ()) = Request::new(()).into_parts();
    std::mem::swap(head, &mut taken);
    taken
}

/// What a call is known by, and who makes it.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) id: RequestId,
    /// None where the extensions of the request tell.
    pub(crate) client: Option<Arc<Client>>,
}

/// The header that tells others of an id. Made where it is needed: a value that is kept and copied
/// costs more than one that is only written.
pub(crate) fn id_header(id: &RequestId) -> HeaderValue {
    // Ids are visible ASCII, which every header can hold.
    let header = HeaderValue::from_bytes(id.as_bytes());
    let mut header = header.unwrap_or(HeaderValue::from_static("-"));
    // It never comes again: a place in HPACK's table would be taken from one that does.
    header.set_sensitive(true);
    header
}

/// How long a client waits, or why it is refused whatever it asks for.
pub(crate) type Asked = Result<Option<Duration>, Fault>;

/// What every call asks of its headers, found in one pass over them: to look one up by its name,
/// that is hashed first.
pub(crate) struct Said<'h> {
    hosts: Lines<'h>,
    codings: Lines<'h>,
    timeout: Lines<'h>,
    ids: Lines<'h>,
}

/// The lines of one header.
struct Lines<'h> {
    first: Option<&'h HeaderValue>,
    has_more: bool,
}

impl<'h> Lines<'h> {
    const NONE: Self = Self { first: None, has_more: false };

    fn add(&mut self, line: &'h HeaderValue) {
        match self.first {
            None => self.first = Some(line),
            Some(_) => self.has_more = true,
        }
    }
}

impl<'h> Said<'h> {
    pub(crate) fn by(headers: &'h HeaderMap) -> Self {
        let [mut hosts, mut codings, mut timeout, mut ids] = [const { Lines::NONE }; 4];
        for (name, value) in headers {
            if *name == header::HOST {
                hosts.add(value);
            } else if *name == header::TRANSFER_ENCODING {
                codings.add(value);
            } else if *name == X_REQUEST_TIMEOUT {
                timeout.add(value);
            } else if *name == X_REQUEST_ID {
                ids.add(value);
            }
        }
        Self { hosts, codings, timeout, ids }
    }

    /// The id that the client gave, or a new one.
    fn id(&self, now: Instant) -> RequestId {
        let given = self.ids.first.and_then(|value| value.to_str().ok());
        RequestId::from_peer_at(now, given)
    }

    /// How long the client waits, where it says so. What is no number of milliseconds is refused,
    /// since the client would rely on it.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, Fault> {
        self.timeout.first.map(timeout_of).transpose()
    }

    /// How long the client waits, where nothing is wrong with the request so far.
    pub(crate) fn asked(&self, version: Version, body: &impl Body) -> Asked {
        self.check(version, body).and_then(|()| self.timeout())
    }

    /// Checks what hyper lets pass: RFC 9112 wants 400 for a `Host` that is missing, there twice or
    /// malformed (section 3.2), and for transfer codings that we do not undo (section 6.1), by which
    /// requests are smuggled past proxies.
    pub(crate) fn check(&self, version: Version, body: &impl Body) -> Result<(), Fault> {
        match self.hosts {
            Lines { first: None, .. } if version == Version::HTTP_11 => {
                return Err(malformed("the header Host is missing"));
            }
            Lines { has_more: true, .. } => return Err(malformed("there are two headers Host")),
            Lines { first: Some(host), .. } if !is_host(host.as_bytes()) => {
                return Err(malformed("the header Host names no host"));
            }
            _ => {}
        }
        if body.is_end_stream() || self.has_plain_framing() {
            return Ok(());
        }
        Err(malformed("only the transfer coding chunked is understood, and only once"))
    }

    fn has_plain_framing(&self) -> bool {
        let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        self.codings.first.is_none_or(is_chunked) && !self.codings.has_more
    }
}

/// When a call that has begun `now` is to be answered: after the time that it may take, or sooner
/// where the client asks for that.
pub(crate) fn deadline(
    now: Instant,
    asked: Option<Duration>,
    limit: Option<Duration>,
) -> Option<Instant> {
    let timeout = match (asked, limit) {
        (Some(asked), Some(limit)) => Some(asked.min(limit)),
        (asked, limit) => asked.or(limit),
    };
    now.checked_add(timeout?)
}

/// When the caller of a call waits no longer for what follows the beginning of its answer, where it
/// says so; the framework's `limit` ends there.
pub(crate) fn patience(call: &Context, limit: Option<Duration>) -> Option<Instant> {
    let asked = peer_timeout(&call.metadata).ok().flatten()?;
    let beyond = limit.map_or(Duration::ZERO, |limit| asked.saturating_sub(limit));
    call.deadline?.checked_add(beyond)
}

fn malformed(message: &'static str) -> Fault {
    Fault::invalid_argument("MALFORMED_REQUEST", message)
}

/// Whether this is the `host [ ":" port ]` of RFC 3986, as far as characters go.
fn is_host(host: &[u8]) -> bool {
    host.iter().all(|byte| is_host_byte(*byte)) || is_host_with_more(host)
}

/// With a port, or as a literal address.
fn is_host_with_more(host: &[u8]) -> bool {
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
    HOST_BYTES[usize::from(byte)]
}

/// Which bytes a host is made of: looked up, since every request has one.
const HOST_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"-._~%!$&'()*+,;=";
    let mut at = 0;
    while at < table.len() {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

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
