use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Reloader, ShutdownSettings, Stage, Timeline, board::Board, timeline::Step};
use crate::{
    Error,
    framework::ActiveFramework,
    systemd::{self, Notifier},
};

/// Where in its life the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Being put together; nothing is served.
    Starting,
    /// Everything is served.
    Ready,
    /// A stop has begun; what is in flight is being finished.
    Stopping,
    /// Everything is closed.
    Stopped,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        })
    }
}

/// The life of one bootstrap: its phase and stage, what it is working on, and the way to ask for
/// its end. A cheap handle; inject it as `Arc<Lifecycle>`.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Lifecycle, Phase};
///
/// let lifecycle = Lifecycle::default();
/// assert_eq!(lifecycle.phase(), Phase::Starting);
/// lifecycle.stop("no longer needed");
/// assert_eq!(lifecycle.stop_reason(), Some("no longer needed"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Lifecycle(Arc<State>);

#[derive(Default)]
struct State {
    now: watch::Sender<Now>,
    timeline: Timeline,
    /// A stop is asked for.
    stop: CancellationToken,
    /// A stop is asked for by somebody other than the hook that runs: a start ends on the spot.
    interrupt: CancellationToken,
    reason: OnceLock<String>,
    failures: Mutex<Vec<Error>>,
    reloader: Mutex<Option<Reloader>>,
    board: Mutex<Option<Arc<Board>>>,
    notifier: OnceLock<Notifier>,
    longest_stop: OnceLock<Duration>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle").field("now", &*self.now.borrow()).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
struct Now {
    phase: Phase,
    stage: Option<Stage>,
}

impl Default for Now {
    fn default() -> Self {
        Self { phase: Phase::Starting, stage: None }
    }
}

tokio::task_local! {
    /// The life whose hook runs in this task.
    static HOOK_OF: usize;
}

impl Lifecycle {
    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.now.borrow().phase
    }

    /// The stage of the start or stop that is under way, or the last one that was.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        self.0.now.borrow().stage
    }

    /// Ends when the process is in `phase` or beyond it (a start that fails goes straight on to
    /// the phases of the stop), and says where it is.
    pub async fn reached(&self, phase: Phase) -> Phase {
        self.when(|now| now.phase >= phase).await.phase
    }

    /// Ends when the process has come to `stage` or beyond it (a start that fails goes straight on
    /// to the stages of the stop), or has stopped; says at which stage it is.
    pub async fn reached_stage(&self, stage: Stage) -> Option<Stage> {
        self.when(|now| now.stage >= Some(stage) || now.phase == Phase::Stopped).await.stage
    }

    async fn when(&self, condition: impl Fn(&Now) -> bool) -> Now {
        let mut receiver = self.0.now.subscribe();
        let reached = receiver.wait_for(condition).await.map(|now| *now);
        // The sender lives as long as this handle.
        reached.unwrap_or(Now { phase: Phase::Stopped, stage: None })
    }

    /// What took how long so far.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.0.timeline
    }

    /// What each framework is working on, in load order; empty before they serve.
    #[must_use]
    pub fn active(&self) -> Vec<ActiveFramework> {
        let board = self.board().clone();
        board.map(|board| board.active()).unwrap_or_default()
    }

    /// Asks for an ordered stop and returns at once; the first reason counts. May be called from
    /// anywhere, a handler or a hook included, any number of times. A start ends as soon as it is
    /// asked for; one that is asked for by its own hook lets that hook finish.
    pub fn stop(&self, reason: impl Into<String>) {
        let _ = self.0.reason.set(reason.into());
        let is_own_hook = HOOK_OF.try_with(|owner| *owner == self.address()).unwrap_or(false);
        if !is_own_hook {
            self.0.interrupt.cancel();
        }
        self.0.stop.cancel();
    }

    /// Says that a part of the process has failed for good: an ordered stop begins, and `error` is
    /// in its report and decides about the exit code.
    pub fn fail(&self, error: Error) {
        let reason = error.to_string();
        self.0.failures.lock().unwrap_or_else(PoisonError::into_inner).push(error);
        self.stop(reason);
    }

    /// Why a stop was asked for, if it was.
    #[must_use]
    pub fn stop_reason(&self) -> Option<&str> {
        self.0.reason.get().map(String::as_str)
    }

    /// Says what reloads the configuration on SIGHUP.
    pub(super) fn set_reloader(&self, reloader: &Reloader) {
        *self.own_reloader() = Some(reloader.clone());
    }

    pub(crate) fn reloader(&self) -> Option<Reloader> {
        self.own_reloader().clone()
    }

    fn own_reloader(&self) -> MutexGuard<'_, Option<Reloader>> {
        self.0.reloader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn stop_requested(&self) {
        self.0.stop.cancelled().await;
    }

    pub(crate) fn is_stop_requested(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Ends when a start has to end on the spot.
    pub(super) async fn interrupted(&self) {
        self.0.interrupt.cancelled().await;
    }

    /// The failures that were reported since this was asked last.
    pub(crate) fn take_failures(&self) -> Vec<Error> {
        std::mem::take(&mut self.0.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long all stages of a stop may take together.
    pub(crate) fn longest_stop(&self) -> Duration {
        let sum = || ShutdownSettings::default().sum(&[]);
        self.0.longest_stop.get().copied().unwrap_or_else(sum)
    }

    pub(super) fn set_longest_stop(&self, time: Duration) {
        let _ = self.0.longest_stop.set(time);
    }

    /// Runs a hook of this life.
    pub(super) async fn in_hook<T>(&self, hook: impl Future<Output = T>) -> T {
        HOOK_OF.scope(self.address(), hook).await
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.now.send_modify(|now| now.phase = phase);
        match phase {
            Phase::Ready => self.notify(systemd::State::Ready),
            Phase::Stopping => self.notify(systemd::State::Stopping),
            Phase::Starting | Phase::Stopped => {}
        }
        if phase == Phase::Stopped {
            // Neither of them may keep what it holds alive any longer.
            *self.board() = None;
            *self.own_reloader() = None;
        }
    }

    /// Enters a stage, which ends with what is returned.
    pub(super) fn begin_stage(&self, stage: Stage) -> Step {
        self.0.now.send_modify(|now| now.stage = Some(stage));
        self.0.timeline.begin(stage, None)
    }

    /// Lets systemd know of this life from now on.
    pub(crate) fn tell_systemd(&self, notifier: Option<Notifier>) {
        if let Some(notifier) = notifier {
            let _ = self.0.notifier.set(notifier);
        }
    }

    pub(crate) fn notify(&self, state: systemd::State) {
        if let Some(notifier) = self.0.notifier.get() {
            notifier.tell(state);
        }
    }

    pub(super) fn show(&self, board: Board) {
        *self.board() = Some(Arc::new(board));
    }

    fn board(&self) -> std::sync::MutexGuard<'_, Option<Arc<Board>>> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}
