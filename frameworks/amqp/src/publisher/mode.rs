use serde::Deserialize;

/// What a publisher waits for, and what happens when the broker takes no messages: chosen for each
/// message by [`Message::mode`](crate::Message::mode), and otherwise by the setting
/// `amqp.publish.mode`.
///
/// # Examples
/// ```
/// use polyport_amqp::{Message, PublishMode};
///
/// let metrics = Message::new("metrics", "cpu", "0.7").mode(PublishMode::FireAndForget);
/// # drop(metrics);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PublishMode {
    /// Ready when the broker has confirmed. While there is no connection, while the broker takes no
    /// messages and while the outbox is full, it waits, up to `amqp.publish.timeout`.
    #[default]
    Confirmed,
    /// As `Confirmed`, and fails at once where that would have to wait for the connection
    /// ([`NotConnected`](crate::PublishError::NotConnected)) or for room in the outbox
    /// ([`OutboxFull`](crate::PublishError::OutboxFull)).
    FailFast,
    /// Ready when the message is in the outbox, where it waits as long as the process lives; never
    /// waits itself ([`OutboxFull`](crate::PublishError::OutboxFull)). It is confirmed, and sent
    /// again, as every message is; what failed all the same is counted
    /// ([`AmqpApp::outbox`](crate::AmqpApp::outbox)) and logged.
    FireAndForget,
}
