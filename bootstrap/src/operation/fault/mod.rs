//! The one error that callers see.

mod headers;
mod received;
mod source;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use http::HeaderMap;
pub use polyport_wire::FaultKind;
use polyport_wire::FaultView;
use serde_json::Value;

pub use self::source::AsSource;
use self::source::Source;
use crate::{Error, panics};

/// The one error that callers see, with one mapping for each protocol.
///
/// It has a kind, a stable `reason` for machines, a `message` for people, optionally a business
/// `code`, details and headers, and a source that is logged and never sent. An application's own
/// errors become faults by `#[derive(Fault)]`.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Fault, FaultKind};
///
/// let fault = Fault::not_found("USER_NOT_FOUND", "no such user");
/// assert_eq!(fault.kind(), FaultKind::NotFound);
/// assert_eq!(fault.status(), 404);
/// ```
pub struct Fault(Box<Inner>);

struct Inner {
    kind: FaultKind,
    status: u16,
    reason: Cow<'static, str>,
    code: Option<Cow<'static, str>>,
    message: Cow<'static, str>,
    details: Option<Value>,
    headers: Option<Box<HeaderMap>>,
    source: Option<Source>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(
                reason: impl Into<Cow<'static, str>>,
                message: impl Into<Cow<'static, str>>,
            ) -> Self {
                Self::new(FaultKind::$kind, reason, message)
            }
        )*
    };
}

impl Fault {
    /// A fault of `kind`, with a `reason` for machines (`"USER_NOT_FOUND"`) and a `message` for
    /// people.
    pub fn new(
        kind: FaultKind,
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            status: kind.http_status(),
            reason: reason.into(),
            code: None,
            message: message.into(),
            details: None,
            headers: None,
            source: None,
        }))
    }

    constructors! {
        /// The input is malformed or breaks a rule.
        invalid_argument => InvalidArgument;
        /// The caller has not said who it is.
        unauthenticated => Unauthenticated;
        /// The caller may not do this.
        permission_denied => PermissionDenied;
        /// What the call is about does not exist.
        not_found => NotFound;
        /// What the call would create exists already, or another change came first.
        already_exists => AlreadyExists;
        /// The system is not in the state that the call needs.
        failed_precondition => FailedPrecondition;
        /// A quota or a rate is used up.
        resource_exhausted => ResourceExhausted;
        /// The caller left, or the process is stopping.
        cancelled => Cancelled;
        /// The operation does not exist.
        unimplemented => Unimplemented;
        /// A part that is needed cannot be reached now.
        unavailable => Unavailable;
        /// The call took longer than its deadline.
        deadline_exceeded => DeadlineExceeded;
    }

    /// A defect on this side. The caller learns only that there is one; `source` is logged.
    pub fn internal(source: impl Into<Error>) -> Self {
        let mut fault = Self::new(FaultKind::Internal, "INTERNAL", "internal error");
        fault.0.source = Some(Source::Report(source.into()));
        fault
    }

    /// A panic, by its message, which is logged and not sent.
    #[must_use]
    pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Self {
        Self::internal(Error::other(format!("the operation panicked: {}", panics::text(panic))))
    }

    /// Sets a business code of the application's own.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Sets another HTTP status of the same family, where HTTP knows a finer one (405, 413, 415).
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = status;
        self
    }

    /// Adds details that the caller may see.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.0.kind
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The word for machines.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The business code, where there is one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The details that the caller may see.
    #[must_use]
    pub fn details(&self) -> Option<&Value> {
        self.0.details.as_ref()
    }

    /// What the caller of the call `request_id` may see of it.
    #[must_use]
    pub fn view<'a>(&'a self, request_id: &'a str) -> FaultView<'a> {
        FaultView {
            kind: self.kind(),
            status: self.status(),
            reason: self.reason(),
            code: self.code(),
            message: self.message(),
            details: self.details(),
            request_id,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind(), self.reason(), self.message())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("kind", &self.kind())
            .field("status", &self.status())
            .field("reason", &self.reason())
            .field("code", &self.code())
            .field("message", &self.message())
            .field("details", &self.details())
            // Their values may be secrets.
            .field("headers", &self.headers().keys().collect::<Vec<_>>())
            .field("source", &self.source_text())
            .finish()
    }
}

/// An error of the application's own machinery is an internal fault: the caller learns only that
/// there is one.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::internal(error)
    }
}

/// For operations that cannot fail.
impl From<std::convert::Infallible> for Fault {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
