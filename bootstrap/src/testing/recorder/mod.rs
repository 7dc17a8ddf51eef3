//! What happened in an application under test.

mod log;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;
use tracing_subscriber::filter::Targets;

pub(crate) use self::log::{listen, lives_here};
use super::patience::{LIMIT, at_most};
use crate::framework::{Recorded, RecordedKind};

/// How much is kept; what is older is forgotten first.
const MOST: usize = 10_000;

/// What was called, sent, published, consumed, logged and faulted in an application under test. A
/// cheap handle, which outlives the application.
///
/// A test that fails shows all of it ([`TestApp`](super::TestApp)); of one that passes test runners
/// show nothing.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::{framework::RecordedKind, testing::TestApp};
///
/// async fn greets_once(app: &TestApp) {
///     let sent = app.recorder().by_route(RecordedKind::Sent, "greeting");
///     assert_eq!(sent.len(), 1);
///     assert!(app.recorder().faults().is_empty());
/// }
/// ```
#[derive(Clone, Default)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    began: Instant,
    entries: Mutex<Entries>,
    changed: Notify,
    filter: Mutex<Targets>,
}

#[derive(Default)]
struct Entries {
    all: Vec<Recorded>,
    forgotten: usize,
    /// How many of them were shown, if they were.
    shown: Option<usize>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            entries: Mutex::default(),
            changed: Notify::new(),
            filter: Mutex::new(log::default_filter()),
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({} entries)", self.entries().all.len())
    }
}

impl Recorder {
    /// Everything, in the order in which it happened; of more than 10,000 entries the last.
    #[must_use]
    pub fn all(&self) -> Vec<Recorded> {
        self.entries().all.clone()
    }

    /// All of this kind.
    #[must_use]
    pub fn of(&self, kind: RecordedKind) -> Vec<Recorded> {
        self.filtered(|one| one.kind == kind)
    }

    /// All of this kind by this route, queue or event: `by_route(RecordedKind::Published, "orders")`.
    #[must_use]
    pub fn by_route(&self, kind: RecordedKind, route: &str) -> Vec<Recorded> {
        self.filtered(|one| one.kind == kind && one.route == route)
    }

    /// All that belongs to the call of this request id: what it has answered, published and logged.
    #[must_use]
    pub fn of_call(&self, request_id: &str) -> Vec<Recorded> {
        self.filtered(|one| one.request_id.as_deref() == Some(request_id))
    }

    /// All calls that have ended in a fault.
    #[must_use]
    pub fn faults(&self) -> Vec<Recorded> {
        self.of(RecordedKind::Faulted)
    }

    /// All lines that were logged, at the level of `log.level` (`info` by default) and above.
    #[must_use]
    pub fn logs(&self) -> Vec<Recorded> {
        self.of(RecordedKind::Logged)
    }

    /// The first that `is_it` holds for, waited for up to 10 s; where the clock is paused, up to a
    /// day of it.
    ///
    /// # Panics
    /// Panics with all that was recorded where there is none in that time.
    pub async fn wait_for(&self, is_it: impl Fn(&Recorded) -> bool) -> Recorded {
        let found = at_most(LIMIT, self.found(&is_it)).await;
        found.unwrap_or_else(|| {
            panic!("nothing of the kind happened in {LIMIT:?}; what happened:\n{self}")
        })
    }

    /// The same without a limit and so without a panic, for those who have their own.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn found(&self, is_it: impl Fn(&Recorded) -> bool) -> Recorded {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = self.entries().all.iter().find(|one| is_it(one)) {
                return found.clone();
            }
            changed.await;
        }
    }

    fn filtered(&self, is_it: impl Fn(&Recorded) -> bool) -> Vec<Recorded> {
        self.entries().all.iter().filter(|one| is_it(one)).cloned().collect()
    }

    pub(crate) fn add(&self, mut recorded: Recorded) {
        recorded.at = self.0.began.elapsed();
        let mut entries = self.entries();
        if entries.all.len() == MOST {
            entries.all.drain(..MOST / 2);
            entries.forgotten += MOST / 2;
        }
        entries.all.push(recorded);
        drop(entries);
        self.0.changed.notify_waiters();
    }

    /// Records what this level lets through, as `log.level` says it; it stands above what the
    /// frameworks want to be left out.
    pub(crate) fn set_level(&self, level: &str, directives: &[&str]) {
        let filter = log::filter(level, directives);
        log::raise(&filter);
        *self.0.filter.lock().unwrap_or_else(PoisonError::into_inner) = filter;
    }

    fn lets_through(&self, metadata: &tracing::Metadata<'_>) -> bool {
        let filter = self.0.filter.lock().unwrap_or_else(PoisonError::into_inner);
        filter.would_enable(metadata.target(), metadata.level())
    }

    /// Shows everything that it has not shown yet on standard error, where test runners keep it with
    /// the test.
    #[allow(clippy::print_stderr, reason = "the test runner shows it where the test has failed")]
    pub(super) fn show(&self) {
        let mut entries = self.entries();
        let known = entries.forgotten + entries.all.len();
        let shown = entries.shown.replace(known);
        drop(entries);
        match shown {
            None => eprintln!("what happened in the application:\n{self}"),
            Some(shown) if shown < known => eprintln!("and since:\n{}", self.last(known - shown)),
            Some(_) => {}
        }
    }

    /// The last `count` lines.
    fn last(&self, count: usize) -> String {
        let entries = self.entries();
        let last = &entries.all[entries.all.len().saturating_sub(count)..];
        last.iter().map(|one| format!("{one}\n")).collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line for each.
impl fmt::Display for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries();
        if entries.forgotten > 0 {
            writeln!(f, "({} earlier entries are forgotten)", entries.forgotten)?;
        }
        entries.all.iter().try_for_each(|one| writeln!(f, "{one}"))
    }
}
