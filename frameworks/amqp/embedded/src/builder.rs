//! Where a broker is to listen.

use std::net::{Ipv4Addr, SocketAddr};

use crate::{broker::EmbeddedBroker, error::StartError, port::Port};

/// Where an [`EmbeddedBroker`] is to listen. Comes from [`EmbeddedBroker::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before `start`"]
pub struct EmbeddedBrokerBuilder {
    address: SocketAddr,
    in_memory: bool,
}

impl EmbeddedBrokerBuilder {
    pub(crate) fn new() -> Self {
        Self { address: (Ipv4Addr::LOCALHOST, 0).into(), in_memory: false }
    }

    /// The port; 0, the default, is a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// The address; 127.0.0.1:0 is the default. Only loopback addresses are taken.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// No port at all: clients in this process get in by [`EmbeddedBroker::connect`].
    pub fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    /// Starts the broker.
    ///
    /// # Errors
    /// When the address is not a loopback address, or cannot be bound.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start(self) -> Result<EmbeddedBroker, StartError> {
        let broker = EmbeddedBroker::on(self.bind()?)?;
        let address = broker.local_addr().map_or("none".to_owned(), |it| it.to_string());
        tracing::info!(
            %address,
            "in-memory AMQP broker for development and tests started; nothing is stored"
        );
        Ok(broker)
    }

    fn bind(&self) -> Result<Option<Port>, StartError> {
        let address = self.address;
        match (self.in_memory, address.ip().is_loopback()) {
            (true, _) => Ok(None),
            (false, false) => Err(StartError::NotLoopback(address)),
            (false, true) => {
                Port::bind(address).map(Some).map_err(|source| StartError::Bind { address, source })
            }
        }
    }
}
