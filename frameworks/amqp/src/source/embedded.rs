//! The in-memory broker of one framework.

use std::{
    io,
    sync::{Arc, Weak},
};

use polyport_amqp_embedded::EmbeddedBroker;
use polyport_bootstrap::Result;

use crate::{
    broker::{Broker, Pipes},
    pace::Pace,
};

/// The in-memory broker, once it is started.
#[derive(Debug)]
pub(crate) struct Embedded {
    /// Whether it has no port, and is reached through pipes.
    is_piped: bool,
    running: Option<Arc<EmbeddedBroker>>,
}

impl Embedded {
    /// One with a free port.
    pub(super) fn listening() -> Self {
        Self { is_piped: false, running: None }
    }

    /// One without a port.
    pub(super) fn piped() -> Self {
        Self { is_piped: true, running: None }
    }

    /// Starts it, and says how it is reached.
    pub(super) async fn start(&mut self) -> Result<Broker> {
        let builder = EmbeddedBroker::builder();
        let builder = if self.is_piped { builder.in_memory() } else { builder };
        let broker = Arc::new(builder.start().await?);
        let reached = match self.is_piped {
            true => through_pipes(&broker),
            false => Broker::parse(&broker.url(), "the in-memory broker's URL"),
        };
        self.running = Some(broker);
        reached
    }

    /// The broker for who must not keep it; none where it does not run.
    pub(crate) fn running(&self) -> Weak<EmbeddedBroker> {
        self.running.as_ref().map_or_else(Weak::new, Arc::downgrade)
    }

    /// Stops it; whoever is just about to connect keeps it for as long as that takes.
    pub(super) async fn stop(&mut self) {
        if let Some(broker) = self.running.take().and_then(Arc::into_inner) {
            broker.stop().await;
        }
    }
}

/// Who knows the way does not keep the broker: handles outlive it.
fn through_pipes(broker: &Arc<EmbeddedBroker>) -> Result<Broker> {
    let (url, broker) = (broker.url(), Arc::downgrade(broker));
    let connect = move || match broker.upgrade() {
        Some(broker) => broker.connect(),
        None => Err(io::ErrorKind::ConnectionRefused.into()),
    };
    Broker::in_process(&url, Pipes::new(connect, Pace::keep()))
}
