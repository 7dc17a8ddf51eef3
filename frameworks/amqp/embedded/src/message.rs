//! A message as it lies in queues and goes out to consumers.

use std::sync::Arc;

use amq_protocol::{
    protocol::BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use bytes::Bytes;
use tokio::time::Instant;

/// The name of an exchange, a queue, a routing key or a consumer.
pub(crate) type Name = ShortString;

/// The value of `delivery_mode` that makes a message outlive a restart.
const PERSISTENT: u8 = 2;

/// A published message. Shared by all the queues it was routed to.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) exchange: Name,
    pub(crate) routing_key: Name,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Bytes,
}

impl Message {
    pub(crate) fn headers(&self) -> Option<&FieldTable> {
        self.properties.headers().as_ref()
    }

    pub(crate) fn is_persistent(&self) -> bool {
        *self.properties.delivery_mode() == Some(PERSISTENT)
    }

    /// The message as a quorum queue gives it out: with how often it has come back.
    pub(crate) fn counted(&self, returns: u64) -> Self {
        let mut message = self.clone();
        let mut headers = message.headers().cloned().unwrap_or_default();
        let count = AMQPValue::LongLongInt(i64::try_from(returns).unwrap_or(i64::MAX));
        headers.insert("x-delivery-count".into(), count);
        message.properties = message.properties.with_headers(headers);
        message
    }
}

/// A place in a queue: higher priorities first, then in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// How many priorities are above it.
    pub(crate) rank: u8,
    pub(crate) number: u64,
}

/// A message at its place in one queue.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Kept while the message is with a consumer, so that a requeued message comes back to where
    /// it was.
    pub(crate) place: Place,
    pub(crate) message: Arc<Message>,
    pub(crate) redelivered: bool,
    /// How often it has come back from consumers.
    pub(crate) returns: u64,
    pub(crate) expires: Option<Instant>,
}
