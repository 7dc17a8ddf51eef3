//! The middleware that every application has: it stands in the core band of every operation, on
//! every protocol, where the section `middleware` of the configuration or an attribute of the
//! operation says so. An operation for which nothing is said pays nothing for it.
//!
//! | name | what it does | on by default |
//! |---|---|---|
//! | `trace` | a span for each call, with OpenTelemetry's names | no |
//! | `traffic` | a log line for each call | no |
//! | `load-shed` | refuses calls when there are too many or they take too long | where a limit is set |
//! | `rate-limit` | refuses calls that come too fast | where a rate is set |
//! | `concurrency-limit` | lets so many calls run at once, and some wait | where a limit is set |
//! | `timeout` | ends calls that take too long | where a time is set |
//!
//! They stand in this order, the first outside, unless `middleware.order.core` says otherwise. A
//! middleware of an application's own that has one of these names takes its place.
//! `docs/middleware.md` has all options.
//!
//! What every call needs is in none of them but in the call itself: its request id, the deadline
//! that it came with, what becomes of a panic, and the envelope.

mod concurrency_limit;
mod load_shed;
mod rate_limit;
mod timeout;
mod trace;
mod traffic;

use std::sync::{Arc, OnceLock};

pub use self::{
    concurrency_limit::{ConcurrencyLimit, ConcurrencyLimitOptions, LimitScope},
    load_shed::LoadShedOptions,
    rate_limit::{RateLimit, RateLimitBy, RateLimitOptions},
    timeout::{Timeout, TimeoutOptions},
    trace::TraceOptions,
    traffic::TrafficOptions,
};
use crate::operation::Pipeline;

/// All of it, in its order.
pub(crate) fn shipped() -> Pipeline {
    let adds = [
        trace::add,
        traffic::add,
        load_shed::add,
        rate_limit::add,
        concurrency_limit::add,
        timeout::add,
    ];
    adds.into_iter().fold(Pipeline::new(), |pipeline, add| add(pipeline))
}

/// One value for all operations of a bootstrap, made when the first of them needs it.
struct ForAll<T>(OnceLock<Arc<T>>);

impl<T> Default for ForAll<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> ForAll<T> {
    fn get_or_make(&self, make: impl FnOnce() -> T) -> Arc<T> {
        Arc::clone(self.0.get_or_init(|| Arc::new(make())))
    }
}
