//! How a value is built: once, in a task of its own that callers join.

use std::{
    panic::AssertUnwindSafe,
    sync::{MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, join_all},
};
use tokio::task::AbortHandle;
use tracing::Instrument;

use super::{
    Container, Dependency, Key, Resolver, Scope,
    erased::{Erased, Handle},
    report,
    table::{Origin, Slot},
};
use crate::{Error, ErrorKind, Result, panics, witness};

/// How long a constructor took, without what it waited for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuildTime {
    /// What was built.
    pub key: Key,
    /// How long its own constructor ran.
    pub duration: Duration,
}

/// A value that exists; they are kept in the order in which they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Built {
    pub(super) slot: usize,
    /// How long its constructor ran; nothing for what was handed in or is only an alias.
    pub(super) duration: Option<Duration>,
}

/// A build in progress.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) outcome: Shared<BoxFuture<'static, Outcome>>,
    pub(super) abort: AbortHandle,
}

pub(super) type Outcome = Result<(), Box<Failure>>;

/// A build that failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// The slots that led there; the last is the one that failed.
    pub(super) path: Vec<usize>,
    pub(super) error: Error,
}

impl Failure {
    pub(super) fn at(slot: usize, error: Error) -> Box<Self> {
        Box::new(Self { path: vec![slot], error })
    }

    /// The slot that failed.
    pub(super) fn slot(&self) -> usize {
        self.path.last().copied().unwrap_or_default()
    }

    pub(super) fn through(mut self: Box<Self>, slot: usize) -> Box<Self> {
        self.path.insert(0, slot);
        self
    }
}

impl Container {
    /// Returns when the slot has a value. Whoever stops waiting stops nothing.
    pub(super) async fn ensure(&self, index: usize) -> Outcome {
        match self.join(index)? {
            Some(running) => running.outcome.await,
            None => Ok(()),
        }
    }

    /// The build to wait for, begun where it has not; none if the value is there.
    fn join(&self, index: usize) -> Result<Option<Running>, Box<Failure>> {
        let slot = self.table().slot(index);
        if slot.value.get().is_some() {
            return Ok(None);
        }
        let mut running = running(slot);
        // The task that we waited behind may have finished it.
        if slot.value.get().is_some() {
            return Ok(None);
        }
        if let Some(running) = &*running {
            return Ok(Some(running.clone()));
        }
        if let Some(when) = slot.announced() {
            return Err(Failure::at(index, report::awaited(when)));
        }
        if self.inner().closed.load(Ordering::SeqCst) {
            return Err(Failure::at(index, stopping()));
        }
        Ok(Some(running.insert(self.start(index)).clone()))
    }

    fn start(&self, index: usize) -> Running {
        let container = self.clone();
        let build = async move {
            let outcome = container.construct(index).await;
            *running(container.table().slot(index)) = None;
            outcome
        };
        let task = witness::spawn(build.in_current_span());
        let abort = task.abort_handle();
        let outcome = async move {
            let stopped = |_| Err(Failure::at(index, Error::other("its construction was stopped")));
            task.await.unwrap_or_else(stopped)
        };
        Running { outcome: outcome.boxed().shared(), abort }
    }

    async fn construct(&self, index: usize) -> Outcome {
        let slot = self.table().slot(index);
        self.ensure_all(&slot.dependencies).await.map_err(|failure| failure.through(index))?;
        let locals = self.locals(&slot.dependencies, None).await;
        let locals = locals.map_err(|failure| failure.through(index))?;
        let Some(construct) = slot.construct() else { return Ok(()) };
        let resolver = Resolver::of_slot(self, index, locals);
        let started = Instant::now();
        let attempt = AssertUnwindSafe(construct.run(resolver)).catch_unwind();
        let attempt = Constructing::scope(self, index, self.in_time(attempt));
        let value = attempt.await.unwrap_or_else(|panic| Err(panics::error(&*panic)));
        let value = value.map_err(|error| Failure::at(index, error.or_kind(ErrorKind::Hook)))?;
        let timed = matches!(slot.origin, Origin::Constructor(_));
        #[cfg(any(test, feature = "testing"))]
        if timed {
            self.watch(slot, &value);
        }
        self.keep(index, value.into_handle(), timed.then(|| started.elapsed()));
        Ok(())
    }

    /// Gives a constructor its deadline.
    async fn in_time(
        &self,
        attempt: impl Future<Output = std::thread::Result<Result<Erased>>> + Send,
    ) -> std::thread::Result<Result<Erased>> {
        let Some(deadline) = self.build_deadline() else {
            return attempt.await;
        };
        tokio::time::timeout(deadline, attempt).await.unwrap_or_else(|_| Ok(Err(hung(deadline))))
    }

    /// Returns when the singletons that `dependencies` lead to have a value, leaving out what is
    /// lazy and what is optional and still to come.
    pub(super) async fn ensure_all(&self, dependencies: &[Dependency]) -> Outcome {
        let singletons = self
            .needed(dependencies)
            .filter(|&index| self.table().slot(index).scope == Scope::Singleton);
        let outcomes = join_all(singletons.map(|index| self.ensure(index))).await;
        outcomes.into_iter().collect()
    }

    /// Makes a value visible, and notes its place in the order: before anybody can depend on it.
    pub(super) fn keep(&self, index: usize, value: Handle, duration: Option<Duration>) -> bool {
        let mut built = self.built();
        let kept = self.table().slot(index).value.set(value).is_ok();
        if kept {
            built.push(Built { slot: index, duration });
        }
        kept
    }

    /// What went wrong in the last of the places on `way`.
    pub(super) fn explain(&self, failure: &Failure, way: Vec<String>) -> Error {
        let module = &self.table().slot(failure.slot()).module;
        let way = report::arrows(&way);
        failure.error.clone().context(format!("{way} (module {module})"))
    }
}

pub(super) fn running(slot: &Slot) -> MutexGuard<'_, Option<Running>> {
    slot.running.lock().unwrap_or_else(PoisonError::into_inner)
}

tokio::task_local! {
    /// What is being built in this task.
    static CONSTRUCTING: Constructing;
}

/// A singleton whose constructor runs, and the container that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Constructing {
    container: usize,
    slot: usize,
}

impl Constructing {
    async fn scope<T>(container: &Container, slot: usize, work: impl Future<Output = T>) -> T {
        let constructing = Self { container: container.address(), slot };
        CONSTRUCTING.scope(constructing, work).await
    }

    /// The slot of `container` whose constructor this task runs, if it runs one.
    pub(super) fn in_this_task(container: &Container) -> Option<usize> {
        let here = |found: &Self| (found.container == container.address()).then_some(found.slot);
        CONSTRUCTING.try_with(here).ok().flatten()
    }
}

fn hung(deadline: std::time::Duration) -> Error {
    Error::deadline(format!("its constructor is not finished after {deadline:?}, and was cut off"))
        .advise("raise startup.singleton, or look at what the constructor waits for")
}

fn stopping() -> Error {
    Error::other("the process is stopping, and what was never needed is not built any more")
}
