//! A listener that one owns and others join.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use http::Request;
use hyper::body::Incoming;
use polyport_bootstrap::{HandedOver, framework::Activity};
use tokio_util::sync::CancellationToken;

use crate::{
    BindError, BoundListener, ErasedHandler, ListenerError, ListenerSettings, Listening, Server,
    bind::resolve, call::Dispatch, tasks::Tasks,
};

type Claims = Box<dyn Fn(&Request<Incoming>) -> bool + Send + Sync>;

/// A handler that takes some of the requests of somebody else's listener.
pub struct Mount {
    name: String,
    claims: Claims,
    handler: Arc<dyn ErasedHandler>,
}

impl Mount {
    /// `handler` answers the requests for which `claims` says so; `name` is for error messages.
    /// Every request of the listener is offered, so `claims` should be quick.
    pub fn new(
        name: impl Into<String>,
        claims: impl Fn(&Request<Incoming>) -> bool + Send + Sync + 'static,
        handler: Arc<dyn ErasedHandler>,
    ) -> Self {
        Self { name: name.into(), claims: Box::new(claims), handler }
    }

    pub(crate) fn claims(&self, request: &Request<Incoming>) -> bool {
        (self.claims)(request)
    }

    pub(crate) fn handler(&self) -> &Arc<dyn ErasedHandler> {
        &self.handler
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A handle to a listener that its owner serves and that others may join before it does. Clones
/// are cheap and mean the same listener.
#[derive(Debug, Clone)]
pub struct SharedListener(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    local_addr: OnceLock<SocketAddr>,
    /// None once the listener serves.
    mounts: Mutex<Option<Vec<Mount>>>,
    tasks: Arc<Tasks>,
    closing: CancellationToken,
}

impl SharedListener {
    /// A listener that nobody has joined yet; `name` is for error messages and the log.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            local_addr: OnceLock::new(),
            mounts: Mutex::new(Some(Vec::new())),
            tasks: Arc::default(),
            closing: CancellationToken::new(),
        }))
    }

    /// What this listener is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Lets `mount` have the requests that it claims. The mounts are asked in the order in which
    /// they came, and before the owner's own handler.
    ///
    /// # Errors
    /// If the listener serves already.
    pub fn mount(&self, mount: Mount) -> Result<(), ListenerError> {
        match self.0.mounts.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(mounts) => {
                mounts.push(mount);
                Ok(())
            }
            None => Err(ListenerError::TooLateToMount {
                listener: self.0.name.clone(),
                mount: mount.name,
            }),
        }
    }

    /// Takes a port as [`BoundListener::bind`] does, and lets everybody who has joined know the
    /// address.
    ///
    /// # Errors
    /// Those of [`BoundListener::bind`].
    pub async fn bind(&self, host: &str, port: u16) -> Result<BoundListener, BindError> {
        let bound = BoundListener::bind(host, port).await?;
        let _ = self.0.local_addr.set(bound.local_addr());
        Ok(bound)
    }

    /// As [`bind`](Self::bind), with a socket that listens already, where one was handed over for
    /// this section of the configuration or this address.
    ///
    /// # Errors
    /// Those of [`BoundListener::bind`].
    pub async fn take_or_bind(
        &self,
        handed_over: &HandedOver,
        section: &str,
        host: &str,
        port: u16,
    ) -> Result<BoundListener, BindError> {
        let addresses = resolve(host, port).await.unwrap_or_default();
        let Some(socket) = handed_over.take(section, &addresses) else {
            return self.bind(host, port).await;
        };
        let bound = BoundListener::take_over(socket)?;
        tracing::info!(framework = self.name(), address = %bound.local_addr(), "took over a socket");
        let _ = self.0.local_addr.set(bound.local_addr());
        Ok(bound)
    }

    /// The address that clients connect to; none before the owner has bound it.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr.get().copied()
    }

    /// Answers every client of `listening` by `handler`, and what is mounted by its mount, until
    /// the server is stopped or dropped.
    ///
    /// # Errors
    /// If this listener serves already.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn serve(
        &self,
        listening: Listening,
        handler: Arc<dyn ErasedHandler>,
        settings: ListenerSettings,
    ) -> Result<Server, ListenerError> {
        let mounts = self.0.mounts.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mounts) = mounts else {
            return Err(ListenerError::ServesAlready { listener: self.0.name.clone() });
        };
        let _ = self.0.local_addr.set(listening.local_addr());
        let dispatch = Dispatch { mounts: mounts.into_boxed_slice(), main: handler };
        let tasks = Arc::clone(&self.0.tasks);
        Ok(Server::start(listening, dispatch, tasks, self.closing(), settings))
    }

    /// Runs what owns an upgraded socket (a WebSocket) in a task of its own. It does not count as
    /// a call; it should end when [`closing`](Self::closing) says so, and is cut when the grace of
    /// [`Server::close`] is over. Once that has happened it is dropped at once.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn(&self, socket: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn_socket(socket);
    }

    /// What can be asked at any time for the calls in flight.
    #[must_use]
    pub fn activity(&self) -> Arc<dyn Activity> {
        self.0.tasks.clone()
    }

    /// Cancelled when the server closes: upgraded sockets and [`LongLived`](crate::LongLived)
    /// streams say farewell and end.
    #[must_use]
    pub fn closing(&self) -> CancellationToken {
        self.0.closing.clone()
    }
}
