//! Redirects, and where they may lead.

use std::fmt::Write;

use http::{HeaderValue, StatusCode, header::LOCATION};
use polyport_bootstrap::operation::{Context, Fault, IntoReply, OperationInfo, Reply, ReplyBody};

use crate::{PROTOCOL, request::Head};

/// An answer that sends the client elsewhere (RFC 9110, section 15.4). On HTTP only: an operation
/// that returns it is a wiring error at start where it is served otherwise.
///
/// The target is a path (`/users/7`, with query and fragment as wanted), or an `http` or `https`
/// URL of a host that `http.redirect_hosts` names. Anything else (`//evil.example`,
/// `/\evil.example`, user info, control characters) is refused with 400, so that a target which a
/// caller has given leads nowhere that nobody meant. [`anywhere`](Self::anywhere) says otherwise.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::Fault;
/// use polyport_http::Redirect;
///
/// async fn logged_in() -> Result<Redirect, Fault> {
///     Ok(Redirect::see_other("/home"))
/// }
/// # drop(logged_in);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    status: StatusCode,
    target: String,
    is_anywhere: bool,
}

impl Redirect {
    /// The client calls the target in the same way, this time: 307.
    pub fn to(target: impl Into<String>) -> Self {
        Self::with(StatusCode::TEMPORARY_REDIRECT, target.into())
    }

    /// The client calls the target in the same way, from now on: 308.
    pub fn permanent(target: impl Into<String>) -> Self {
        Self::with(StatusCode::PERMANENT_REDIRECT, target.into())
    }

    /// The client gets the target with GET, as after a form: 303.
    pub fn see_other(target: impl Into<String>) -> Self {
        Self::with(StatusCode::SEE_OTHER, target.into())
    }

    /// As [`to`](Self::to), to any URL whatever: only for targets that no caller has a say in.
    pub fn anywhere(target: impl Into<String>) -> Self {
        Self { is_anywhere: true, ..Self::to(target) }
    }

    /// Sets another status: 301, 302, 303, 307 or 308; others are taken for 307.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        let leads = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        self.status = if leads { status } else { StatusCode::TEMPORARY_REDIRECT };
        self
    }

    fn with(status: StatusCode, target: String) -> Self {
        Self { status, target, is_anywhere: false }
    }
}

impl IntoReply for Redirect {
    fn into_reply(self, context: &Context) -> Result<Reply, Fault> {
        let allows = |head: &Head| head.place.site.redirects.allow(&self.target);
        if !self.is_anywhere && !context.extension().is_some_and(allows) {
            return Err(refused());
        }
        let location = encoded(&self.target).ok_or_else(refused)?;
        let reply = Reply::new(ReplyBody::Empty).with_status(self.status);
        Ok(reply.with_header(LOCATION, location))
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "Redirect");
    }
}

fn refused() -> Fault {
    Fault::invalid_argument(
        "REDIRECT_REFUSED",
        "the answer would lead to a host that is not allowed",
    )
}

/// The target as a header; what is no ASCII is percent-encoded. None where it has control
/// characters.
fn encoded(target: &str) -> Option<HeaderValue> {
    let mut out = String::with_capacity(target.len());
    for c in target.chars() {
        match c {
            c if c.is_ascii_graphic() => out.push(c),
            c if c.is_control() => return None,
            c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| {
                // Writing to a string does not fail.
                let _ = write!(out, "%{byte:02X}");
            }),
        }
    }
    HeaderValue::try_from(out).ok()
}

/// The hosts that redirects may lead to: `example.com`, `example.com:8443`, `*.example.com`.
#[derive(Debug, Default)]
pub(crate) struct RedirectHosts(Vec<String>);

impl RedirectHosts {
    pub(crate) fn new(hosts: &[String]) -> Self {
        Self(hosts.iter().map(|host| host.to_ascii_lowercase()).collect())
    }

    /// Browsers take `\` for `/`, and drop tabs and line ends before they read a URL.
    fn allow(&self, target: &str) -> bool {
        if target.contains('\\') || target.chars().any(char::is_control) {
            return false;
        }
        match target.strip_prefix('/') {
            Some(rest) => !rest.starts_with('/'),
            None => host_of(target).is_some_and(|host| self.has(&host)),
        }
    }

    fn has(&self, authority: &str) -> bool {
        self.0.iter().any(|known| match known.strip_prefix('*') {
            Some(suffix) => authority
                .strip_suffix(suffix)
                .is_some_and(|sub| !sub.is_empty() && !sub.starts_with('.')),
            None => known == authority,
        })
    }
}

/// Host and port of an absolute URL of HTTP, in lower case and without the port that is meant
/// anyway.
fn host_of(target: &str) -> Option<String> {
    let (scheme, rest) = target.split_once("://")?;
    let port = match scheme.to_ascii_lowercase().as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(is_plain) {
        return None;
    }
    let authority = authority.to_ascii_lowercase();
    Some(authority.strip_suffix(port).unwrap_or(&authority).to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts() -> RedirectHosts {
        RedirectHosts::new(&["Good.example".into(), "other:8443".into(), "*.wild.example".into()])
    }

    #[test]
    fn paths_and_allowed_hosts_get_through() {
        for target in [
            "/",
            "/a?next=//x#y",
            "/ä b",
            "https://good.example",
            "HTTPS://GOOD.example:443/a@b",
            "http://good.example/?u=http://evil",
            "https://other:8443/",
            "https://a.wild.example/x",
            "https://a.b.wild.example",
        ] {
            assert!(hosts().allow(target), "{target}");
            assert!(encoded(target).is_some(), "{target}");
        }
    }

    #[test]
    fn tricks_do_not() {
        for target in [
            "",
            "a",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x=y",
            " //evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "https://evil.example",
            "https://good.example@evil.example",
            "https://good.example:x@evil.example",
            "https://evil.example\\@good.example",
            "https://evil.example#@good.example",
            "https://good.example.evil.example",
            "https://evilgood.example",
            "https://good.example:8080",
            "https://.wild.example",
            "https://wild.example",
            "https://evil.example/.wild.example",
            "javascript:alert(1)",
            "data://good.example",
            "ftp://good.example",
            "https://good.example%2eevil.example",
            "https://good\u{3002}example",
        ] {
            let is_let_through = hosts().allow(target) && encoded(target).is_some();
            assert!(!is_let_through, "{target:?}");
        }
    }

    proptest! {
        #[test]
        fn a_location_is_never_more_than_one_line(target in any::<String>()) {
            if let Some(location) = encoded(&target) {
                prop_assert!(location.as_bytes().iter().all(u8::is_ascii_graphic));
            }
        }

        #[test]
        fn no_other_host_gets_through(target in "(https?:)?[/\\\\]{1,3}[a-z@:.\\\\/#?]{0,12}evil") {
            if hosts().allow(&target) {
                prop_assert!(target.starts_with('/') && !target.starts_with("//"));
            }
        }
    }
}
