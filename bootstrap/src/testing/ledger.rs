//! What is not finished in an application under test, what is open, and what has failed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use futures_util::future::{BoxFuture, try_join_all};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::{Recorder, patience};
use crate::{Error, Result, framework::Leftover, operation::Protocol};

/// The books of one application under test.
#[derive(Default)]
pub(crate) struct Ledger {
    open: Mutex<Open>,
    changed: Notify,
    failures: Mutex<Vec<Error>>,
    arrivals: Mutex<Vec<Arrived>>,
    steps: RwLock<Vec<Stepped>>,
    allowed: OnceLock<BTreeSet<Leftover>>,
    judged: Mutex<BTreeSet<Protocol>>,
    recorder: Recorder,
}

/// Ends when what was handed to somebody else has come back.
type Arrived = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Is told of each step.
type Stepped = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Open {
    next: u64,
    /// How much work has begun.
    begun: u64,
    /// How much of it has not ended.
    working: usize,
    entries: BTreeMap<u64, Entry>,
}

impl Open {
    /// How much has begun, and how much of that goes on.
    fn work(&self) -> (u64, usize) {
        (self.begun, self.working)
    }
}

struct Entry {
    kind: Leftover,
    what: String,
    since: Instant,
}

impl Entry {
    fn line(&self) -> String {
        let since = self.since.elapsed().as_secs_f64();
        format!("{} {} for {since:.1} s", self.kind, self.what)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

impl Ledger {
    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(crate) fn enter(&self, kind: Leftover, what: String) -> u64 {
        let mut open = self.open();
        open.next += 1;
        let id = open.next;
        open.begun += u64::from(kind.is_work());
        open.working += usize::from(kind.is_work());
        open.entries.insert(id, Entry { kind, what, since: Instant::now() });
        id
    }

    pub(crate) fn leave(&self, id: u64) {
        let mut open = self.open();
        let left = open.entries.remove(&id);
        open.working -= usize::from(left.is_some_and(|left| left.kind.is_work()));
        drop(open);
        self.changed.notify_waiters();
    }

    pub(crate) fn fail(&self, error: Error) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    }

    pub(crate) fn wait_for(&self, arrived: Arrived) {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(arrived);
    }

    pub(crate) fn after_each_step(&self, told: Stepped) {
        self.steps.write().unwrap_or_else(PoisonError::into_inner).push(told);
    }

    /// A task of the application has made a step.
    pub(crate) fn step(&self) {
        self.steps.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(|told| told());
    }

    pub(crate) fn judge(&self, protocol: Protocol) {
        self.judged().insert(protocol);
    }

    pub(crate) fn is_judged(&self, protocol: Protocol) -> bool {
        self.judged().contains(&protocol)
    }

    fn judged(&self) -> MutexGuard<'_, BTreeSet<Protocol>> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says once what the test leaves on purpose.
    pub(super) fn allow(&self, kinds: BTreeSet<Leftover>) {
        let _ = self.allowed.set(kinds);
    }

    pub(crate) fn allows(&self, kind: Leftover) -> bool {
        self.allowed.get().is_some_and(|allowed| allowed.contains(&kind))
    }

    /// What is there and must not be, once everything is stopped.
    pub(super) fn left(&self) -> Vec<(Leftover, String)> {
        let open = self.open();
        let left = open.entries.values().filter(|entry| !self.allows(entry.kind));
        left.map(|entry| (entry.kind, entry.what.clone())).collect()
    }

    /// Whether a call or a task goes on that nobody could end, and that the test does not leave on
    /// purpose.
    pub(super) fn has_left_work(&self) -> bool {
        self.left().iter().any(|(kind, _)| matches!(kind, Leftover::Call | Leftover::Task))
    }

    /// What there is of this kind.
    pub(super) fn open_now(&self, kind: Leftover) -> Vec<String> {
        let open = self.open();
        let open = open.entries.values().filter(|entry| entry.kind == kind);
        open.map(|entry| entry.what.clone()).collect()
    }

    /// Ends when all work is finished, also what has been caused by that; fails with the first
    /// failure on the way.
    pub(super) async fn settled(&self, limit: Duration) -> Result<()> {
        // What it waits for is named at the limit: it must still be there.
        let mut quiet = pin!(self.quiet());
        let quiet = patience::at_most(limit, &mut quiet).await;
        let failures = self.failures().drain(..).collect::<Vec<_>>();
        let settled = quiet.unwrap_or_else(|| Err(self.late(limit)));
        match (settled, failures.len()) {
            (settled, 0) => settled,
            (Ok(()), _) => first(failures),
            (Err(late), _) => Err(late.also(failures)),
        }
    }

    async fn quiet(&self) -> Result<()> {
        loop {
            let before = self.open().work();
            let arrivals = self.arrivals().clone();
            try_join_all(arrivals.iter().map(|arrived| arrived())).await?;
            self.until(|open| open.working == 0).await;
            // What has gone on meanwhile may have handed something to somebody else.
            if before == self.open().work() {
                return Ok(());
            }
        }
    }

    /// Ends when nothing is left any more, or after `limit`.
    pub(super) async fn nothing_left(&self, limit: Duration) {
        let done = |open: &Open| open.entries.values().all(|entry| self.allows(entry.kind));
        let _ = timeout(limit, self.until(done)).await;
    }

    async fn until(&self, condition: impl Fn(&Open) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if condition(&self.open()) {
                return;
            }
            changed.await;
        }
    }

    fn late(&self, limit: Duration) -> Error {
        let open = self.open();
        let working = open.entries.values().filter(|entry| entry.kind.is_work());
        let working: Vec<_> = working.map(Entry::line).collect();
        let what = match working.as_slice() {
            [] => "what was handed on has not come back".to_owned(),
            working => working.join("; "),
        };
        Error::deadline(format!("not settled after {limit:?}: {what}"))
            .advise("end what is open (a stream, a subscription), or wait longer: settled_within")
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, Vec<Error>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrivals(&self) -> MutexGuard<'_, Vec<Arrived>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first of several failures; how many further ones there are is told with it.
fn first(mut failures: Vec<Error>) -> Result<()> {
    let error = failures.remove(0);
    Err(match failures.len() {
        0 => error,
        further => error.context(format!("the first of {} failures", further + 1)),
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::framework::Witness;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn work_that_begins_work_is_waited_for_to_its_very_end() {
        let ledger = Arc::new(Ledger::default());
        let witness = Witness::of(&ledger);
        let first = witness.mark(Leftover::Call, || "first".to_owned());
        let (own, ended) = (witness.clone(), Arc::new(OnceLock::new()));
        let end = Arc::clone(&ended);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let second = own.mark(Leftover::Task, || "second".to_owned());
            drop(first);
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = end.set(());
            drop(second);
        });
        ledger.settled(LIMIT).await.expect("nothing fails");
        assert!(ended.get().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_back_from_elsewhere_is_waited_for_and_looked_at_again() {
        let ledger = Arc::new(Ledger::default());
        let witness = Witness::of(&ledger);
        let (own, asked) = (witness.clone(), Arc::new(Mutex::new(0)));
        let count = Arc::clone(&asked);
        witness.wait_for(move || {
            let mut asked = count.lock().expect("is not poisoned");
            *asked += 1;
            if *asked == 1 {
                // The first time a message comes back, and is handled.
                drop(own.mark(Leftover::Call, || "handled".to_owned()));
            }
            async { Ok(()) }.boxed()
        });
        ledger.settled(LIMIT).await.expect("nothing fails");
        assert_eq!(*asked.lock().expect("is not poisoned"), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_named_with_the_failures_so_far() {
        let ledger = Arc::new(Ledger::default());
        let witness = Witness::of(&ledger);
        let _mark = witness.mark(Leftover::Message, || "push of news".to_owned());
        let _open = witness.mark(Leftover::Connection, || "127.0.0.1:1".to_owned());
        witness.failed(|| Error::other("the task has failed"));
        let report = format!("{:?}", ledger.settled(LIMIT).await.expect_err("is late"));
        assert!(report.contains("not settled after 10s: message push of news for"), "{report}");
        assert!(report.contains("the task has failed"), "{report}");
        assert!(!report.contains("127.0.0.1"), "is no work: {report}");
    }

    #[tokio::test]
    async fn the_first_failure_is_told_once() {
        let ledger = Arc::new(Ledger::default());
        let witness = Witness::of(&ledger);
        witness.failed(|| Error::other("one"));
        witness.failed(|| Error::other("two"));
        let error = ledger.settled(LIMIT).await.expect_err("has failed");
        assert_eq!(error.to_string(), "the first of 2 failures: one");
        ledger.settled(LIMIT).await.expect("is told");
    }
}
