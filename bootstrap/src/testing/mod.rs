//! The whole application in a test: [`create_bootstrap`].

mod app;
mod blame;
mod bootstrap;
mod ledger;
mod leftovers;
mod operation;
pub mod patience;
mod recorder;
mod run;
mod start;

pub(crate) use self::ledger::Ledger;
pub use self::{
    app::TestApp,
    blame::or_panic,
    bootstrap::TestBootstrap,
    operation::{OperationCall, TEST},
    recorder::Recorder,
    run::{TestOutcome, TestRuntime, run_test},
};
use crate::Bootstrap;
pub use crate::framework::{Leftover, Recorded, RecordedKind};

/// Starts `bootstrap` as `main` would, but in environment `unittest` and on free ports, so that
/// any number of them can run at once. Set options on what it returns, then await it.
///
/// Nothing that goes wrong ends the process: a start that fails, panics, or hangs until
/// [`start_within`](TestBootstrap::start_within) is an error, which is the whole report of the
/// start; its [`kind`](crate::Error::kind) says what `main` would have exited with.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::{Bootstrap, Result, testing::create_bootstrap};
///
/// async fn serves(bootstrap: Bootstrap) -> Result<()> {
///     let app = create_bootstrap(bootstrap).config("users.page_size", 5).await?;
///     app.close().await
/// }
/// ```
#[must_use = "nothing starts before it is awaited"]
pub fn create_bootstrap(bootstrap: Bootstrap) -> TestBootstrap {
    bootstrap.into()
}
