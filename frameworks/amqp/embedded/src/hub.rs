//! What all connections share, from the broker's start to its end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    runtime::Handle,
    sync::{Notify, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept::accept, connection::serve, connections::Connections, gate::Gate, state::State,
    vhost::Vhost,
};

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) connections: Connections,
    pub(crate) gate: Gate,
    /// Why publishers are held up, while they are.
    pub(crate) alarm: watch::Sender<Option<String>>,
    /// Notified whenever something may have changed that a [`Snapshot`](crate::Snapshot) shows.
    pub(crate) changed: Arc<Notify>,
    /// The end of the broker.
    pub(crate) stop: CancellationToken,
    vhosts: Mutex<HashMap<String, Arc<Vhost>>>,
    clocks: TaskTracker,
    up: Mutex<Option<Up>>,
    runtime: Handle,
}

/// A broker that is up, until it goes down.
#[derive(Debug, Clone)]
struct Up {
    stop: CancellationToken,
    cut: CancellationToken,
    tasks: TaskTracker,
}

/// How a broker goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Going {
    /// Every connection is closed with 320.
    Orderly,
    /// Every connection ends without a word.
    Abrupt,
}

impl Hub {
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn new() -> Self {
        Self {
            connections: Connections::default(),
            gate: Gate::default(),
            alarm: watch::Sender::new(None),
            changed: Arc::default(),
            stop: CancellationToken::new(),
            vhosts: Mutex::default(),
            clocks: TaskTracker::new(),
            up: Mutex::default(),
            runtime: Handle::current(),
        }
    }

    /// Serves from now on, whoever connects to `listener` too, where there is one.
    pub(crate) fn go_up(self: &Arc<Self>, listener: Option<TcpListener>) {
        let (stop, tasks) = (self.stop.child_token(), TaskTracker::new());
        let up = Up { stop: stop.clone(), cut: CancellationToken::new(), tasks };
        if let Some(listener) = listener {
            let hub = Arc::clone(self);
            let accepting = async move {
                stop.run_until_cancelled(hub.gate.run(&stop, accept(listener, &hub))).await;
            };
            up.tasks.spawn_on(accepting, &self.runtime);
        }
        *self.up() = Some(up);
    }

    /// Serves nobody from now on, and waits until all connections have ended. What is not durable
    /// is lost.
    pub(crate) async fn go_down(&self, going: Going) {
        let Some(up) = self.up().take() else {
            return;
        };
        if going == Going::Abrupt {
            up.cut.cancel();
        }
        up.stop.cancel();
        up.tasks.close();
        up.tasks.wait().await;
        let vhosts: Vec<_> = self.vhosts().values().cloned().collect();
        for vhost in vhosts {
            vhost.run(State::lose_transient);
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up().is_some()
    }

    /// Ends everything, and waits for it.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        self.go_down(Going::Orderly).await;
        self.clocks.close();
        self.clocks.wait().await;
    }

    /// Serves a new connection, with this heartbeat in seconds; says whether the broker is up.
    pub(crate) fn attend<R, W>(self: &Arc<Self>, io: (R, W), heartbeat: u16) -> bool
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let Some(up) = self.up().clone() else {
            return false;
        };
        let line = self.connections.add(heartbeat, up.stop, &up.cut);
        up.tasks.spawn_on(serve(io, line, Arc::clone(self)), &self.runtime);
        true
    }

    /// The virtual host of this name, which is created when it is new.
    pub(crate) fn vhost(self: &Arc<Self>, name: &str) -> Arc<Vhost> {
        let mut vhosts = self.vhosts();
        if let Some(vhost) = vhosts.get(name) {
            return Arc::clone(vhost);
        }
        let vhost = Arc::new(Vhost::new(name, Arc::clone(&self.changed)));
        vhosts.insert(name.to_owned(), Arc::clone(&vhost));
        let (timed, hub) = (Arc::clone(&vhost), Arc::clone(self));
        let clock = async move {
            let going = hub.gate.run(&hub.stop, timed.keep_time());
            hub.stop.run_until_cancelled(going).await;
        };
        self.clocks.spawn_on(clock, &self.runtime);
        vhost
    }

    fn up(&self) -> MutexGuard<'_, Option<Up>> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn vhosts(&self) -> MutexGuard<'_, HashMap<String, Arc<Vhost>>> {
        self.vhosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
