//! A whole reply.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use polyport_bootstrap::{Fault, wire::EnvelopeStyle};
use serde::de::DeserializeOwned;

use super::sent::{Sent, show_body, show_headers};

/// A whole reply. Its `Debug`, which is in the message of every failure, shows the request, too,
/// and the begin of the body.
#[derive(Clone)]
pub struct HttpReply {
    sent: Sent,
    response: Response<Bytes>,
}

impl HttpReply {
    pub(super) fn new(sent: Sent, response: Response<Bytes>) -> Self {
        Self { sent, response }
    }

    /// The status; it can be compared with a number.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The same reply, if it has this status; a failure shows all of it.
    ///
    /// # Panics
    /// Panics where it has another one.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert!(self.status() == status, "the status is not {status}: {self:?}");
        self
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header's value, where it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        self.response.body()
    }

    /// The body as text.
    ///
    /// # Panics
    /// Panics where it is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(self.bytes()) {
            Ok(text) => text,
            Err(error) => panic!("{error} in {self:?}"),
        }
    }

    /// The body's value, read from JSON.
    ///
    /// # Panics
    /// Panics where the body is not JSON or no `T`.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(self.bytes()) {
            Ok(value) => value,
            Err(error) => panic!("{error} in {self:?}"),
        }
    }

    /// The path that was asked for last: where redirects were followed, the one that they led to.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.sent.path
    }

    /// The fault that the reply is, in whichever envelope, with the headers that tell what to do
    /// about it (`Allow`, `Retry-After`, `WWW-Authenticate`); none where the status is not 4xx or
    /// 5xx.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let status = self.status();
        if !status.is_client_error() && !status.is_server_error() {
            return None;
        }
        let style = EnvelopeStyle::of_fault(self.bytes());
        let received = style.read_fault(self.bytes(), Some(status.as_u16()));
        let mut fault = Fault::from_received(received);
        for name in [header::ALLOW, header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
            for value in self.headers().get_all(&name) {
                fault = fault.with_header(name.clone(), value.clone());
            }
        }
        Some(fault)
    }
}

impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the reply\n{}< {}", self.sent, self.status())?;
        show_headers(f, '<', self.headers())?;
        show_body(f, self.bytes())
    }
}
