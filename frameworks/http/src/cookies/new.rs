//! The cookies of an answer.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ::cookie::Cookie;
use http::{HeaderValue, Response, header::SET_COOKIE};
use polyport_bootstrap::{
    Error,
    operation::{Context, Fault},
};

use crate::request::Head;

/// How much of a cookie browsers take (RFC 6265bis, section 5.6), in bytes.
const LONGEST: usize = 4096;

/// What an answer is going to set; nothing costs nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewCookies(OnceLock<Arc<Mutex<Vec<Cookie<'static>>>>>);

impl NewCookies {
    /// Adds one, in place of what it replaces.
    pub(super) fn add(&self, cookie: Cookie<'static>) -> Result<(), Fault> {
        header(&cookie)?;
        let cookies = self.0.get_or_init(Arc::default);
        let mut cookies = cookies.lock().unwrap_or_else(PoisonError::into_inner);
        cookies.retain(|known| key(known) != key(&cookie));
        cookies.push(cookie);
        Ok(())
    }

    fn take(&self) -> Vec<Cookie<'static>> {
        let take = |cookies: &Arc<Mutex<Vec<_>>>| {
            std::mem::take(&mut *cookies.lock().unwrap_or_else(PoisonError::into_inner))
        };
        self.0.get().map(take).unwrap_or_default()
    }
}

/// What a client tells cookies apart by.
fn key<'c>(cookie: &'c Cookie<'_>) -> (&'c str, Option<&'c str>, Option<&'c str>) {
    (cookie.name(), cookie.domain(), cookie.path())
}

/// The answer of a call with the cookies that the call has set.
pub(crate) fn written<B>(
    context: &Context,
    answer: Result<Response<B>, Fault>,
) -> Result<Response<B>, Fault> {
    let cookies = context.extension::<Head>().map(|head| head.new_cookies.take());
    let cookies = cookies.unwrap_or_default();
    if cookies.is_empty() {
        return answer;
    }
    let headers = cookies.iter().filter_map(|cookie| header(cookie).ok());
    match answer {
        Ok(mut response) => {
            for value in headers {
                response.headers_mut().append(SET_COOKIE, value);
            }
            Ok(response)
        }
        Err(fault) => Err(headers.fold(fault, |fault, value| fault.with_header(SET_COOKIE, value))),
    }
}

/// The value of `Set-Cookie`, unless it would be read otherwise than it is meant.
fn header(cookie: &Cookie<'_>) -> Result<HeaderValue, Fault> {
    let is_attribute = |text: Option<&str>| text.is_none_or(|text| text.bytes().all(is_plain));
    let name = cookie.name();
    let fault = if name.is_empty() || !name.bytes().all(is_token) {
        "its name is no token"
    } else if !cookie.value().bytes().all(is_octet) {
        "its value has characters that cookies cannot hold: encode it, or make it private"
    } else if !is_attribute(cookie.path()) || !is_attribute(cookie.domain()) {
        "its path or its domain has characters that cookies cannot hold"
    } else if name.len() + cookie.value().len() > LONGEST {
        "it is longer than 4096 bytes, and browsers would drop it: keep the data on this side"
    } else {
        let value = HeaderValue::try_from(cookie.to_string());
        return value.map_err(|error| Fault::internal(Error::from(error)));
    };
    Err(Error::other(format!("the cookie {name:?} cannot be set: {fault}")).into())
}

/// RFC 6265, section 4.1.1: `cookie-octet`.
fn is_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `av-octet`, as far as it is in use.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b';'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_read_otherwise_is_refused() {
        for (name, value) in [
            ("", "a"),
            ("a b", "a"),
            ("a=b", "a"),
            ("a", "b; Domain=evil.example"),
            ("a", "b c"),
            ("a", "b\r\nx: y"),
            ("a", "\"b\""),
            ("a", "ä"),
            ("a", &"x".repeat(LONGEST)),
        ] {
            assert!(
                header(&Cookie::new(name.to_owned(), value.to_owned())).is_err(),
                "{name}={value}"
            );
        }
        let path = Cookie::build(("a", "b")).path("/; HttpOnly");
        assert!(header(&path.build()).is_err());
        assert_eq!(header(&Cookie::new("a", "b=c.d")).expect("fits"), "a=b=c.d");
    }
}
