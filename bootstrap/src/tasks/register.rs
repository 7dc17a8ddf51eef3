//! Which tasks there are.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{sync::watch, task::AbortHandle, time::Instant};

/// The tasks of one name that run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ActiveTask {
    /// The name.
    pub task: String,
    /// How many there are.
    pub running: usize,
    /// How long ago the oldest of them was begun.
    pub oldest: Duration,
    /// How often they were begun anew.
    pub restarts: u64,
}

impl fmt::Display for ActiveTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, running, oldest, .. } = self;
        write!(f, "{task}: {running} for up to {:.1} s", oldest.as_secs_f64())
    }
}

/// How many tasks there have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct TaskCounts {
    /// Those that run.
    pub running: usize,
    /// Those that ended well.
    pub finished: u64,
    /// How often one ended in an error or a panic.
    pub failed: u64,
    /// How often one was begun anew.
    pub restarted: u64,
    /// Those that were cancelled, by their handle or by a stop.
    pub cancelled: u64,
}

#[derive(Default)]
pub(super) struct Register {
    inner: Mutex<Inner>,
    running: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    running: BTreeMap<u64, Entry>,
    counts: TaskCounts,
    is_closed: bool,
}

struct Entry {
    name: Arc<str>,
    began: Instant,
    restarts: u64,
    abort: Option<AbortHandle>,
    has_ended: bool,
}

impl Register {
    /// Enters a task that is going to be begun, and gives it a number; none where it is too late.
    pub(super) fn enter(&self, name: &Arc<str>) -> Option<u64> {
        let mut inner = self.lock();
        if inner.is_closed {
            return None;
        }
        let id = inner.next;
        inner.next += 1;
        let (name, began) = (Arc::clone(name), Instant::now());
        let entry = Entry { name, began, restarts: 0, abort: None, has_ended: false };
        inner.running.insert(id, entry);
        self.running.send_replace(inner.running.len());
        Some(id)
    }

    /// Takes what cancels a task that was begun; uses it where all have been cancelled meanwhile.
    pub(super) fn begun(&self, id: u64, abort: AbortHandle) {
        let mut inner = self.lock();
        if inner.is_closed {
            abort.abort();
        }
        if let Some(entry) = inner.running.get_mut(&id) {
            entry.abort = Some(abort);
        }
    }

    /// Counts how a task ended.
    pub(super) fn ended(&self, id: u64, well: bool) {
        let mut inner = self.lock();
        inner.counts.finished += u64::from(well);
        inner.counts.failed += u64::from(!well);
        if let Some(entry) = inner.running.get_mut(&id) {
            entry.has_ended = true;
        }
    }

    /// Counts that a task is begun anew.
    pub(super) fn restarted(&self, id: u64) {
        let mut inner = self.lock();
        inner.counts.restarted += 1;
        if let Some(entry) = inner.running.get_mut(&id) {
            entry.has_ended = false;
            entry.restarts += 1;
        }
    }

    /// Forgets a task; one that has not said how it ended was cancelled.
    pub(super) fn leave(&self, id: u64) {
        let mut inner = self.lock();
        if let Some(entry) = inner.running.remove(&id) {
            inner.counts.cancelled += u64::from(!entry.has_ended);
        }
        self.running.send_replace(inner.running.len());
    }

    /// No task is begun any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
    }

    /// Cancels all that run.
    pub(super) fn abort_all(&self) {
        let inner = self.lock();
        inner
            .running
            .values()
            .filter_map(|entry| entry.abort.as_ref())
            .for_each(AbortHandle::abort);
    }

    /// Ends when none runs.
    pub(super) async fn idle(&self) {
        // The sender lives as long as this.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    pub(super) fn counts(&self) -> TaskCounts {
        let inner = self.lock();
        TaskCounts { running: inner.running.len(), ..inner.counts }
    }

    pub(super) fn active(&self) -> Vec<ActiveTask> {
        let mut by_name: BTreeMap<Arc<str>, ActiveTask> = BTreeMap::new();
        for entry in self.lock().running.values() {
            let idle = || ActiveTask {
                task: entry.name.to_string(),
                running: 0,
                oldest: Duration::ZERO,
                restarts: 0,
            };
            let active = by_name.entry(Arc::clone(&entry.name)).or_insert_with(idle);
            active.running += 1;
            active.oldest = active.oldest.max(entry.began.elapsed());
            active.restarts += entry.restarts;
        }
        let mut active: Vec<_> = by_name.into_values().collect();
        active.sort_by_key(|active| std::cmp::Reverse(active.oldest));
        active
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
