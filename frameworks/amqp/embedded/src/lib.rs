//! An in-memory AMQP 0-9-1 broker for development and tests.
//!
//! [`EmbeddedBroker`] listens on a loopback address and behaves as RabbitMQ does in what an
//! application uses: exchanges (direct, fanout, topic, headers) and bindings between them, durable,
//! exclusive, auto-delete and server-named queues, passive declares, consumers with prefetch,
//! acknowledgements and requeueing at the original place, publisher confirms, mandatory returns,
//! time to live, length limits, dead letters with `x-death`, direct reply-to, and the reply codes
//! of channel and connection exceptions. Any AMQP 0-9-1 client can talk to it.
//!
//! It is no RabbitMQ: nothing is stored, nobody is refused, transactions and streams are answered
//! with 540 (`NOT_IMPLEMENTED`), and arguments without effect here are accepted with a warning in
//! the log. So it refuses to listen on anything but loopback addresses.

mod arguments;
mod broker;
mod channel;
mod codec;
mod connection;
mod content;
mod dead_letter;
mod error;
mod exception;
mod exchange;
mod handshake;
mod message;
mod nesting;
mod queue;
mod session;
mod state;
mod topic;
mod transport;
mod vhost;

pub use broker::{EmbeddedBroker, EmbeddedBrokerBuilder};
pub use error::StartError;
pub use state::QueueDepth;
