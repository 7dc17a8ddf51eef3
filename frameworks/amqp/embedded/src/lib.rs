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

mod accept;
mod arguments;
mod broker;
mod builder;
mod channel;
mod codec;
mod connection;
mod connections;
mod content;
mod dead_letter;
mod error;
mod exception;
mod exchange;
mod faults;
mod gate;
mod handshake;
mod hub;
mod message;
mod nesting;
mod port;
mod queue;
mod ready;
mod receivers;
mod session;
mod snapshot;
mod state;
mod topic;
mod transport;
mod vhost;

pub use broker::EmbeddedBroker;
pub use builder::EmbeddedBrokerBuilder;
pub use error::StartError;
pub use faults::Faults;
pub use snapshot::{QueueState, Snapshot};
