//! A task runs, and what becomes of its error.

use std::{future::Future, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::{BackoffSettings, OnTaskFailure, Tasks};
use crate::{Backoff, Error, ErrorKind, Result, framework::Mark, panics};

/// What a task does.
pub(super) enum Work {
    /// None once it has run.
    Once(Option<BoxFuture<'static, Result<()>>>),
    Again(Begin),
}

type Begin = Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

impl Work {
    pub(super) fn once(future: impl Future<Output = Result<()>> + Send + 'static) -> Self {
        Self::Once(Some(Box::pin(future)))
    }

    pub(super) fn again<F, Fut>(begin: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Self::Again(Box::new(move || Box::pin(begin())))
    }

    async fn run(&mut self) -> Result<()> {
        match self {
            Self::Once(future) => match future.take() {
                Some(future) => future.await,
                None => Ok(()),
            },
            Self::Again(begin) => begin().await,
        }
    }
}

/// What a task says for itself; the rest is said by the section `tasks`.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) on_failure: Option<OnTaskFailure>,
    pub(super) back_off: Option<BackoffSettings>,
}

/// A task that is entered in the register, until this is dropped, whether or not it has run.
pub(super) struct Task {
    pub(super) tasks: Tasks,
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    pub(super) options: Options,
    pub(super) backoff: Option<Backoff>,
    /// Of a task that a test waits for.
    pub(super) mark: Mark,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.tasks.0.register.leave(self.id);
    }
}

impl Task {
    /// Runs to its end.
    pub(super) async fn run(mut self, mut work: Work) {
        loop {
            let work_of = self.tasks.in_context(&self.name, self.mark.is_noted(), work.run());
            let outcome = panics::caught_async(work_of).await;
            self.tasks.0.register.ended(self.id, outcome.is_ok());
            let Err(error) = outcome else { return };
            let title = format!("task {}", self.name);
            let error = error.or_kind(ErrorKind::Hook).context(title);
            if !self.goes_on(error, matches!(work, Work::Again(_))).await {
                return;
            }
            self.tasks.0.register.restarted(self.id);
        }
    }

    /// Deals with a failure; says whether the task is to be begun anew, when that is due.
    async fn goes_on(&mut self, error: Error, can_begin_anew: bool) -> bool {
        let default = self.tasks.settings().on_failure;
        let on_failure = self.options.on_failure.unwrap_or(default);
        if on_failure == OnTaskFailure::Restart && can_begin_anew {
            return self.waits(&error).await;
        }
        if self.mark.is_noted() {
            self.tasks.0.witness.failed(|| error.clone());
        }
        if on_failure == OnTaskFailure::Log {
            tracing::error!("a background task has failed: {error:?}");
        } else {
            tracing::error!("stopping, since a background task has failed: {error:?}");
            self.tasks.0.lifecycle.fail(error);
        }
        false
    }

    /// Waits until the task is to be begun anew; at a stop it is not.
    async fn waits(&mut self, error: &Error) -> bool {
        let settings = || self.tasks.settings().back_off;
        let settings = self.options.back_off.clone().unwrap_or_else(settings);
        let delay = self.backoff.get_or_insert_with(|| settings.backoff()).next_delay();
        if self.tasks.is_stopping() {
            tracing::warn!("a background task has failed during the stop: {error:?}");
            return false;
        }
        tracing::warn!(?delay, "a background task has failed and is begun anew: {error:?}");
        tokio::select! {
            () = sleep(delay) => true,
            () = self.tasks.stopping() => false,
        }
    }
}
