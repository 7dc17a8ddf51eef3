use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use polyport_bootstrap::framework::Witness;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Notify,
    task::yield_now,
    time,
};
use tokio_util::task::AbortOnDropHandle;

use super::Pace;
use crate::pipe::Line;

/// For how long at most the runtime's thread waits before it looks what else there is to do.
const TURN: Duration = Duration::from_micros(100);
/// A thread that has not come round by then never does, and is waited for no longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A pace that is kept, until this is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    keeper: Arc<Keeper>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Keeper {
    stirred: Notify,
    threads: Threads,
}

/// The threads of lapin, by the pipes that they read.
#[derive(Debug, Default)]
struct Threads(Mutex<Vec<Weak<Line>>>);

impl Pace {
    /// Keeps pace on this runtime, where its clock can be paused at all: one of several threads has
    /// none that can.
    pub(crate) fn keep() -> Self {
        let runtime = Handle::current();
        if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return Self::default();
        }
        let keeper = Arc::<Keeper>::default();
        let (task, told) = (Arc::clone(&keeper).keep(), Arc::clone(&keeper));
        Witness::here().after_each_step(move || told.stirred.notify_one());
        let _task = AbortOnDropHandle::new(runtime.spawn(task));
        Self { kept: Some(Arc::new(Kept { keeper, _task })) }
    }

    /// Has an eye on the thread that reads `line`.
    pub(crate) fn watch(&self, line: &Arc<Line>) {
        if let Some(kept) = &self.kept {
            kept.keeper.threads.add(line);
            kept.stir();
        }
    }
}

impl Kept {
    pub(super) fn stir(&self) {
        self.keeper.stirred.notify_one();
    }
}

impl Keeper {
    /// A task that yields has the runtime look at everything else, and is no reason for the clock
    /// to go on.
    async fn keep(self: Arc<Self>) {
        loop {
            self.stirred.notified().await;
            if !is_paused() {
                continue;
            }
            let (mut busy, begun) = (self.threads.ask(), Instant::now());
            while !busy.is_empty() && begun.elapsed() < PATIENCE {
                busy.retain(|line| !line.is_done(TURN));
                yield_now().await;
            }
            busy.iter().for_each(|line| line.give_up());
        }
    }
}

impl Threads {
    fn add(&self, line: &Arc<Line>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(line));
    }

    /// Asks every thread to come round, and gives those that are there.
    fn ask(&self) -> Vec<Arc<Line>> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|line| line.strong_count() > 0);
        let lines: Vec<_> = lines.iter().filter_map(Weak::upgrade).collect();
        lines.iter().for_each(|line| line.ask());
        lines
    }
}

/// Whether tokio's clock stands still while the machine's goes on.
fn is_paused() -> bool {
    let (before, since) = (time::Instant::now(), Instant::now());
    while Instant::now() == since {
        std::hint::spin_loop();
    }
    time::Instant::now() == before
}
