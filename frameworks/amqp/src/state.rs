//! What application code is told of the broker.

use std::time::SystemTime;

/// Whether the broker is connected, and whether it takes messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AmqpState {
    /// Whether every connection that is needed is up.
    pub connected: bool,
    /// Since when this is so.
    pub since: SystemTime,
    /// Why it is not connected: the last error.
    pub reason: Option<String>,
    /// How often a new connection was tried in vain since it was lost.
    pub attempts: u32,
    /// The node that is published to, as `host:port`; the last one while none is connected.
    pub node: Option<String>,
    /// Whether the broker has asked for nothing to be published (RabbitMQ's extension
    /// `connection.blocked`: it is short of memory or of disk space). Messages are still consumed
    /// and acknowledged meanwhile.
    pub blocked: Option<Blocked>,
}

/// The broker takes no messages for the time being.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocked {
    /// The broker's words: `low on memory`, say.
    pub reason: String,
    /// Since when.
    pub since: SystemTime,
}

impl AmqpState {
    /// Nothing was tried yet.
    pub(crate) fn unconnected(reason: &str) -> Self {
        Self {
            connected: false,
            since: SystemTime::now(),
            reason: Some(reason.to_owned()),
            attempts: 0,
            node: None,
            blocked: None,
        }
    }

    /// Connected where nothing is wrong.
    pub(crate) fn set_trouble(&mut self, reason: Option<String>) {
        let connected = reason.is_none();
        if connected != self.connected {
            self.since = SystemTime::now();
        }
        if connected {
            self.attempts = 0;
        }
        (self.connected, self.reason) = (connected, reason);
    }
}

impl Blocked {
    pub(crate) fn now(reason: String) -> Self {
        Self { reason, since: SystemTime::now() }
    }
}
