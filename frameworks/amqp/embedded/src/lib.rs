//! An in-memory AMQP 0-9-1 broker for development and tests.
//!
//! [`EmbeddedBroker`] listens on a loopback address, or nowhere
//! ([`in_memory`](EmbeddedBrokerBuilder::in_memory)), and behaves as RabbitMQ 3.10 does in what an
//! application uses: exchanges (direct, fanout, topic, headers, alternate ones) and bindings
//! between them, durable, exclusive, auto-delete, server-named and quorum queues, passive
//! declares, consumers with prefetch and priorities, single active consumers, acknowledgements and
//! requeueing, publisher confirms, mandatory returns, time to live of messages and queues, limits
//! of length, bytes and deliveries, priorities, dead letters with `x-death`, direct reply-to, and
//! the reply codes of channel and connection exceptions. Any AMQP 0-9-1 client can talk to it.
//!
//! Tests make it fail ([`Faults`]), restart it with what is durable
//! ([`EmbeddedBroker::restart`], [`EmbeddedBroker::kill`]), and wait for what it holds
//! ([`EmbeddedBroker::until`]). It goes by tokio's clock, so that `tokio::time::pause` makes a day
//! of time to live pass at once.
//!
//! It is no RabbitMQ: nothing is on a disk, nobody is refused, there is one node. Transactions and
//! streams are answered with 540 (`NOT_IMPLEMENTED`), the headers `CC` and `BCC` route nothing,
//! and arguments that RabbitMQ does not know either have no effect, with a warning in the log. So
//! it refuses to listen on anything but loopback addresses.

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
