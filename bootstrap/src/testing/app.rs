use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::OnceCell;

use super::{Ledger, OperationCall, Recorder, leftovers};
use crate::{Error, Result, framework::Leftover, lifecycle::RunningBootstrap};

/// How long [`TestApp::settled`] waits.
const SETTLE: Duration = Duration::from_secs(10);

/// A whole application under test. Each framework crate adds its clients: `http()`,
/// `websocket(…)`, `grpc(…)`, `amqp()`. A cheap handle; when the last one is dropped without
/// [`close`](Self::close), the application stops in the background.
///
/// Where the last handle is dropped by a test that panics, or that has not closed the application
/// (since it returns an error, say), all that was recorded is shown on standard error, where test
/// runners keep it with the test; so it is where the start or [`close`](Self::close) fails.
#[derive(Clone)]
pub struct TestApp(Arc<Inner>);

struct Inner {
    running: RunningBootstrap,
    ledger: Arc<Ledger>,
    closed: OnceCell<Result<()>>,
    /// Whoever runs the test has a handle of its own.
    is_lent: AtomicBool,
    show: ShowOnDrop,
}

/// Shows what was recorded where the test fails.
struct ShowOnDrop {
    recorder: Recorder,
    is_closed: AtomicBool,
}

impl Drop for ShowOnDrop {
    fn drop(&mut self) {
        if std::thread::panicking() || !self.is_closed.load(Relaxed) {
            self.recorder.show();
        }
    }
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestApp").field(&self.0.running).finish()
    }
}

impl TestApp {
    pub(super) fn new(running: RunningBootstrap, ledger: Arc<Ledger>) -> Self {
        let recorder = ledger.recorder().clone();
        let show = ShowOnDrop { recorder, is_closed: false.into() };
        let (closed, is_lent) = (OnceCell::new(), false.into());
        Self(Arc::new(Inner { running, ledger, closed, is_lent, show }))
    }

    /// An operation, to be called without a protocol, through everything that stands around it:
    /// by its name or by its route (`"users.get"`, `"GET /users"`). See [`OperationCall`].
    ///
    /// # Panics
    /// Panics where nothing is served by that name.
    pub fn operation(&self, asked: &str) -> OperationCall {
        OperationCall::find(&self.0.running, asked)
    }

    /// Waits up to 10 s (where the clock is paused, up to a day of it) until all that the calls so far have caused has ended: calls in flight on
    /// all frameworks, background tasks that calls have begun, pushes that are not written,
    /// messages that are not handled, and what these cause in turn. A background task that a hook
    /// has begun is not waited for, since it may go on as long as the process does.
    ///
    /// # Errors
    /// Returns the first failure since this was asked last: of a background task that a call has
    /// begun, if it is not begun anew; of a call that has ended in an internal fault; of a message
    /// that is parked, whatever its last attempt has ended in. Or, where something does not end, what
    /// that is. Every other fault is an answer ([`Recorder::faults`]).
    pub async fn settled(&self) -> Result<()> {
        self.settled_within(SETTLE).await
    }

    /// As [`settled`](Self::settled), with another limit.
    ///
    /// # Errors
    /// As [`settled`](Self::settled).
    pub async fn settled_within(&self, limit: Duration) -> Result<()> {
        self.0.ledger.settled(limit).await
    }

    /// What was called, sent, published, consumed, logged and faulted so far.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        self.0.ledger.recorder()
    }

    /// What is not finished or open now, of this kind: `open(Leftover::Connection)`.
    #[must_use]
    pub fn open(&self, kind: Leftover) -> Vec<String> {
        self.0.ledger.open_now(kind)
    }

    /// Stops in order, waits for the end, and looks whether anything was left: calls, background
    /// tasks, messages, connections and listeners, and singletons that somebody still holds, for
    /// which this must be the last handle. Values that were handed to the container as they are,
    /// overrides say, may be held on. What a call or a task that cannot be ended holds is not told
    /// besides it.
    ///
    /// # Errors
    /// Returns everything that went wrong during the stop, and names everything that was left and
    /// that [`may_leave`](super::TestBootstrap::may_leave) does not allow. What was recorded is shown
    /// then.
    pub async fn close(self) -> Result<()> {
        let recorder = self.recorder().clone();
        let stopped = self.0.closed.get_or_init(|| stop(&self.0)).await.clone();
        self.0.show.is_closed.store(true, Relaxed);
        let released = self.release().await;
        let errors = [stopped.err(), released.err()].into_iter().flatten().collect();
        leftovers::report(errors).inspect_err(|_| recorder.show())
    }

    /// Looks, by the last handle of an application that is closed, who still holds singletons.
    pub(super) async fn release(self) -> Result<()> {
        let is_unseen = self.0.ledger.allows(Leftover::Singleton) || self.0.ledger.has_left_work();
        let further = Arc::strong_count(&self.0) - 1 - usize::from(self.0.is_lent.load(Relaxed));
        match Arc::into_inner(self.0) {
            _ if is_unseen => Ok(()),
            Some(Inner { running, .. }) => leftovers::report(leftovers::held(running).await),
            // Whoever runs the test looks.
            None if further == 0 => Ok(()),
            None => Err(leftovers::further_handles(further)),
        }
    }

    /// A handle for the test that this one's holder runs.
    pub(super) fn lend(&self) -> Self {
        self.0.is_lent.store(true, Relaxed);
        self.clone()
    }

    /// The test is over, and has dropped its handles.
    pub(super) fn take_back(&self) {
        self.0.is_lent.store(false, Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.initialized()
    }

    pub(super) fn show(&self) {
        self.recorder().show();
    }
}

async fn stop(inner: &Inner) -> Result<()> {
    inner.running.stop("the test is over");
    let stopped = inner.running.wait().await;
    let left = leftovers::open(&inner.ledger).await;
    let errors: Vec<Error> = stopped.err().into_iter().flat_map(Error::into_parts).collect();
    leftovers::report(errors.into_iter().chain(left).collect())
}

impl Deref for TestApp {
    type Target = RunningBootstrap;

    fn deref(&self) -> &RunningBootstrap {
        &self.0.running
    }
}
