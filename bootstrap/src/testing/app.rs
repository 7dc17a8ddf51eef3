use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use tokio::sync::OnceCell;

use super::{Ledger, OperationCall, Recorder, leftovers};
use crate::{Error, Result, framework::Leftover, lifecycle::RunningBootstrap};

/// How long [`TestApp::settled`] waits.
const SETTLE: Duration = Duration::from_secs(10);

/// A whole application under test. Each framework crate adds its clients: `http()`,
/// `websocket(…)`, `grpc(…)`, `amqp()`. A cheap handle; when the last one is dropped without
/// [`close`](Self::close), the application stops in the background.
///
/// Where the last handle is dropped by a test that panics, all that was recorded is shown on
/// standard error, where test runners keep it with the test.
#[derive(Clone)]
pub struct TestApp(Arc<Inner>);

struct Inner {
    running: RunningBootstrap,
    ledger: Arc<Ledger>,
    closed: OnceCell<Result<()>>,
    _show: ShowOnPanic,
}

/// Shows what was recorded where the test fails.
struct ShowOnPanic(Recorder);

impl Drop for ShowOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.show();
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
        let _show = ShowOnPanic(ledger.recorder().clone());
        Self(Arc::new(Inner { running, ledger, closed: OnceCell::new(), _show }))
    }

    /// An operation, to be called without a protocol, through everything that stands around it:
    /// by its name or by its route (`"users.get"`, `"GET /users"`). See [`OperationCall`].
    ///
    /// # Panics
    /// Panics where nothing is served by that name.
    pub fn operation(&self, asked: &str) -> OperationCall {
        OperationCall::find(&self.0.running, asked)
    }

    /// Waits up to 10 s until all that the calls so far have caused has ended: calls in flight on
    /// all frameworks, background tasks that calls have begun, pushes that are not written,
    /// messages that are not handled, and what these cause in turn. A background task that a hook
    /// has begun is not waited for, since it may go on as long as the process does.
    ///
    /// # Errors
    /// Returns the first failure since this was asked last: a background task's, a call's that has
    /// ended in an internal fault, a message's that is parked; or, where something does not end,
    /// what that is.
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

    /// Stops in order, waits for the end, and looks whether anything was left: calls, background
    /// tasks, messages, connections and listeners, and, by the last handle, singletons that
    /// somebody still holds. Values that were handed to the container as they are, overrides say,
    /// may be held on.
    ///
    /// # Errors
    /// Returns everything that went wrong during the stop, and names everything that was left and
    /// that [`may_leave`](super::TestBootstrap::may_leave) does not allow.
    pub async fn close(self) -> Result<()> {
        let stopped = self.0.closed.get_or_init(|| stop(&self.0)).await.clone();
        leftovers::report(
            [stopped.err(), self.release().await.err()].into_iter().flatten().collect(),
        )
    }

    /// Looks, by the last handle of an application that is closed, who still holds singletons.
    pub(super) async fn release(self) -> Result<()> {
        let Some(Inner { running, ledger, _show, .. }) = Arc::into_inner(self.0) else {
            return Ok(());
        };
        match ledger.allows(Leftover::Singleton) {
            true => Ok(()),
            false => leftovers::report(leftovers::held(running).await),
        }
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
