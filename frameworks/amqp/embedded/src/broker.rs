//! The broker: its listener, its virtual hosts, its end.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{connection::serve, error::StartError, state::QueueDepth, vhost::Vhost};

/// The virtual host of [`EmbeddedBroker::url`].
const DEFAULT_VHOST: &str = "/";

/// How long the listener rests after a failed accept (too many open files, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An AMQP 0-9-1 broker inside this process, for development and tests.
///
/// Clients connect over TCP, with any user, any password and any virtual host; virtual hosts come
/// into being when they are first asked for, and share nothing. All state is in memory and lives
/// as long as the broker. Dropping it stops it without waiting; [`EmbeddedBroker::stop`] waits.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), polyport_amqp_embedded::StartError> {
/// use polyport_amqp_embedded::EmbeddedBroker;
///
/// let broker = EmbeddedBroker::start().await?;
/// assert!(broker.url().starts_with("amqp://guest:guest@127.0.0.1:"));
/// assert_eq!(broker.queue_depth("orders"), None);
/// broker.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EmbeddedBroker {
    hub: Arc<Hub>,
    address: SocketAddr,
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

    /// A broker on an address to be chosen.
    pub fn builder() -> EmbeddedBrokerBuilder {
        EmbeddedBrokerBuilder { address: (Ipv4Addr::LOCALHOST, 0).into() }
    }

    /// What clients connect to: `amqp://guest:guest@127.0.0.1:PORT/%2f`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address)
    }

    /// The address that the broker listens on, with its actual port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How many messages a queue of the virtual host `/` holds; `None` when there is no such
    /// queue.
    #[must_use]
    pub fn queue_depth(&self, queue: &str) -> Option<QueueDepth> {
        self.hub.vhost(DEFAULT_VHOST).run(|state| state.queue_depth(queue))
    }

    /// Closes all connections as RabbitMQ does when it stops (320, `CONNECTION_FORCED`), and waits
    /// until they have ended; at most two seconds for clients that do not answer.
    pub async fn stop(self) {
        self.hub.stop.cancel();
        self.hub.tasks.close();
        self.hub.tasks.wait().await;
    }
}

/// Where an [`EmbeddedBroker`] is to listen. Comes from [`EmbeddedBroker::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before `start`"]
pub struct EmbeddedBrokerBuilder {
    address: SocketAddr,
}

impl EmbeddedBrokerBuilder {
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

    /// Starts the broker.
    ///
    /// # Errors
    /// When the address is not a loopback address, or cannot be bound.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start(self) -> Result<EmbeddedBroker, StartError> {
        let asked = self.address;
        if !asked.ip().is_loopback() {
            return Err(StartError::NotLoopback(asked));
        }
        let failed = |source| StartError::Bind { address: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let hub = Arc::new(Hub::default());
        hub.tasks.spawn(accept(listener, Arc::clone(&hub)));
        tracing::info!(
            %address,
            "in-memory AMQP broker for development and tests started; nothing is stored"
        );
        let stop_on_drop = hub.stop.clone().drop_guard();
        Ok(EmbeddedBroker { hub, address, _stop_on_drop: stop_on_drop })
    }
}

/// What all connections share.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    vhosts: Mutex<HashMap<String, Arc<Vhost>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Hub {
    /// The virtual host of this name, which is created when it is new.
    pub(crate) fn vhost(&self, name: &str) -> Arc<Vhost> {
        let mut vhosts = self.vhosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vhost) = vhosts.get(name) {
            return Arc::clone(vhost);
        }
        let vhost = Arc::new(Vhost::new(name));
        vhosts.insert(name.to_owned(), Arc::clone(&vhost));
        let (timed, stop) = (Arc::clone(&vhost), self.stop.clone());
        self.tasks.spawn(async move {
            stop.run_until_cancelled(timed.keep_time()).await;
        });
        vhost
    }
}

async fn accept(listener: TcpListener, hub: Arc<Hub>) {
    let mut accepted = 0;
    loop {
        let connected = tokio::select! {
            () = hub.stop.cancelled() => return,
            connected = listener.accept() => connected,
        };
        match connected {
            Ok((stream, _)) => {
                accepted += 1;
                attend(stream, accepted, &hub);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an AMQP connection; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn attend(stream: TcpStream, id: u64, hub: &Arc<Hub>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    hub.tasks.spawn(serve(stream.into_split(), id, Arc::clone(hub), hub.stop.clone()));
}
