//! Signs of life of one consumer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;

use crate::metrics::{ConsumeMetrics, InFlight};

/// What a consumer shows of itself while it works, and by which it is asked to begin anew.
#[derive(Debug)]
pub(crate) struct Pulse {
    pub(crate) metrics: ConsumeMetrics,
    taken: AtomicU64,
    done: AtomicU64,
    renewal: Notify,
}

/// A message is being handled, until this is dropped.
#[derive(Debug)]
pub(crate) struct Beat<'a> {
    done: &'a AtomicU64,
    _in_flight: InFlight<'a>,
}

/// What is seen of a consumer at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// How many messages it has taken so far.
    pub(crate) taken: u64,
    /// Whether none of them is being handled.
    pub(crate) idle: bool,
}

impl Pulse {
    pub(crate) fn new(framework: &str, queue: &str) -> Self {
        Self {
            metrics: ConsumeMetrics::new(framework, queue),
            taken: AtomicU64::new(0),
            done: AtomicU64::new(0),
            renewal: Notify::new(),
        }
    }

    /// A message was taken, and its handling begins.
    pub(crate) fn begin(&self) -> Beat<'_> {
        self.taken.fetch_add(1, Relaxed);
        Beat { done: &self.done, _in_flight: self.metrics.begin() }
    }

    pub(crate) fn look(&self) -> Look {
        let done = self.done.load(Relaxed);
        let taken = self.taken.load(Relaxed);
        Look { taken, idle: taken == done }
    }

    /// Asks the consumer to open its channel anew, unless it is about to.
    pub(crate) fn renew(&self) {
        self.renewal.notify_waiters();
    }

    /// Waits until it is asked to.
    pub(crate) async fn renewed(&self) {
        self.renewal.notified().await;
    }
}

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        self.done.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_idle_when_everything_that_was_taken_is_done() {
        let pulse = Pulse::new("default", "q");
        assert_eq!(pulse.look(), Look { taken: 0, idle: true });
        let (one, two) = (pulse.begin(), pulse.begin());
        drop(one);
        assert_eq!(pulse.look(), Look { taken: 2, idle: false });
        drop(two);
        assert_eq!(pulse.look(), Look { taken: 2, idle: true });
    }
}
