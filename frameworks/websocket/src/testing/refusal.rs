//! A handshake that was refused.

use std::fmt;

use http::{HeaderMap, Response, StatusCode};
use polyport_bootstrap::{Fault, wire::EnvelopeStyle};

/// The answer to a handshake that was refused: no connection has come about.
pub struct WebSocketRefusal(Response<Vec<u8>>);

impl WebSocketRefusal {
    pub(super) fn new(response: Response<Option<Vec<u8>>>) -> Self {
        Self(response.map(Option::unwrap_or_default))
    }

    /// The status; it can be compared with a number.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// A header's value, where it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The body, which is text unless it was sent by something else than polyport.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.0.body()).into_owned()
    }

    /// The fault that it is, in whichever envelope.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let style = EnvelopeStyle::of_fault(self.0.body());
        Fault::from_received(style.read_fault(self.0.body(), Some(self.status().as_u16())))
    }
}

impl fmt::Debug for WebSocketRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the refusal\n< {}", self.status())?;
        for (name, value) in self.headers() {
            writeln!(f, "< {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        f.write_str(&self.text())
    }
}
