use std::fmt;

/// The kind of a fault: why a call was not answered with its value. Every protocol has one word
/// for each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The input is malformed or breaks a rule; the same call will always fail.
    InvalidArgument,
    /// The caller has not said who it is.
    Unauthenticated,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// What the call is about does not exist.
    NotFound,
    /// What the call would create exists, or was changed by somebody else meanwhile.
    AlreadyExists,
    /// The system is not in the state that the call needs.
    FailedPrecondition,
    /// A quota or a rate is used up; a later call may succeed.
    ResourceExhausted,
    /// The caller left, or the process is stopping.
    Cancelled,
    /// A defect on this side, a panic included.
    Internal,
    /// The operation does not exist here.
    Unimplemented,
    /// A part that is needed cannot be reached now; a later call may succeed.
    Unavailable,
    /// The call took longer than its deadline.
    DeadlineExceeded,
}

/// What becomes of a queued message whose handling ended in a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueDecision {
    /// Trying again cannot help: to the dead letters.
    Reject,
    /// Again after a growing delay, and to the dead letters when all attempts are used up.
    Retry,
    /// Back to the queue at once, for another worker.
    Requeue,
}

impl FaultKind {
    /// Every kind, in the order of the table in the architecture guide.
    pub const ALL: [Self; 12] = [
        Self::InvalidArgument,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::AlreadyExists,
        Self::FailedPrecondition,
        Self::ResourceExhausted,
        Self::Cancelled,
        Self::Internal,
        Self::Unimplemented,
        Self::Unavailable,
        Self::DeadlineExceeded,
    ];

    /// The HTTP status (RFC 9110; 499 is nginx's for a caller that left).
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists => 409,
            Self::FailedPrecondition => 412,
            Self::ResourceExhausted => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// The number of the gRPC status code (gRPC core, "Status codes and their use in gRPC").
    #[must_use]
    pub const fn grpc_code(self) -> i32 {
        match self {
            Self::Cancelled => 1,
            Self::InvalidArgument => 3,
            Self::DeadlineExceeded => 4,
            Self::NotFound => 5,
            Self::AlreadyExists => 6,
            Self::PermissionDenied => 7,
            Self::ResourceExhausted => 8,
            Self::FailedPrecondition => 9,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Unauthenticated => 16,
        }
    }

    /// What becomes of a queued message that ended in a fault of this kind.
    #[must_use]
    pub const fn queue_decision(self) -> QueueDecision {
        match self {
            Self::Cancelled => QueueDecision::Requeue,
            Self::ResourceExhausted
            | Self::Internal
            | Self::Unavailable
            | Self::DeadlineExceeded => QueueDecision::Retry,
            _ => QueueDecision::Reject,
        }
    }

    /// The kind's name as gRPC spells it, which is also the `reason` of a fault that has none.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Cancelled => "CANCELLED",
            Self::Internal => "INTERNAL",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Unavailable => "UNAVAILABLE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
        }
    }

    /// The kind of this name, as [`as_str`](Self::as_str) spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind that an answer with this HTTP status is of, whoever has sent it: the one that
    /// [`http_status`](Self::http_status) maps to it, or the nearest (RFC 9110, section 15).
    #[must_use]
    pub const fn from_http_status(status: u16) -> Self {
        match status {
            401 | 407 => Self::Unauthenticated,
            403 | 451 => Self::PermissionDenied,
            404 | 410 => Self::NotFound,
            408 | 504 => Self::DeadlineExceeded,
            409 => Self::AlreadyExists,
            412 | 423 | 428 => Self::FailedPrecondition,
            429 => Self::ResourceExhausted,
            499 => Self::Cancelled,
            400..=498 => Self::InvalidArgument,
            501 | 505 => Self::Unimplemented,
            502 | 503 => Self::Unavailable,
            _ => Self::Internal,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_again_by_its_name_and_by_its_status() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_name(kind.as_str()), Some(kind));
            assert_eq!(FaultKind::from_http_status(kind.http_status()), kind);
        }
        assert_eq!(FaultKind::from_name("not_found"), None);
    }

    #[test]
    fn a_finer_status_is_of_the_nearest_kind() {
        for status in [405, 413, 415, 422] {
            assert_eq!(FaultKind::from_http_status(status), FaultKind::InvalidArgument);
        }
        assert_eq!(FaultKind::from_http_status(502), FaultKind::Unavailable);
        for strange in [0, 200, 302, 507, 999] {
            assert_eq!(FaultKind::from_http_status(strange), FaultKind::Internal);
        }
    }
}
