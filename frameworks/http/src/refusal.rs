//! Why a request is not answered with a value.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use polyport_bootstrap::operation::Fault;

/// A fault with what only HTTP says along with it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    /// The client is still sending a body that nobody reads: this is the connection's last answer.
    pub(crate) close: bool,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, close: false }
    }
}

impl Refusal {
    pub(crate) fn unknown_path() -> Fault {
        Fault::not_found("ROUTE_NOT_FOUND", "nothing is served at this path")
    }

    pub(crate) fn wrong_method(allow: HeaderValue) -> Fault {
        let fault = Fault::invalid_argument(
            "METHOD_NOT_ALLOWED",
            "this path is served, but not by this method; the header Allow names those it has",
        );
        fault.with_status(405).with_header(header::ALLOW, allow)
    }

    /// The fault's status; an operation's own one is taken only where it is an error.
    pub(crate) fn status(&self) -> StatusCode {
        match StatusCode::from_u16(self.fault.status()) {
            Ok(status) if status.is_client_error() || status.is_server_error() => status,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Adds the fault's headers; those that say what the body is are ours.
    pub(crate) fn write_headers(self, headers: &mut HeaderMap) {
        for (name, value) in self.fault.headers() {
            if !describes_content(name) {
                headers.append(name, value.clone());
            }
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Whether a header belongs to one body and would be wrong about another.
pub(crate) fn describes_content(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONTENT_TYPE
            | header::CONTENT_LENGTH
            | header::CONTENT_ENCODING
            | header::CONTENT_DISPOSITION
            | header::TRANSFER_ENCODING
            | header::CONNECTION
            | header::ETAG
            | header::LAST_MODIFIED
            | header::CACHE_CONTROL
    )
}
