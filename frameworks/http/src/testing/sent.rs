//! What was asked, for the messages of failed tests.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use polyport_bootstrap::{Error, Result};

/// How much of a body is shown, in bytes.
const SHOWN: usize = 2000;

/// A request without its body.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
}

impl Sent {
    pub(super) fn place(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "> {} {}", self.method, self.path)?;
        show_headers(f, '>', &self.headers)
    }
}

/// A header on each line.
pub(super) fn show_headers(
    f: &mut fmt::Formatter<'_>,
    mark: char,
    headers: &HeaderMap,
) -> fmt::Result {
    for (name, value) in headers {
        writeln!(f, "{mark} {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
    }
    Ok(())
}

/// The begin of a body.
pub(super) fn show_body(f: &mut fmt::Formatter<'_>, body: &[u8]) -> fmt::Result {
    let shown = &body[..body.len().min(SHOWN)];
    f.write_str(&String::from_utf8_lossy(shown))?;
    match body.len() - shown.len() {
        0 => Ok(()),
        rest => write!(f, "… and {rest} bytes more"),
    }
}

/// Adds a header.
pub(super) fn add_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<()> {
    match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        (Ok(name), Ok(value)) => {
            headers.append(name, value);
            Ok(())
        }
        _ => Err(Error::other(format!("{name:?}: {value:?} is no header"))),
    }
}
