//! A stage of the start runs within its deadline, and names whoever keeps it.

use std::{pin::pin, time::Duration};

use tokio::time::sleep;
use tracing::{dispatcher, subscriber::NoSubscriber};

use super::{Lifecycle, Stage};
use crate::{
    Error, Result,
    container::{Container, Key},
    framework::Witness,
    panics,
};

/// Runs `work` as `stage` of the start.
pub(super) async fn run<T>(
    lifecycle: &Lifecycle,
    container: &Container,
    stage: Stage,
    limit: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    go_on(lifecycle)?;
    let step = lifecycle.begin_stage(stage);
    step.end(within(lifecycle, Some(container), limit, work).await)
}

/// Runs `work` in the stage that the start has come to; what is not finished after `limit` is
/// dropped, and what it waits for is named.
pub(super) async fn within<T>(
    lifecycle: &Lifecycle,
    container: Option<&Container>,
    limit: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = pin!(work);
    let result = tokio::select! {
        biased;
        result = &mut work => result,
        // Named while it is still there.
        () = sleep(limit) => Err(late(lifecycle, container, limit)),
    };
    result.map_err(|error| error.at_stage(lifecycle.stage().map_or("", Stage::as_str)))
}

/// An error where the start must not go on: a stop is asked for.
pub(super) fn go_on(lifecycle: &Lifecycle) -> Result<()> {
    if lifecycle.is_stop_requested() { Err(interrupted(lifecycle)) } else { Ok(()) }
}

/// The end of a start that a stop, or the failure of a part of it, came between.
pub(super) fn interrupted(lifecycle: &Lifecycle) -> Error {
    let reason = lifecycle.stop_reason().unwrap_or("stop requested");
    let failures = lifecycle.take_failures();
    let interrupted = Error::other(format!("the start was interrupted ({reason})"));
    let error = Error::all("parts of the process have failed", failures).err();
    error.unwrap_or(interrupted).at_stage(lifecycle.stage().map_or("", Stage::as_str))
}

fn late(lifecycle: &Lifecycle, container: Option<&Container>, limit: Duration) -> Error {
    let stage = lifecycle.stage().unwrap_or(Stage::Configuration);
    let place = whereabouts(lifecycle, container);
    lifecycle.timeline().late(stage);
    let advice = match stage {
        Stage::Configuration | Stage::Modules => {
            "reading the configuration and Module::configure must not wait".to_owned()
        }
        stage => format!("raise startup.{stage}, or look at what it waits for"),
    };
    Error::deadline(format!("not finished after {limit:?}")).context(place).advise(advice)
}

/// Where a start is, and what it waits for there.
fn whereabouts(lifecycle: &Lifecycle, container: Option<&Container>) -> String {
    let stage = lifecycle.stage().unwrap_or(Stage::Configuration);
    let building = container.map(Container::under_construction).unwrap_or_default();
    let running = lifecycle.timeline().running(stage).into_iter();
    let waiting: Vec<_> = running.chain(building.iter().map(Key::to_string)).collect();
    match waiting.as_slice() {
        [] => format!("stage {stage}"),
        waiting => format!("stage {stage}, waiting for {}", waiting.join(", ")),
    }
}

#[cfg(any(test, feature = "testing"))]
impl Lifecycle {
    /// Where the start is, and what it waits for there.
    pub(crate) fn whereabouts(&self) -> String {
        whereabouts(self, None)
    }
}

/// Runs code that does not wait on a thread of its own, so that not even code that blocks keeps a
/// deadline or a signal from being heard.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (log, witness) = (dispatcher::get_default(Clone::clone), Witness::here());
    let work = move || witness.around_now(work);
    let work = move || match log.is::<NoSubscriber>() {
        // The work itself may set up the log.
        true => panics::caught(work),
        false => dispatcher::with_default(&log, || panics::caught(work)),
    };
    let task = tokio::task::spawn_blocking(work);
    task.await.unwrap_or_else(|error| {
        Err(Error::other("it was stopped with the runtime").caused_by(error))
    })
}
