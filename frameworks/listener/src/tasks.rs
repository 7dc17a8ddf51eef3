//! Every task of a listener, so that none is forgotten when it stops.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use hyper::rt::Executor;
use polyport_bootstrap::framework::{Activity, Leftover, Mark, Witness, at_home};
use tokio::{sync::Notify, task::AbortHandle};
use tokio_util::task::TaskTracker;

use crate::{
    load::{Load, Work},
    peer::Peer,
};

/// The table of connections and upgraded sockets. It is locked when one of them comes or goes, or
/// is counted; never for a call.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    table: Mutex<Table>,
    tracker: TaskTracker,
    changed: Arc<Notify>,
    intake_closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    entries: HashMap<u64, Entry>,
    /// Upgraded ones. Apart, since there may be many and little is known of them.
    sockets: HashMap<u64, Option<AbortHandle>>,
    stopping: bool,
    sealed: bool,
}

#[derive(Debug)]
struct Entry {
    load: Arc<Load>,
    /// None for what is no connection.
    peer: Option<Peer>,
    /// None for the moment between entry and spawn.
    abort: Option<AbortHandle>,
}

impl Entry {
    fn is_idle(&self) -> bool {
        self.load.is_idle()
    }
}

impl Tasks {
    /// Runs the connection of a peer, made from its load. It keeps its ticket to its end.
    pub(crate) fn spawn_connection<F>(
        self: &Arc<Self>,
        peer: Peer,
        connection: impl FnOnce(Arc<Load>, Ticket) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let load = Load::new(Arc::clone(&self.changed));
        self.spawn(Some((Arc::clone(&load), Some(peer))), |ticket| connection(load, ticket));
    }

    /// Runs a call whose client has left to its end.
    pub(crate) fn spawn_call(self: &Arc<Self>, call: impl Future<Output = ()> + Send + 'static) {
        let load = Load::new(Arc::clone(&self.changed));
        let hold = load.hold(Work::Call);
        // There is nobody left to be told.
        load.mark_shut();
        self.spawn(Some((load, None)), |ticket| async move {
            call.await;
            drop((hold, ticket));
        });
    }

    /// Runs an upgraded socket. The future is made in its task: one that is moved there would have
    /// room in it twice.
    pub(crate) fn spawn_socket<F>(self: &Arc<Self>, serve: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(None, |ticket| async move {
            serve().await;
            drop(ticket);
        });
    }

    fn spawn<F>(
        self: &Arc<Self>,
        connection: Option<(Arc<Load>, Option<Peer>)>,
        task: impl FnOnce(Ticket) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let _mark = mark(connection.as_ref());
        let Some(id) = self.enter(connection) else { return };
        let ticket = Ticket { tasks: Arc::clone(self), id, _mark };
        // Not under the lock: a runtime that is ending drops the task on the spot.
        let handle = self.tracker.spawn(at_home(task(ticket)));
        self.attach(id, handle.abort_handle());
    }

    /// None once everything has been aborted.
    fn enter(&self, connection: Option<(Arc<Load>, Option<Peer>)>) -> Option<u64> {
        let mut table = self.table();
        if table.sealed {
            return None;
        }
        table.next += 1;
        let id = table.next;
        match connection {
            Some((load, peer)) => {
                if table.stopping {
                    load.stop();
                }
                table.entries.insert(id, Entry { load, peer, abort: None });
            }
            None => {
                table.sockets.insert(id, None);
            }
        }
        Some(id)
    }

    fn attach(&self, id: u64, abort: AbortHandle) {
        let mut table = self.table();
        if table.sealed {
            drop(table);
            abort.abort();
        } else if let Some(handle) = table.abort_mut(id) {
            *handle = Some(abort);
        }
    }

    fn leave(&self, id: u64) {
        let mut table = self.table();
        let left = (table.entries.remove(&id), table.sockets.remove(&id));
        let stopping = table.stopping;
        drop(table);
        drop(left);
        if stopping {
            self.changed.notify_waiters();
        }
    }

    /// Tells every connection to shut down gracefully, those to come too.
    pub(crate) fn stop(&self) {
        let mut table = self.table();
        table.stopping = true;
        table.loads().for_each(|load| load.stop());
    }

    /// The accept loop has ended: there will be no further connection.
    pub(crate) fn close_intake(&self) {
        self.intake_closed.store(true, SeqCst);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_intake_closed(&self) -> bool {
        self.intake_closed.load(SeqCst)
    }

    /// Ends the connections that have nothing to do and have not ended by themselves.
    pub(crate) fn abort_idle(&self) {
        let table = self.table();
        let idle = table.entries.values().filter(|entry| entry.is_idle());
        let handles: Vec<_> = idle.filter_map(|entry| entry.abort.clone()).collect();
        drop(table);
        handles.iter().for_each(AbortHandle::abort);
    }

    /// Ends everything, that to come too, and says how much of it was not idle.
    pub(crate) fn abort_all(&self) -> usize {
        let mut table = self.table();
        table.sealed = true;
        let busy = table.entries.values().filter(|entry| !entry.is_idle()).count();
        let cut = busy + table.sockets.len();
        let connections = table.entries.values().map(|entry| &entry.abort);
        let handles = connections.chain(table.sockets.values()).flatten().cloned();
        let handles: Vec<_> = handles.collect();
        drop(table);
        handles.iter().for_each(AbortHandle::abort);
        cut
    }

    /// Resolves when the last task is gone, handlers on HTTP/2 streams included.
    pub(crate) async fn gone(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Resolves when `condition` holds, which is looked at again whenever a task ends or a
    /// connection has nothing more to write, once the listener is stopping.
    pub(crate) async fn until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }

    /// Whether nothing is left, and nothing will come.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_intake_closed() && self.table().is_empty()
    }

    pub(crate) fn connections(&self) -> usize {
        self.table().entries.values().filter(|entry| entry.peer.is_some()).count()
    }

    pub(crate) fn sockets(&self) -> usize {
        self.table().sockets.len()
    }

    pub(crate) fn active(&self) -> usize {
        self.table().loads().map(|load| load.active()).sum()
    }

    /// The peers that do not read what they are answered.
    pub(crate) fn unread(&self) -> Vec<Peer> {
        let table = self.table();
        let unread = |entry: &&Entry| entry.load.is_unread();
        table.entries.values().filter(unread).filter_map(|entry| entry.peer).collect()
    }

    /// Whether `condition` holds for every connection.
    pub(crate) fn all(&self, condition: impl Fn(&Load) -> bool) -> bool {
        self.table().loads().all(|load| condition(load))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn loads(&self) -> impl Iterator<Item = &Arc<Load>> {
        self.entries.values().map(|entry| &entry.load)
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.sockets.is_empty()
    }

    fn abort_mut(&mut self, id: u64) -> Option<&mut Option<AbortHandle>> {
        let connection = self.entries.get_mut(&id).map(|entry| &mut entry.abort);
        connection.or_else(|| self.sockets.get_mut(&id))
    }
}

impl Activity for Tasks {
    fn calls(&self) -> usize {
        self.active()
    }

    fn obstacles(&self) -> Vec<String> {
        self.unread().iter().map(|peer| format!("{peer} does not read its answer")).collect()
    }
}

/// A task's place in the table, left in whatever way the task ends.
pub(crate) struct Ticket {
    tasks: Arc<Tasks>,
    id: u64,
    _mark: Mark,
}

/// Lets a test know of a connection that is not closed; a call counts by itself.
fn mark(connection: Option<&(Arc<Load>, Option<Peer>)>) -> Mark {
    let witness = Witness::here();
    match connection {
        Some((_, Some(peer))) => witness.mark(Leftover::Connection, || peer.to_string()),
        Some((_, None)) => Mark::default(),
        None => witness.mark(Leftover::Connection, || "an upgraded socket".to_owned()),
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.tasks.leave(self.id);
    }
}

/// Runs the streams of HTTP/2 connections. They end with their connection, but a moment later.
#[derive(Debug, Clone)]
pub(crate) struct Streams(pub(crate) Arc<Tasks>);

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.tracker.spawn(at_home(stream));
    }
}
