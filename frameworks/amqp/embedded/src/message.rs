//! A message as it lies in queues and goes out to consumers.

use std::sync::Arc;

use amq_protocol::{
    protocol::BasicProperties,
    types::{FieldTable, ShortString},
};
use bytes::Bytes;
use tokio::time::Instant;

/// The name of an exchange, a queue, a routing key or a consumer.
pub(crate) type Name = ShortString;

/// A published message. Shared by all the queues it was routed to.
#[derive(Debug)]
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
}

/// A message at its place in one queue.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The place in the queue, kept while the message is with a consumer, so that a requeued
    /// message comes back to where it was.
    pub(crate) position: u64,
    pub(crate) message: Arc<Message>,
    pub(crate) redelivered: bool,
    pub(crate) expires: Option<Instant>,
}
