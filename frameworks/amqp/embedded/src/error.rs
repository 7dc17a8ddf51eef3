//! Why a broker could not be started.

use std::{io, net::SocketAddr};

/// Why [`EmbeddedBroker`](crate::EmbeddedBroker) did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address can be reached from other machines.
    #[error(
        "the embedded AMQP broker does not listen on {0}: it checks no password and stores \
         nothing, so it only takes a loopback address; use 127.0.0.1 here, or a RabbitMQ for \
         anything that is reached from another machine"
    )]
    NotLoopback(SocketAddr),
    /// The address could not be bound.
    #[error(
        "the embedded AMQP broker cannot listen on {address}: {source}; choose another port, or \
         port 0 for a free one"
    )]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}
