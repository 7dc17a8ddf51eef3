//! What an application under test has left.

use std::{future::Future, time::Duration};

use tokio::{task::yield_now, time::sleep};

use super::Ledger;
use crate::{
    Error, Result, container::HeldSingleton, framework::Leftover, lifecycle::RunningBootstrap,
};

/// How long what was aborted may take to be gone.
const GRACE: Duration = Duration::from_secs(1);
/// In so many looks: on a machine that is busy each of them takes longer.
const LOOKS: u32 = 100;

/// Everything that went wrong, as one report.
pub(super) fn report(errors: Vec<Error>) -> Result<()> {
    let errors = errors.into_iter().flat_map(Error::into_parts).collect();
    Error::all("the application did not end cleanly", errors)
}

/// What is open or not finished, although everything is stopped.
pub(super) async fn open(ledger: &Ledger) -> Vec<Error> {
    for _ in 0..LOOKS {
        ledger.nothing_left(GRACE / LOOKS).await;
        if ledger.left().is_empty() {
            break;
        }
        yield_now().await;
    }
    let mut open = ledger.left();
    // What has not ended keeps its connection.
    if ledger.has_left_work() {
        open.retain(|(kind, _)| *kind != Leftover::Connection);
    }
    open.into_iter().map(|(kind, what)| left(kind, &what)).collect()
}

fn left(kind: Leftover, what: &str) -> Error {
    Error::other(format!("a {kind} was left: {what}")).advise(format!(
        "end it before the stop ends; a test that leaves it on purpose says so by \
         may_leave(Leftover::{kind:?})"
    ))
}

/// Handles that keep the application, and all that is in it.
pub(super) fn further_handles(count: usize) -> Error {
    let handles = match count {
        1 => "1 further handle of TestApp is".to_owned(),
        count => format!("{count} further handles of TestApp are"),
    };
    Error::other(format!("singletons were not looked at: {handles} still held")).advise(
        "drop them before close; a test that holds them on purpose says so by \
         may_leave(Leftover::Singleton)",
    )
}

/// The singletons that somebody still holds when the process is gone.
pub(super) async fn held(running: RunningBootstrap) -> Vec<Error> {
    let (singletons, container) =
        (running.container().singletons(), running.container().downgrade());
    drop(running);
    let holders = || async { container.holders() };
    if at_last(0, holders).await > 0 {
        return vec![held_container(container.holders())];
    }
    at_last(0, || async { singletons.iter().map(HeldSingleton::holders).sum() }).await;
    let held = singletons.iter().filter(|one| one.holders() > 0);
    held.map(held_singleton).collect()
}

/// The last of what `look` gives, or the first that is `wanted`.
async fn at_last<F: Future<Output = usize>>(wanted: usize, look: impl Fn() -> F) -> usize {
    for _ in 0..LOOKS {
        if look().await == wanted {
            return wanted;
        }
        yield_now().await;
        sleep(GRACE / LOOKS).await;
    }
    look().await
}

fn held_container(holders: usize) -> Error {
    Error::other(format!(
        "the container was left: {holders} of its handles are still held, and all singletons with it"
    ))
    .advise(
        "drop Container, Context and what holds them before close; a singleton that keeps the \
         container keeps a WeakContainer",
    )
}

fn held_singleton(singleton: &HeldSingleton) -> Error {
    let (holders, title) = (singleton.holders(), singleton.title());
    let holders = match holders {
        1 => "1 Arc of it is".to_owned(),
        count => format!("{count} Arcs of it are"),
    };
    Error::other(format!("a singleton was left: {title}: {holders} still held")).advise(
        "drop them before close; a test that holds them on purpose says so by \
         may_leave(Leftover::Singleton)",
    )
}
