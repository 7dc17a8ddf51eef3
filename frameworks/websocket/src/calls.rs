//! How many events are being handled, and whether new ones are still taken.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use polyport_bootstrap::framework::Activity;
use tokio::sync::Notify;

/// The events in flight: from the moment they were read until their answer is written.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    active: AtomicUsize,
    stopped: AtomicBool,
    changed: Notify,
}

/// One event in flight.
#[derive(Debug)]
pub(crate) struct Call(Arc<Calls>);

impl Calls {
    /// Counts what has to finish even where nothing new is taken.
    pub(crate) fn enter(self: &Arc<Self>) -> Call {
        self.active.fetch_add(1, SeqCst);
        Call(Arc::clone(self))
    }

    /// Counts a new event; none once new ones are no longer taken.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Call> {
        // Counted before the look at `stopped`, so that whoever stops sees one of the two.
        let call = self.enter();
        (!self.is_stopped()).then_some(call)
    }

    /// Takes no new event from now on.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, SeqCst);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(SeqCst)
    }

    pub(crate) fn active(&self) -> usize {
        self.active.load(SeqCst)
    }

    /// Resolves when nothing is in flight.
    pub(crate) async fn finished(&self) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.active() == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Activity for Calls {
    fn calls(&self) -> usize {
        self.active()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.0.active.fetch_sub(1, SeqCst) == 1 && self.0.is_stopped() {
            self.0.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_admits_nothing_and_waits_for_what_is_there() {
        let calls = Arc::new(Calls::default());
        let call = calls.admit().expect("new ones are taken");
        calls.stop();
        assert!(calls.admit().is_none());
        assert_eq!(calls.active(), 1);

        let mut finished = pin!(calls.finished());
        assert!(futures_util::poll!(&mut finished).is_pending());
        drop(call);
        finished.await;
    }
}
