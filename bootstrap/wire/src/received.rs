use std::fmt;

use crate::{FaultKind, FaultView};

/// A fault as it came from a peer: what its envelope and its protocol have left of it.
///
/// It is an error, so that whoever passes it on can keep it as a cause.
///
/// # Examples
/// ```
/// use polyport_wire::{EnvelopeStyle, FaultKind};
///
/// let body = br#"{"title":"NOT_FOUND","status":404,"detail":"no such user","reason":"NO_USER"}"#;
/// let fault = EnvelopeStyle::Plain.read(body, Some(404)).unwrap_err();
/// assert_eq!(fault.kind, FaultKind::NotFound);
/// assert_eq!((fault.reason.as_str(), fault.message.as_str()), ("NO_USER", "no such user"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedFault {
    /// The kind; [`FaultKind::Internal`] where nothing says it.
    pub kind: FaultKind,
    /// The HTTP status: the one that came, or the kind's.
    pub status: u16,
    /// The word for machines; the kind's name where none came.
    pub reason: String,
    /// The business code, where there is one.
    pub code: Option<String>,
    /// The sentence for people; empty where none came.
    pub message: String,
    /// What else the peer said.
    pub details: Option<serde_json::Value>,
    /// What the peer knows the call by.
    pub request_id: Option<String>,
}

impl ReceivedFault {
    /// A fault of which no more is known than its kind and status.
    pub(crate) fn new(kind: FaultKind, status: u16) -> Self {
        Self {
            kind,
            status,
            reason: kind.as_str().to_owned(),
            code: None,
            message: String::new(),
            details: None,
            request_id: None,
        }
    }

    /// The same fault as an envelope writes it.
    #[must_use]
    pub fn view(&self) -> FaultView<'_> {
        FaultView {
            kind: self.kind,
            status: self.status,
            reason: &self.reason,
            code: self.code.as_deref(),
            message: &self.message,
            details: self.details.as_ref(),
            request_id: self.request_id.as_deref().unwrap_or_default(),
        }
    }
}

impl fmt::Display for ReceivedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer answered {} {}: {}", self.kind, self.reason, self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (its request id is {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ReceivedFault {}
