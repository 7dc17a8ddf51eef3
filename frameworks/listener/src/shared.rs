//! A listener that one owns and others join.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use http::Request;
use polyport_bootstrap::{AppCore, framework::Activity};
use tokio_util::sync::CancellationToken;

use crate::{
    BindError, BoundListener, Door, ErasedHandler, ListenerError, ListenerSettings, Listening,
    RequestBody, Server, call::Dispatch, connections::Connections, normal_path, tasks::Tasks,
};

type Claims = Box<dyn Fn(&Request<RequestBody>) -> bool + Send + Sync>;

/// A handler that takes some of the requests of somebody else's listener.
pub struct Mount {
    name: String,
    path: Option<String>,
    claims: Claims,
    handler: Arc<dyn ErasedHandler>,
}

impl Mount {
    /// `handler` answers the requests for which `claims` says so; `name` is for error messages.
    /// Every request of the listener is offered, so `claims` should be quick.
    pub fn new(
        name: impl Into<String>,
        claims: impl Fn(&Request<RequestBody>) -> bool + Send + Sync + 'static,
        handler: Arc<dyn ErasedHandler>,
    ) -> Self {
        Self { name: name.into(), path: None, claims: Box::new(claims), handler }
    }

    /// `handler` answers the requests at `path`, whatever their method and however they write it:
    /// paths are compared in their [normal form](normal_path).
    pub fn at(name: impl Into<String>, path: &str, handler: Arc<dyn ErasedHandler>) -> Self {
        let path = normal_path(path).into_owned();
        let claimed = path.clone();
        let claims =
            move |request: &Request<RequestBody>| normal_path(request.uri().path()) == claimed;
        Self { path: Some(path), ..Self::new(name, claims, handler) }
    }

    pub(crate) fn claims(&self, request: &Request<RequestBody>) -> bool {
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

fn at<'m>(mounts: &'m [Mount], path: &str) -> Option<&'m Mount> {
    mounts.iter().find(|mount| mount.path.as_deref() == Some(path))
}

/// A handle to a listener that its owner serves and that others may join before it does. Clones
/// are cheap and mean the same listener.
#[derive(Debug, Clone)]
pub struct SharedListener(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    door: Door,
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
            door: Door::default(),
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
    /// If the listener serves already, or another mount has its path.
    pub fn mount(&self, mount: Mount) -> Result<(), ListenerError> {
        match self.0.mounts.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(mounts) => {
                let taken = mount.path.as_ref().and_then(|path| at(mounts, path));
                if let Some(other) = taken {
                    return Err(ListenerError::PathTaken {
                        listener: self.0.name.clone(),
                        path: mount.path.unwrap_or_default(),
                        mounts: [other.name.clone(), mount.name],
                    });
                }
                mounts.push(mount);
                Ok(())
            }
            None => Err(ListenerError::TooLateToMount {
                listener: self.0.name.clone(),
                mount: mount.name,
            }),
        }
    }

    /// Who has joined at which path, in the order in which they came; none once it serves. What the
    /// owner's own handler knows at such a path is never reached.
    #[must_use]
    pub fn joined_paths(&self) -> Vec<(String, String)> {
        let mounts = self.0.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        let paths = mounts
            .iter()
            .flatten()
            .filter_map(|mount| mount.path.clone().map(|path| (mount.name.clone(), path)));
        paths.collect()
    }

    /// Takes a port as [`BoundListener::bind`] does, and lets everybody who has joined know the
    /// address.
    ///
    /// # Errors
    /// Those of [`BoundListener::bind`].
    pub async fn bind(&self, host: &str, port: u16) -> Result<BoundListener, BindError> {
        let bound = BoundListener::bind(host, port).await?;
        self.announce(bound.local_addr());
        Ok(bound)
    }

    /// Lets the handle of a framework know where the listener is, and whether it speaks TLS: before
    /// anybody serves, its owner has bound it.
    pub fn introduce(&self, core: &AppCore) {
        if let Some(address) = self.local_addr() {
            core.set_local_addr(address);
        }
        if self.0.door.is_encrypted() {
            core.set_encrypted();
        }
    }

    /// How clients of this process get in.
    #[must_use]
    pub fn door(&self) -> &Door {
        &self.0.door
    }

    /// Lets everybody know the address, if it is one and the first.
    pub(crate) fn announce(&self, address: Option<SocketAddr>) {
        if let Some(address) = address {
            self.0.door.set_local_addr(address);
        }
    }

    /// The address that clients connect to, the first of several; none before the owner has bound
    /// one, or where it has Unix sockets only.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.0.door.local_addr()
    }

    /// Answers every client of `listening`, one socket or several, by `handler`, and what is mounted
    /// by its mount, until the server is stopped or dropped.
    ///
    /// # Errors
    /// If this listener serves already, or its settings for TLS do not work out.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn serve(
        &self,
        listening: impl IntoIterator<Item = Listening>,
        handler: Arc<dyn ErasedHandler>,
        settings: &ListenerSettings,
    ) -> Result<Server, ListenerError> {
        let listener = || self.0.name.clone();
        let mounts = self.0.mounts.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mounts = mounts.ok_or_else(|| ListenerError::ServesAlready { listener: listener() })?;
        let tasks = &self.0.tasks;
        let dispatch = Dispatch::new(mounts, handler, settings, tasks);
        let connections = Connections::new(Arc::clone(tasks), dispatch, settings)
            .map_err(|error| ListenerError::Tls { listener: listener(), error })?;
        let listening: Vec<_> = listening.into_iter().collect();
        listening.iter().for_each(|listening| self.announce(listening.local_addr()));
        Ok(Server::start(listening, connections, self.closing(), settings.flush_grace))
    }

    /// Runs what owns an upgraded socket (a WebSocket) in a task of its own; `serve` is called in
    /// it, so that the future takes its memory there and nowhere else. It does not count as a call; it should end when [`closing`](Self::closing) says so, and is cut when the grace of
    /// [`Server::close`] is over. Once that has happened it is dropped at once.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<F>(&self, serve: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.tasks.spawn_socket(serve);
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
