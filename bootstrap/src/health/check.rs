use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use crate::{
    Result,
    container::{Container, WeakContainer},
    hooks::AbortOnDrop,
    panics, witness,
};

/// A component that is asked again and again how it is; [`Health`](super::Health) keeps the last
/// answer. Modules and the bootstrap take it as their `health` hook.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use polyport_bootstrap::{Container, HealthCheck, Result};
///
/// struct Pool;
///
/// impl Pool {
///     async fn ping(&self) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// let check = HealthCheck::new("database", async |container: Container| {
///     container.get::<Pool>().await?.ping().await
/// })
/// .every(Duration::from_secs(5))
/// .deadline(Duration::from_secs(1));
/// ```
#[must_use = "a check does nothing until it is registered"]
pub struct HealthCheck {
    name: String,
    run: CheckFn,
    every: Duration,
    deadline: Duration,
    critical: bool,
}

type CheckFn = Arc<dyn Fn(Container) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// What asks more often than that asks too often.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

impl HealthCheck {
    /// The component called `name` is up while `check` returns `Ok`. An error is the reason why it
    /// is down, and so is a panic.
    pub fn new<F, Fut>(name: impl Into<String>, check: F) -> Self
    where
        F: Fn(Container) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            name: name.into(),
            run: Arc::new(move |container| Box::pin(check(container))),
            every: Duration::from_secs(10),
            deadline: Duration::from_secs(2),
            critical: true,
        }
    }

    /// How long it is left alone between an answer and the next question; default 10 s, at least
    /// 10 ms.
    pub fn every(mut self, pause: Duration) -> Self {
        self.every = pause.max(LEAST_PAUSE);
        self
    }

    /// How long an answer may take; the component is down where it takes longer. Default 2 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Whether the process is not ready while the component is down (the default), or only
    /// degraded.
    pub fn critical(mut self, critical: bool) -> Self {
        self.critical = critical;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_critical(&self) -> bool {
        self.critical
    }

    pub(super) fn pause(&self) -> Duration {
        self.every
    }

    /// Tells what is wrong with the component, if anything is; ends when it may be asked again.
    pub(super) async fn ask(&self, container: &WeakContainer, tell: impl FnOnce(Option<String>)) {
        let Some(container) = container.upgrade() else {
            return tell(Some("the process has stopped".to_owned()));
        };
        let run = Arc::clone(&self.run);
        // In a task of its own: a check that blocks its thread must not keep its deadline from us.
        let answer = panics::caught_async(async move { run(container).await });
        let mut asked = AbortOnDrop(witness::spawn(answer));
        match timeout(self.deadline, &mut asked.0).await {
            Ok(Ok(answer)) => tell(answer.err().map(|error| error.to_string())),
            Ok(Err(stopped)) => tell(Some(stopped.to_string())),
            Err(_) => {
                tell(Some(format!("no answer after {:?}", self.deadline)));
                asked.0.abort();
                // One that still blocks its thread must not take a second one.
                let _ = (&mut asked.0).await;
            }
        }
    }
}

impl fmt::Debug for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthCheck")
            .field("name", &self.name)
            .field("every", &self.every)
            .field("deadline", &self.deadline)
            .field("critical", &self.critical)
            .finish_non_exhaustive()
    }
}
