//! What `#[polyport::test]` expands to.

use std::{
    fmt::Debug,
    future::Future,
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::runtime::{Builder, Runtime};

use super::{TestApp, TestBootstrap};
use crate::Error;

/// How long what still blocks a thread is waited for at the end of a test.
const END: Duration = Duration::from_secs(1);

/// The runtime of a test.
#[derive(Debug, Clone, Copy)]
pub struct TestRuntime {
    /// How many workers it has; none is the test's own thread alone.
    pub workers: Option<usize>,
    /// Whether its clock stands still, and jumps to the next timer whenever nothing else is left
    /// to be done.
    pub start_paused: bool,
}

impl TestRuntime {
    fn build(self) -> std::io::Result<Runtime> {
        let mut builder = match self.workers {
            Some(workers) => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(workers);
                builder
            }
            None => Builder::new_current_thread(),
        };
        builder.enable_all().start_paused(self.start_paused).build()
    }
}

/// What a test can return.
#[diagnostic::on_unimplemented(
    message = "a test cannot return `{Self}`",
    note = "return nothing, or a `Result<(), E>` whose error is `Debug`"
)]
pub trait TestOutcome {
    /// Whether the test has failed.
    fn is_failure(&self) -> bool;
}

impl TestOutcome for () {
    fn is_failure(&self) -> bool {
        false
    }
}

impl<E: Debug> TestOutcome for Result<(), E> {
    fn is_failure(&self) -> bool {
        self.is_err()
    }
}

/// Runs a test with the application, closes that, and shows what happened in it where the test has
/// failed.
///
/// # Panics
/// Panics where the test does, or where the application does not start or end cleanly.
pub fn run_test<B, F, Fut>(
    runtime: TestRuntime,
    bootstrap: impl FnOnce() -> B,
    test: F,
) -> Fut::Output
where
    B: Into<TestBootstrap>,
    F: FnOnce(TestApp) -> Fut,
    Fut: Future<Output: TestOutcome>,
{
    let runtime = match runtime.build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("the runtime of the test cannot be started: {error}"),
    };
    let ended = runtime.block_on(AssertUnwindSafe(run(bootstrap, test)).catch_unwind());
    // What the application blocks must not keep the test from its end.
    runtime.shutdown_timeout(END);
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

async fn run<B, F, Fut>(bootstrap: impl FnOnce() -> B, test: F) -> Fut::Output
where
    B: Into<TestBootstrap>,
    F: FnOnce(TestApp) -> Fut,
    Fut: Future<Output: TestOutcome>,
{
    let app = match bootstrap().into().await {
        Ok(app) => app,
        Err(error) => panic!("the application did not start: {error:?}"),
    };
    let ended = AssertUnwindSafe(test(app.lend())).catch_unwind().await;
    app.take_back();
    let failed = ended.as_ref().map_or(true, TestOutcome::is_failure);
    let closed = close(app, failed).await;
    match (ended, closed) {
        (Ok(outcome), _) if failed => outcome,
        (Ok(outcome), Ok(())) => outcome,
        (Ok(_), Err(error)) => panic!("the application did not end cleanly: {error:?}"),
        (Err(panic), _) => resume_unwind(panic),
    }
}

/// One that the test has closed by itself was its own affair, but for what it has left.
async fn close(app: TestApp, failed: bool) -> Result<(), Error> {
    if failed {
        app.show();
    }
    if app.is_closed() { app.release().await } else { app.close().await }
}
