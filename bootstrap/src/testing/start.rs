//! The start of an application under test, within a deadline that nothing can stop.

use std::{
    io::Write,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    Error, Result,
    lifecycle::{self, Lifecycle, Plan, RunningBootstrap, Timeline},
    panics, program,
};

/// How long the roll-back of a start that is given up is waited for.
const ROLL_BACK: Duration = Duration::from_secs(5);

/// Why it is stopped then.
const TOO_LONG: &str = "the start took too long for the test";

/// How long a test may take to hear of a deadline before it is told to be blocked.
const HEARS: Duration = Duration::from_secs(1);

/// What runs, and how long it took until it did.
type Started = (RunningBootstrap, Duration);

/// Starts in a task of its own; where this is dropped, what has started is rolled back.
pub(super) async fn start(
    mut plan: Plan,
    lifecycle: Lifecycle,
    limit: Duration,
) -> Result<RunningBootstrap> {
    // The task that starts it does not know whose `main` this is.
    plan.options.name = plan.options.name.take().or_else(program::name);
    let (witness, own) = (plan.options.witness.clone(), lifecycle.clone());
    let began = Instant::now();
    let starting = async move {
        let started = lifecycle::start(plan, own).await?;
        // Not when the test hears of it, on a machine that is busy.
        Ok((started, began.elapsed()))
    };
    let mut task = AbortOnDrop(tokio::spawn(witness.around(starting)));
    let alarm = Alarm::set(limit, lifecycle.clone());
    tokio::select! {
        biased;
        started = &mut task.0 => {
            let (running, took) = joined(started)?;
            in_time(running, took, limit).await
        }
        () = alarm.rings() => Err(given_up(&mut task.0, &lifecycle, limit).await),
    }
}

/// A start that has blocked the only thread of the runtime can be over before its deadline is heard.
async fn in_time(
    running: RunningBootstrap,
    took: Duration,
    limit: Duration,
) -> Result<RunningBootstrap> {
    let lifecycle = running.lifecycle().clone();
    if took <= limit {
        return Ok(running);
    }
    let late = too_late(running.timeline(), limit, took);
    lifecycle.stop(TOO_LONG);
    let alarm = Alarm::set(ROLL_BACK, lifecycle);
    Err(tokio::select! {
        biased;
        stopped = running.wait() => late.also(stopped.err()),
        () = alarm.rings() => late.context("what has started is still being stopped"),
    })
}

/// Names the part of the start that took longest.
fn too_late(timeline: &Timeline, limit: Duration, took: Duration) -> Error {
    let parts = timeline.entries().into_iter().filter_map(|entry| entry.component.zip(entry.took));
    let longest = parts.max_by_key(|(_, took)| *took);
    let longest = longest.map(|(part, took)| format!("; {part} took {:.1} s", took.as_secs_f64()));
    let took = took.as_secs_f64();
    Error::deadline(format!(
        "the application is not ready after {limit:?}, but after {took:.1} s{}",
        longest.unwrap_or_default()
    ))
    .advise("do not block; a start that needs longer says so by start_within")
}

/// Ends a start that takes too long, and says what it was waiting for.
async fn given_up(
    task: &mut JoinHandle<Result<Started>>,
    lifecycle: &Lifecycle,
    limit: Duration,
) -> Error {
    let late = late(lifecycle, limit);
    lifecycle.stop(TOO_LONG);
    let alarm = Alarm::set(ROLL_BACK, lifecycle.clone());
    tokio::select! {
        biased;
        // What a roll-back reports is in the error; that the start was interrupted is known.
        started = task => match joined(started) {
            Ok(_) => late,
            Err(error) => late.also(error.into_parts().into_iter().skip(1)),
        },
        () = alarm.rings() => late.context("what has started is still being rolled back"),
    }
}

fn late(lifecycle: &Lifecycle, limit: Duration) -> Error {
    Error::deadline(format!("the application is not ready after {limit:?}"))
        .context(lifecycle.whereabouts())
        .advise("look at what it waits for; a start that needs longer says so by start_within")
}

fn joined(started: Result<Result<Started>, tokio::task::JoinError>) -> Result<Started> {
    started.unwrap_or_else(|stopped| {
        Err(match stopped.try_into_panic() {
            Ok(panic) => panics::error(&*panic),
            Err(_) => Error::other("the start was stopped with the runtime"),
        })
    })
}

/// A start that nobody waits for any more.
struct AbortOnDrop(JoinHandle<Result<Started>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A clock on a thread of its own: neither a paused clock nor a blocked runtime stops it.
struct Alarm {
    rang: oneshot::Receiver<()>,
    /// Dropped, the thread ends.
    _quiet: mpsc::Sender<()>,
}

impl Alarm {
    fn set(after: Duration, lifecycle: Lifecycle) -> Self {
        let (ring, rang) = oneshot::channel();
        let (quiet, quieted) = mpsc::channel::<()>();
        let wait = move || {
            if quieted.recv_timeout(after) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let _ = ring.send(());
            if quieted.recv_timeout(HEARS) == Err(RecvTimeoutError::Timeout) {
                say_blocked(&lifecycle);
            }
        };
        // Without a thread there is no deadline but those of the stages.
        let _ = thread::Builder::new().name("start deadline".to_owned()).spawn(wait);
        Self { rang, _quiet: quiet }
    }

    async fn rings(self) {
        if self.rang.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A runtime of one thread that is blocked can return no error: at least it is said why it hangs.
fn say_blocked(lifecycle: &Lifecycle) {
    // Nothing is left to be done where even standard error is closed.
    let _ = writeln!(
        std::io::stderr(),
        "error: the application blocks the only thread of the test\n  at {}\n  help: do not block, \
         or give the test a second thread: #[polyport::test] does, or flavor = \"multi_thread\"",
        lifecycle.whereabouts(),
    );
}
