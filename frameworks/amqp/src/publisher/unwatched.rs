//! What becomes of messages that nobody waits for.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{PublishError, told::OnItsWay};
use crate::metrics::PublishMetrics;

/// How long failures are only counted after one was logged.
const QUIET: Duration = Duration::from_secs(10);

/// Counts the messages that were published with
/// [`FireAndForget`](crate::PublishMode::FireAndForget).
#[derive(Debug)]
pub(super) struct Unwatched {
    metrics: Arc<PublishMetrics>,
    confirmed: AtomicU64,
    failed: AtomicU64,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    latest: Option<Instant>,
    unsaid: u64,
}

impl Unwatched {
    pub(super) fn new(metrics: Arc<PublishMetrics>) -> Self {
        Self {
            metrics,
            confirmed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            log: Mutex::default(),
        }
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        (self.confirmed.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    fn failed(&self, error: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        if let Some(unsaid) = self.log.lock().unwrap_or_else(PoisonError::into_inner).admit() {
            tracing::warn!(
                error,
                unsaid,
                "a message that nobody waits for was not published, or may not have been"
            );
        }
    }
}

impl Log {
    /// How many failures were kept back since the last one that was logged, if this one may be.
    fn admit(&mut self) -> Option<u64> {
        if self.latest.is_some_and(|latest| latest.elapsed() < QUIET) {
            self.unsaid += 1;
            return None;
        }
        self.latest = Some(Instant::now());
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// Tells what no log line has told yet.
impl Drop for Unwatched {
    fn drop(&mut self) {
        let unsaid = self.log.get_mut().unwrap_or_else(PoisonError::into_inner).unsaid;
        if unsaid > 0 {
            tracing::warn!(unsaid, "further messages that nobody waits for were not published");
        }
    }
}

/// Stands for the caller of such a message. Dropped without an outcome, the message is lost.
#[derive(Debug)]
pub(super) struct Ticket {
    counts: Arc<Unwatched>,
    /// None when it is finished.
    told: Option<OnItsWay>,
}

impl Ticket {
    pub(super) fn new(counts: Arc<Unwatched>, told: OnItsWay) -> Self {
        Self { counts, told: Some(told) }
    }

    pub(super) fn finish(mut self, outcome: Result<(), PublishError>) {
        if let Some(told) = self.told.take() {
            told.end(&outcome);
        }
        self.counts.metrics.end(&outcome);
        match outcome {
            Ok(()) => drop(self.counts.confirmed.fetch_add(1, Ordering::Relaxed)),
            Err(error) => self.counts.failed(&error.to_string()),
        }
    }

    /// The message was not accepted, and its caller is told so.
    pub(super) fn void(mut self) {
        self.told = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.told.is_some() {
            // It may have been sent.
            self.counts.metrics.end(&Err(PublishError::TimedOut { after: Duration::ZERO }));
            self.counts.failed("the process has stopped before it was confirmed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    fn ticket(counts: &Arc<Unwatched>) -> Ticket {
        let message = Message::new("", "q", "").into_outgoing().expect("fits");
        Ticket::new(Arc::clone(counts), OnItsWay::begin(&Default::default(), &message))
    }

    #[test]
    fn every_message_is_counted_also_one_that_is_dropped() {
        let counts = Arc::new(Unwatched::new(Arc::new(PublishMetrics::new("default"))));
        ticket(&counts).finish(Ok(()));
        ticket(&counts).finish(Err(PublishError::Nacked));
        drop(ticket(&counts));
        ticket(&counts).void();
        assert_eq!(counts.counts(), (1, 2), "one that was not accepted is none");
    }

    #[test]
    fn the_first_failure_is_logged_and_the_next_ones_counted() {
        let mut log = Log::default();
        assert_eq!(log.admit(), Some(0));
        assert_eq!((log.admit(), log.admit()), (None, None));
        log.latest = Instant::now().checked_sub(QUIET);
        assert_eq!(log.admit(), Some(2));
    }
}
