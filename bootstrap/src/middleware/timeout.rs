//! `timeout`: calls that take too long are ended.

use std::time::Duration;

use async_trait::async_trait;
use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::operation::{
    Band, Context, Exposure, Fault, Interceptor, Next, OperationInfo, Pipeline, Reply,
};

/// The section `middleware.timeout`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct TimeoutOptions {
    /// How long an operation may take that says nothing else by the attribute [`Timeout`]; default
    /// as long as it likes, within the deadline of the call.
    #[serde(with = "humantime_serde")]
    #[garde(custom(is_not_zero))]
    pub after: Option<Duration>,
}

/// An attribute: how long an operation may take, whatever `middleware.timeout.after` says; on HTTP
/// its calls have this time instead of `http.timeout`, too. The deadline that the caller has set
/// holds as well.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use polyport_bootstrap::{Fault, middleware::Timeout, operation::{Operation, OperationExt}};
///
/// async fn report() -> Result<String, Fault> {
///     Ok("slowly computed".to_owned())
/// }
///
/// let operation = report.attr(Timeout::new(Duration::from_secs(60)));
/// # fn is<M>(_: impl Operation<M>) {}
/// # is(operation);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(Duration);

impl Timeout {
    /// Ends it after this time.
    ///
    /// # Panics
    /// Panics where it is no time at all.
    #[must_use]
    pub const fn new(after: Duration) -> Self {
        assert!(!after.is_zero(), "no call can be answered in no time");
        Self(after)
    }

    /// After how long it is ended.
    #[must_use]
    pub const fn after(self) -> Duration {
        self.0
    }
}

fn is_not_zero(after: &Option<Duration>, (): &()) -> garde::Result {
    match after {
        Some(Duration::ZERO) => Err(garde::Error::new("no call can be answered in no time")),
        _ => Ok(()),
    }
}

pub(super) fn add(pipeline: Pipeline) -> Pipeline {
    let make = |options: &TimeoutOptions, exposure: &Exposure| limit(options, exposure.operation());
    pipeline.middleware_for("timeout", Band::Core, true, make)
}

fn limit(options: &TimeoutOptions, operation: &OperationInfo) -> Option<Limit> {
    operation.attribute().map(|Timeout(limit)| *limit).or(options.after).map(Limit)
}

struct Limit(Duration);

#[async_trait]
impl Interceptor for Limit {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        tokio::time::timeout(self.0, next.run(context)).await.unwrap_or_else(|_| {
            let message = format!("the operation took longer than {:?}", self.0);
            Err(Fault::deadline_exceeded("TIMEOUT", message))
        })
    }
}
