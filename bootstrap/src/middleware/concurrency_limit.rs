//! `concurrency-limit`: so many calls run at once, some wait for their turn, all others are
//! refused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use garde::Validate;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::ForAll;
use crate::operation::{
    Band, Context, Exposure, Fault, Interceptor, Next, OperationInfo, Pipeline, Reply,
};

/// The section `middleware.concurrency-limit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct ConcurrencyLimitOptions {
    /// How many calls run at once; default as many as come.
    #[garde(inner(range(min = 1, max = Semaphore::MAX_PERMITS)))]
    pub max: Option<usize>,
    /// What `max` is counted for; default `all`.
    pub per: LimitScope,
    /// How many more calls wait for their turn; default 0, so that none does.
    pub queue: usize,
    /// How long a call waits at most; default 1 s.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
}

impl Default for ConcurrencyLimitOptions {
    fn default() -> Self {
        Self { max: None, per: LimitScope::All, queue: 0, wait: Duration::from_secs(1) }
    }
}

/// What a limit is counted for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LimitScope {
    /// All operations together.
    #[default]
    All,
    /// Each operation by itself, on each of its routes.
    Route,
}

/// An attribute: how many calls of this operation run at once on each of its routes, whatever
/// `middleware.concurrency-limit.max` says.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{
///     Fault, middleware::ConcurrencyLimit, operation::{Operation, OperationExt},
/// };
///
/// async fn render() -> Result<(), Fault> {
///     Ok(())
/// }
///
/// let operation = render.attr(ConcurrencyLimit::new(2));
/// # fn is<M>(_: impl Operation<M>) {}
/// # is(operation);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencyLimit(usize);

impl ConcurrencyLimit {
    /// So many calls at once.
    ///
    /// # Panics
    /// Panics where none may run.
    #[must_use]
    pub const fn new(calls: usize) -> Self {
        assert!(calls > 0, "one call at least has to be let in");
        Self(calls)
    }
}

pub(super) fn add(pipeline: Pipeline) -> Pipeline {
    let all = ForAll::default();
    let make = move |options: &ConcurrencyLimitOptions, exposure: &Exposure| {
        gate(options, exposure.operation(), &all).map(Limit)
    };
    pipeline.middleware_for("concurrency-limit", Band::Core, true, make)
}

fn gate(
    options: &ConcurrencyLimitOptions,
    operation: &OperationInfo,
    all: &ForAll<Gate>,
) -> Option<Arc<Gate>> {
    if let Some(ConcurrencyLimit(own)) = operation.attribute() {
        return Some(Arc::new(Gate::new(*own, options)));
    }
    let max = options.max?;
    Some(match options.per {
        LimitScope::All => all.get_or_make(|| Gate::new(max, options)),
        LimitScope::Route => Arc::new(Gate::new(max, options)),
    })
}

struct Limit(Arc<Gate>);

#[async_trait]
impl Interceptor for Limit {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let _permit = self.0.enter().await?;
        next.run(context).await
    }
}

/// What calls pass one by one, and leave when they are dropped.
struct Gate {
    permits: Semaphore,
    waiting: AtomicUsize,
    queue: usize,
    wait: Duration,
}

impl Gate {
    fn new(max: usize, options: &ConcurrencyLimitOptions) -> Self {
        Self {
            permits: Semaphore::new(max.min(Semaphore::MAX_PERMITS)),
            waiting: AtomicUsize::new(0),
            queue: options.queue,
            wait: options.wait,
        }
    }

    async fn enter(&self) -> Result<SemaphorePermit<'_>, Fault> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let _place = Place::take(self).ok_or_else(refused)?;
        match tokio::time::timeout(self.wait, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(refused()),
        }
    }
}

fn refused() -> Fault {
    Fault::resource_exhausted("TOO_MANY_CALLS", "there are too many calls at once")
}

/// A place in the queue.
struct Place<'a>(&'a Gate);

impl<'a> Place<'a> {
    fn take(gate: &'a Gate) -> Option<Self> {
        let one_more = |waiting: usize| (waiting < gate.queue).then(|| waiting + 1);
        gate.waiting.fetch_update(Relaxed, Relaxed, one_more).ok().map(|_| Self(gate))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}
