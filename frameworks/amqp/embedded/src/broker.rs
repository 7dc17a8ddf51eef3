//! The broker as its user holds it.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::io::{DuplexStream, duplex, split};
use tokio_util::sync::DropGuard;

use crate::{
    builder::EmbeddedBrokerBuilder,
    error::StartError,
    faults::Faults,
    hub::{Going, Hub},
    port::Port,
    snapshot::{QueueState, Snapshot},
    state::State,
};

/// The virtual host of [`EmbeddedBroker::url`].
pub(crate) const DEFAULT_VHOST: &str = "/";

/// What a URL names where there is no address. Nothing has a name like this (RFC 6761), so that a
/// client which dials it reaches no other broker by mistake.
const NO_HOST: &str = "in-memory.invalid";

/// How many bytes a pipe holds in either direction.
const PIPE_SIZE: usize = 64 * 1024;

/// None: whoever leaves a pipe is heard of.
const NO_HEARTBEAT: u16 = 0;

/// An AMQP 0-9-1 broker inside this process, for development and tests.
///
/// Clients connect over TCP or by [`EmbeddedBroker::connect`], with any user, any password and any
/// virtual host; virtual hosts come into being when they are first asked for, and share nothing.
/// All state is in memory and lives as long as the broker; what is durable outlives
/// [`EmbeddedBroker::restart`]. Dropping it stops it without waiting; [`EmbeddedBroker::stop`]
/// waits.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), polyport_amqp_embedded::StartError> {
/// use polyport_amqp_embedded::EmbeddedBroker;
///
/// let broker = EmbeddedBroker::start().await?;
/// assert!(broker.url().starts_with("amqp://guest:guest@127.0.0.1:"));
/// assert_eq!(broker.queue("orders"), None);
/// broker.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EmbeddedBroker {
    hub: Arc<Hub>,
    port: Option<Port>,
    _stop_on_drop: DropGuard,
}

impl EmbeddedBroker {
    /// Starts a broker on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the port cannot be bound.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// A broker on an address to be chosen, or without any.
    pub fn builder() -> EmbeddedBrokerBuilder {
        EmbeddedBrokerBuilder::new()
    }

    pub(crate) fn on(port: Option<Port>) -> Result<Self, StartError> {
        let hub = Arc::new(Hub::new());
        let stop_on_drop = hub.stop.clone().drop_guard();
        let broker = Self { hub, port, _stop_on_drop: stop_on_drop };
        broker.go_up()?;
        Ok(broker)
    }

    /// What clients connect to: `amqp://guest:guest@127.0.0.1:PORT/%2f`. The URL of a broker
    /// without a port names the host `in-memory.invalid`, which is no address, and the rest that
    /// a client needs over [`EmbeddedBroker::connect`].
    #[must_use]
    pub fn url(&self) -> String {
        let host = self.local_addr().map_or_else(|| NO_HOST.to_owned(), |it| it.to_string());
        format!("amqp://guest:guest@{host}/%2f")
    }

    /// The address that the broker listens on, with its actual port; `None` for one
    /// [in memory](EmbeddedBrokerBuilder::in_memory).
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.port.as_ref().map(|port| port.address)
    }

    /// Connects through a pipe in memory: what comes back is the client's end of it, to speak
    /// AMQP on from the protocol header on. A broker with a port has this too.
    ///
    /// # Errors
    /// `ConnectionRefused` while the broker is down.
    pub fn connect(&self) -> io::Result<DuplexStream> {
        let (client, broker) = duplex(PIPE_SIZE);
        match self.hub.attend(split(broker), NO_HEARTBEAT) {
            true => Ok(client),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    /// Makes this broker fail, for tests.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new(Arc::clone(&self.hub))
    }

    /// The state of a queue of the virtual host `/`; `None` when there is no such queue.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<QueueState> {
        self.hub.vhost(DEFAULT_VHOST).look(|state| state.queue_state(name))
    }

    /// What the broker holds now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let queues = self.hub.vhost(DEFAULT_VHOST).look(State::queue_states);
        Snapshot { connections: self.hub.connections.count(), queues }
    }

    /// Waits until a snapshot is as `condition` wants it, and returns it. Looks again whenever
    /// something changes, without polling; set a limit to it by `tokio::time::timeout`.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), polyport_amqp_embedded::StartError> {
    /// use polyport_amqp_embedded::{EmbeddedBroker, Snapshot};
    ///
    /// let broker = EmbeddedBroker::start().await?;
    /// broker.until(Snapshot::is_settled).await;
    /// broker.until(|now| now.queue("orders").ready == 0 && now.connections == 0).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn until(&self, mut condition: impl FnMut(&Snapshot) -> bool) -> Snapshot {
        loop {
            let changed = self.hub.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let snapshot = self.snapshot();
            if condition(&snapshot) {
                return snapshot;
            }
            changed.await;
        }
    }

    /// Restarts in an orderly way: [`EmbeddedBroker::go_down`], then
    /// [`EmbeddedBroker::come_back`].
    ///
    /// # Errors
    /// As [`EmbeddedBroker::come_back`].
    pub async fn restart(&self) -> Result<(), StartError> {
        self.go_down().await;
        self.come_back().await
    }

    /// Restarts as after `kill -9`: [`EmbeddedBroker::crash`], then
    /// [`EmbeddedBroker::come_back`].
    ///
    /// # Errors
    /// As [`EmbeddedBroker::come_back`].
    pub async fn kill(&self) -> Result<(), StartError> {
        self.crash().await;
        self.come_back().await
    }

    /// Goes down until [`EmbeddedBroker::come_back`]: connections are closed with 320
    /// (`CONNECTION_FORCED`), those that do not answer after two seconds, and new ones are
    /// refused.
    ///
    /// What RabbitMQ stores is kept: durable exchanges and queues with the bindings between them,
    /// and their persistent messages (`delivery_mode` 2; in quorum queues all). Those that were
    /// not acknowledged come back marked as redelivered.
    pub async fn go_down(&self) {
        self.leave(Going::Orderly).await;
    }

    /// As [`EmbeddedBroker::go_down`], but connections end without a word.
    pub async fn crash(&self) {
        self.leave(Going::Abrupt).await;
    }

    async fn leave(&self, going: Going) {
        self.hub.go_down(going).await;
        if let Some(port) = &self.port {
            port.reserve();
        }
    }

    /// Serves again, on the same address. A broker that is up stays so.
    ///
    /// # Errors
    /// When somebody else listens on the port meanwhile.
    pub async fn come_back(&self) -> Result<(), StartError> {
        if self.hub.is_up() { Ok(()) } else { self.go_up() }
    }

    fn go_up(&self) -> Result<(), StartError> {
        let listener = self.port.as_ref().map(|port| {
            port.listen().map_err(|source| StartError::Bind { address: port.address, source })
        });
        self.hub.go_up(listener.transpose()?);
        Ok(())
    }

    /// Closes all connections as RabbitMQ does when it stops (320, `CONNECTION_FORCED`), and waits
    /// until they have ended; at most two seconds for clients that do not answer.
    pub async fn stop(self) {
        self.hub.end().await;
    }
}
