//! What a bootstrap tells the test that it runs in.

mod recorded;
#[cfg(any(test, feature = "testing"))]
mod steps;

use std::{fmt, future::Future};

use futures_util::future::BoxFuture;

pub use self::recorded::{Recorded, RecordedKind};
#[cfg(any(test, feature = "testing"))]
use crate::testing::Ledger;
use crate::{Error, Result, operation::Protocol};

/// Whoever watches over a bootstrap: the test that has started it with
/// [`create_bootstrap`](crate::testing::create_bootstrap). Frameworks tell it what is not finished
/// yet, what is open, what has failed and what was sent, published and consumed. A cheap handle.
///
/// Without the feature `testing` it is of no size and its methods do nothing; outside of a test
/// nobody listens. What is told is told by closures, which are called only where somebody does.
///
/// # Examples
/// ```
/// use polyport_bootstrap::framework::{Leftover, Recorded, Witness};
///
/// fn push(witness: &Witness, frame: &str) {
///     witness.record(|| Recorded::sent("websocket", "greeting").size(frame.len()));
///     let written = witness.mark(Leftover::Message, || "push of greeting".to_owned());
///     // … and when the frame is written:
///     drop(written);
/// }
/// # push(&Witness::default(), "{}");
/// ```
#[derive(Clone, Default)]
pub struct Witness {
    #[cfg(any(test, feature = "testing"))]
    ledger: Option<std::sync::Arc<Ledger>>,
}

/// What a stop must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Leftover {
    /// The call of an operation; `settled` waits for its end.
    Call,
    /// A background task; `settled` waits for the end of one that a call has begun.
    Task,
    /// A message that is on its way; `settled` waits until it has arrived.
    Message,
    /// An open connection.
    Connection,
    /// A socket that listens.
    Listener,
    /// A singleton that somebody still holds when it is disposed of.
    Singleton,
}

impl Leftover {
    /// Whether it ends by itself, so that it can be waited for.
    #[must_use]
    pub fn is_work(self) -> bool {
        matches!(self, Self::Call | Self::Task | Self::Message)
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "call",
            Self::Task => "background task",
            Self::Message => "message",
            Self::Connection => "connection",
            Self::Listener => "listener",
            Self::Singleton => "singleton",
        })
    }
}

/// Something that is not finished, or is open, until this is dropped, in whatever way.
#[must_use = "it is finished as soon as this is dropped"]
#[derive(Default)]
pub struct Mark {
    #[cfg(any(test, feature = "testing"))]
    entry: Option<(std::sync::Arc<Ledger>, u64)>,
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}

impl Mark {
    /// Whether anybody waits for its end.
    pub(crate) fn is_noted(&self) -> bool {
        #[cfg(any(test, feature = "testing"))]
        return self.entry.is_some();
        #[cfg(not(any(test, feature = "testing")))]
        false
    }
}

#[cfg(any(test, feature = "testing"))]
impl Drop for Mark {
    fn drop(&mut self) {
        if let Some((ledger, id)) = self.entry.take() {
            ledger.leave(id);
        }
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

impl Witness {
    /// Notes that there is something, until the mark is dropped. Begin the next piece of work
    /// before the mark of the one that causes it is dropped: between them nothing must be idle.
    pub fn mark(&self, kind: Leftover, what: impl FnOnce() -> String) -> Mark {
        #[cfg(any(test, feature = "testing"))]
        if let Some(ledger) = &self.ledger {
            return Mark {
                entry: Some((std::sync::Arc::clone(ledger), ledger.enter(kind, what()))),
            };
        }
        let _ = (kind, what);
        Mark::default()
    }

    /// Notes what has happened.
    pub fn record(&self, happened: impl FnOnce() -> Recorded) {
        #[cfg(any(test, feature = "testing"))]
        if let Some(ledger) = &self.ledger {
            return ledger.recorder().add(happened());
        }
        let _ = happened;
    }

    /// Notes a failure that nobody is answered with: a background task's, a message's that is
    /// parked. The next `settled` ends in it.
    pub fn failed(&self, error: impl FnOnce() -> Error) {
        #[cfg(any(test, feature = "testing"))]
        if let Some(ledger) = &self.ledger {
            return ledger.fail(error());
        }
        let _ = error;
    }

    /// Has `settled` wait for this before it looks whether everything is finished: for what has
    /// been handed to somebody else and comes back in its own time, as a message in a queue of a
    /// broker does. It may be asked any number of times.
    pub fn wait_for(
        &self,
        arrived: impl Fn() -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) {
        #[cfg(any(test, feature = "testing"))]
        if let Some(ledger) = &self.ledger {
            return ledger.wait_for(std::sync::Arc::new(arrived));
        }
        let _ = arrived;
    }

    /// Has this called after each step of the bootstrap's tasks. A framework whose library works on
    /// threads of its own, which tokio knows nothing of, keeps a paused clock by it from jumping over
    /// what is under way there.
    pub fn after_each_step(&self, told: impl Fn() + Send + Sync + 'static) {
        #[cfg(any(test, feature = "testing"))]
        if let Some(ledger) = &self.ledger {
            return ledger.after_each_step(std::sync::Arc::new(told));
        }
        let _ = told;
    }

    /// Says that calls by this protocol can be made again: that one has ended in an internal fault is
    /// no failure by itself, and whoever serves it tells by [`failed`](Self::failed) what is one.
    pub fn judges(&self, protocol: Protocol) {
        #[cfg(any(test, feature = "testing"))]
        if let Some(ledger) = &self.ledger {
            return ledger.judge(protocol);
        }
        let _ = protocol;
    }

    /// Whether anybody watches.
    pub(crate) fn is_watching(&self) -> bool {
        #[cfg(any(test, feature = "testing"))]
        return self.ledger.is_some();
        #[cfg(not(any(test, feature = "testing")))]
        false
    }

    /// Whether the test leaves such things on purpose.
    #[must_use]
    pub fn allows(&self, kind: Leftover) -> bool {
        #[cfg(any(test, feature = "testing"))]
        if let Some(ledger) = &self.ledger {
            return ledger.allows(kind);
        }
        let _ = kind;
        false
    }

    /// The witness of the bootstrap that the running task is a part of: hooks, the steps of
    /// transports, and what runs [`around`](Self::around) one.
    #[must_use]
    pub fn here() -> Self {
        #[cfg(any(test, feature = "testing"))]
        return HOME.try_with(Self::clone).unwrap_or_default();
        #[cfg(not(any(test, feature = "testing")))]
        Self::default()
    }

    /// Runs `future` as a part of the bootstrap that is watched over, so that what it logs is
    /// known to be this one's.
    pub fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        #[cfg(any(test, feature = "testing"))]
        return steps::Steps::of(self.clone(), HOME.scope(self.clone(), future));
        #[cfg(not(any(test, feature = "testing")))]
        future
    }

    /// As [`around`](Self::around), for what does not wait.
    pub fn around_now<T>(&self, work: impl FnOnce() -> T) -> T {
        #[cfg(any(test, feature = "testing"))]
        return HOME.sync_scope(self.clone(), work);
        #[cfg(not(any(test, feature = "testing")))]
        work()
    }
}

/// `future`, as a part of the bootstrap that the running task is a part of: for tasks that a
/// framework spawns. Without the feature `testing` it is the future itself.
pub fn at_home<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    Witness::here().around(future)
}

/// Spawns a task that is a part of the bootstrap that spawns it.
pub(crate) fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(at_home(future))
}

#[cfg(any(test, feature = "testing"))]
tokio::task_local! {
    /// Whose part the running task is.
    static HOME: Witness;
}

#[cfg(any(test, feature = "testing"))]
impl Witness {
    pub(crate) fn of(ledger: &std::sync::Arc<Ledger>) -> Self {
        Self { ledger: Some(std::sync::Arc::clone(ledger)) }
    }

    /// Whether whoever serves the protocol tells itself what is a failure.
    pub(crate) fn is_judged(&self, protocol: Protocol) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| ledger.is_judged(protocol))
    }

    pub(crate) fn ledger(&self) -> Option<&std::sync::Arc<Ledger>> {
        self.ledger.as_ref()
    }
}
