/// How full the outbox is, and what became of messages that nobody waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutboxState {
    /// How many messages were accepted and are not confirmed yet.
    pub messages: usize,
    /// How many bytes these take: bodies and headers.
    pub bytes: usize,
    /// How many messages in the mode [`FireAndForget`](crate::PublishMode::FireAndForget) were
    /// confirmed since the start.
    pub unwatched_confirmed: u64,
    /// How many of them were not published, or may not have been.
    pub unwatched_failed: u64,
}
