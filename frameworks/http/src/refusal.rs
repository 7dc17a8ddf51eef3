//! Why a request is not answered with a value.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use polyport_bootstrap::operation::Fault;

/// A fault with what only HTTP says along with it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    /// The methods that would have been right.
    allow: Option<HeaderValue>,
    /// The client is still sending a body that nobody reads: this is the connection's last answer.
    pub(crate) close: bool,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, allow: None, close: false }
    }
}

impl Refusal {
    pub(crate) fn unknown_path() -> Self {
        Fault::not_found("ROUTE_NOT_FOUND", "nothing is served at this path").into()
    }

    pub(crate) fn wrong_method(allow: HeaderValue) -> Self {
        let fault = Fault::invalid_argument(
            "METHOD_NOT_ALLOWED",
            "this path is served, but not by this method; the header Allow names those it has",
        );
        Self { allow: Some(allow), ..fault.with_status(405).into() }
    }

    /// The fault's status; an operation's own one is taken only where it is an error.
    pub(crate) fn status(&self) -> StatusCode {
        match StatusCode::from_u16(self.fault.status()) {
            Ok(status) if status.is_client_error() || status.is_server_error() => status,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn write_headers(self, headers: &mut HeaderMap) {
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, allow);
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
