use std::{fmt, future::Future, sync::Arc};

use tokio::task::AbortHandle;

use super::{
    BackoffSettings, OnTaskFailure, Tasks,
    run::{Options, Work},
};
use crate::Result;

/// A task that is going to be begun.
#[must_use = "a task does nothing until it is begun"]
pub struct TaskBuilder {
    tasks: Tasks,
    name: String,
    options: Options,
}

impl fmt::Debug for TaskBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TaskBuilder {
    pub(super) fn new(tasks: Tasks, name: String) -> Self {
        Self { tasks, name, options: Options::default() }
    }

    /// What its error or panic does, whatever the setting `tasks.on_failure` says.
    pub fn on_failure(mut self, on_failure: OnTaskFailure) -> Self {
        self.options.on_failure = Some(on_failure);
        self
    }

    /// How long it waits before it is begun anew, whatever the section `tasks.back_off` says.
    pub fn back_off(mut self, back_off: BackoffSettings) -> Self {
        self.options.back_off = Some(back_off);
        self
    }

    /// As [`Tasks::spawn`].
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub fn spawn<Fut>(self, future: Fut) -> TaskHandle
    where
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.tasks.begin(self.name, Work::once(future), self.options)
    }

    /// As [`Tasks::spawn_fn`].
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub fn spawn_fn<F, Fut>(self, begin: F) -> TaskHandle
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.tasks.begin(self.name, Work::again(begin), self.options)
    }
}

/// A task that was begun. Dropping this changes nothing for it.
#[derive(Debug, Clone)]
pub struct TaskHandle {
    name: Arc<str>,
    /// None where it could not be begun any more.
    abort: Option<AbortHandle>,
}

impl TaskHandle {
    pub(super) fn new(name: Arc<str>, abort: Option<AbortHandle>) -> Self {
        Self { name, abort }
    }

    /// The task's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends the task where it waits next; this is no failure.
    pub fn cancel(&self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }

    /// Whether the task has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.abort.as_ref().is_none_or(AbortHandle::is_finished)
    }
}
