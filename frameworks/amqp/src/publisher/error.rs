use std::time::Duration;

use polyport_bootstrap::Fault;

/// Why a message was not published, or may not have been.
///
/// In an operation `?` turns it into a fault: `UNAVAILABLE` where the broker is the trouble, with
/// the reason `BROKER_UNAVAILABLE`, or `OUTBOX_FULL` (the caller did not send too much, so that it
/// is no `RESOURCE_EXHAUSTED`); `INVALID_ARGUMENT` where the message is too large; and `INTERNAL`
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message was mandatory, and no queue takes it. The broker has dropped it.
    #[error("no queue takes the message (exchange \"{exchange}\", routing key \"{routing_key}\")")]
    Unroutable {
        /// The exchange.
        exchange: String,
        /// The routing key.
        routing_key: String,
    },
    /// The broker could not take responsibility for the message: a full queue that rejects, say.
    #[error("the broker refused to take responsibility for the message")]
    Nacked,
    /// The broker refused the message itself: its exchange does not exist, say.
    #[error("the broker rejected the message: {reason}")]
    Rejected {
        /// The broker's words.
        reason: String,
    },
    /// Too many messages wait for the broker, or too many bytes. Nothing was sent.
    #[error(
        "the outbox is full: {messages} messages of {bytes} bytes wait for the broker; the \
         settings publish.outbox and publish.outbox_bytes limit them"
    )]
    OutboxFull {
        /// How many messages wait.
        messages: usize,
        /// How many bytes they take.
        bytes: usize,
    },
    /// There was no connection, the broker took no messages, or it confirmed the ones before too
    /// slowly, for the time that the setting `publish.timeout` gives; with
    /// [`FailFast`](crate::PublishMode::FailFast) at once. Nothing was sent.
    #[error("the message was not sent: {reason}")]
    NotConnected {
        /// What was waited for.
        reason: String,
    },
    /// The message was sent and not confirmed in time: whether it was published is unknown.
    #[error("the broker did not confirm the message within {after:?}; it may have been published")]
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// The message is larger than a broker takes. Nothing was sent.
    #[error("the {what} of the message takes {size} bytes, and {limit} are allowed")]
    TooLarge {
        /// Which part: `body`, `headers` or the name of a property.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The message cannot be delayed as it asks for. Nothing was sent.
    #[error("the message cannot be delayed: {reason}")]
    NotDelayed {
        /// What stands against it, and what to do.
        reason: String,
    },
    /// The value cannot be written as JSON.
    #[error("the message cannot be written as JSON: {reason}")]
    NotJson {
        /// What the serialiser said.
        reason: String,
    },
}

impl From<PublishError> for Fault {
    fn from(error: PublishError) -> Self {
        match &error {
            PublishError::Nacked
            | PublishError::NotConnected { .. }
            | PublishError::TimedOut { .. } => {
                Self::unavailable("BROKER_UNAVAILABLE", "the message broker cannot be reached now")
                    .caused_by(error)
            }
            PublishError::OutboxFull { .. } => {
                Self::unavailable("OUTBOX_FULL", "too many messages wait for the message broker")
                    .caused_by(error)
            }
            PublishError::TooLarge { .. } => {
                Self::invalid_argument("MESSAGE_TOO_LARGE", error.to_string()).caused_by(error)
            }
            _ => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use polyport_bootstrap::FaultKind;

    use super::*;

    #[test]
    fn what_may_pass_by_itself_is_unavailable_and_defects_are_internal() {
        let kind = |error: PublishError| Fault::from(error).kind();
        assert_eq!(kind(PublishError::Nacked), FaultKind::Unavailable);
        assert_eq!(kind(PublishError::TimedOut { after: Duration::ZERO }), FaultKind::Unavailable);
        let full = PublishError::OutboxFull { messages: 1, bytes: 1 };
        assert_eq!(kind(full), FaultKind::Unavailable);
        let rejected = PublishError::Rejected { reason: "no exchange".to_owned() };
        assert_eq!(kind(rejected), FaultKind::Internal);
        let large = PublishError::TooLarge { what: "body", size: 2, limit: 1 };
        assert_eq!(kind(large), FaultKind::InvalidArgument);
    }
}
