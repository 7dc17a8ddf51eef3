use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Where in its life the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// The life of one bootstrap: its phase, and the way to ask for its end. A cheap handle; inject it
/// as `Arc<Lifecycle>`.
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
#[derive(Debug, Clone)]
pub struct Lifecycle(Arc<State>);

#[derive(Debug)]
struct State {
    phase: watch::Sender<Phase>,
    stop: CancellationToken,
    reason: OnceLock<String>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self(Arc::new(State {
            phase: watch::Sender::new(Phase::Starting),
            stop: CancellationToken::new(),
            reason: OnceLock::new(),
        }))
    }
}

impl Lifecycle {
    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.phase.borrow()
    }

    /// Ends when the process is in `phase` or beyond it (a start that fails goes straight to
    /// [`Phase::Stopped`]), and says where it is.
    pub async fn reached(&self, phase: Phase) -> Phase {
        let mut receiver = self.0.phase.subscribe();
        let reached = receiver.wait_for(|now| *now >= phase).await.map(|now| *now);
        reached.unwrap_or(Phase::Stopped)
    }

    /// Asks for an ordered stop and returns at once; the first reason counts. May be called from
    /// anywhere, a handler or a hook included, any number of times.
    pub fn stop(&self, reason: impl Into<String>) {
        let _ = self.0.reason.set(reason.into());
        self.0.stop.cancel();
    }

    /// Why a stop was asked for, if it was.
    #[must_use]
    pub fn stop_reason(&self) -> Option<&str> {
        self.0.reason.get().map(String::as_str)
    }

    pub(crate) async fn stop_requested(&self) {
        self.0.stop.cancelled().await;
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.phase.send_replace(phase);
    }
}
