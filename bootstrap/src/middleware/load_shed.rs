//! `load-shed`: calls are refused at once when there are too many, or when they take too long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use garde::Validate;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::ForAll;
use crate::operation::{Band, Context, Exposure, Fault, Interceptor, Next, Pipeline, Reply};

/// The section `middleware.load-shed`. All operations that it stands around are one load.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct LoadShedOptions {
    /// How many calls may be in flight; a further one is refused. Default as many as come.
    #[garde(inner(range(min = 1)))]
    pub max: Option<usize>,
    /// While calls take longer than this, a further one is refused as long as any is in flight; the
    /// average counts the last calls most. Default: they may take as long as they like.
    #[serde(with = "humantime_serde")]
    pub latency: Option<Duration>,
}

pub(super) fn add(pipeline: Pipeline) -> Pipeline {
    let all = ForAll::default();
    let make = move |options: &LoadShedOptions, _: &Exposure| {
        let is_limited = options.max.is_some() || options.latency.is_some();
        is_limited.then(|| Shed(all.get_or_make(|| Load::new(options))))
    };
    pipeline.middleware_for("load-shed", Band::Core, true, make)
}

struct Shed(Arc<Load>);

#[async_trait]
impl Interceptor for Shed {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let Some(entered) = self.0.enter() else {
            let fault = Fault::unavailable("OVERLOADED", "there are too many calls");
            return Err(fault.with_retry_after(Duration::from_secs(1)));
        };
        let answer = next.run(context).await;
        entered.answered();
        answer
    }
}

struct Load {
    max: usize,
    latency: u64,
    in_flight: AtomicUsize,
    /// How long calls take, in ns: each counts for an eighth.
    average: AtomicU64,
}

impl Load {
    fn new(options: &LoadShedOptions) -> Self {
        Self {
            max: options.max.unwrap_or(usize::MAX),
            latency: options.latency.map_or(u64::MAX, nanoseconds),
            in_flight: AtomicUsize::new(0),
            average: AtomicU64::new(0),
        }
    }

    fn enter(&self) -> Option<Entered<'_>> {
        let is_slow = self.average.load(Relaxed) > self.latency;
        let max = if is_slow { 1 } else { self.max };
        let one_more = |in_flight: usize| (in_flight < max).then(|| in_flight + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Entered { load: self, at: Instant::now() })
    }

    fn took(&self, time: u64) {
        let blend = |average: u64| Some(average - average / 8 + time / 8);
        // It never refuses.
        let _ = self.average.fetch_update(Relaxed, Relaxed, blend);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A call in flight, until this is dropped.
struct Entered<'a> {
    load: &'a Load,
    at: Instant,
}

impl Entered<'_> {
    fn answered(self) {
        drop(self);
    }
}

/// A call that is dropped before its end has taken its time, too.
impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.load.took(nanoseconds(self.at.elapsed()));
        self.load.in_flight.fetch_sub(1, Relaxed);
    }
}
