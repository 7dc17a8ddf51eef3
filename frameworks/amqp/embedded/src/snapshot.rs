//! What a broker holds at one moment.

use std::collections::BTreeMap;

/// What is ready in a queue, what is with consumers, and how many of them there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueState {
    /// Messages that wait for a consumer.
    pub ready: usize,
    /// Messages that are with a consumer and not acknowledged yet.
    pub unacked: usize,
    /// Consumers, those that wait behind a single active one too.
    pub consumers: usize,
}

impl QueueState {
    /// Whether the queue holds no message, neither ready nor unacknowledged.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ready == 0 && self.unacked == 0
    }
}

/// What a broker holds at one moment: its connections, and the queues of the virtual host `/`.
/// Comes from [`EmbeddedBroker::snapshot`](crate::EmbeddedBroker::snapshot).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Open connections, of all virtual hosts.
    pub connections: usize,
    /// Queues by name.
    pub queues: BTreeMap<String, QueueState>,
}

impl Snapshot {
    /// The state of a queue; that of an empty one without consumers where there is none.
    #[must_use]
    pub fn queue(&self, name: &str) -> QueueState {
        self.queues.get(name).copied().unwrap_or_default()
    }

    /// Whether no queue holds a message, neither ready nor unacknowledged.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.queues.values().all(QueueState::is_empty)
    }
}
