//! Background tasks of the application: named, watched, drained and cancelled with the process.

mod drain;
mod handle;
mod register;
mod run;
mod settings;

use std::{
    fmt,
    future::Future,
    sync::{Arc, OnceLock},
};

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use self::{
    handle::{TaskBuilder, TaskHandle},
    register::{ActiveTask, TaskCounts},
    settings::{BackoffSettings, OnTaskFailure, TaskSettings},
};
use self::{
    register::Register,
    run::{Options, Task, Work},
};
use crate::{
    Config, Context, Error, Lifecycle, Result,
    config::SettingsSection as _,
    container::WeakContainer,
    framework::{Leftover, Mark, Witness},
};

/// Begins background tasks that the process knows of: each has a name, none is forgotten at a
/// stop, and no error or panic of one is lost. A cheap handle; inject it as `Inject<Tasks>`.
///
/// At a stop tasks are told to end ([`stopping`](Self::stopping)) when the frameworks take no new
/// calls any more, and are waited for as long as calls in flight are: `shutdown.drain_of.tasks`,
/// or else `shutdown.drain`. Calls in flight can begin further ones until then. What has not ended
/// is cancelled, and named in the report of the stop.
///
/// The idea is Egg's `ctx.runInBackground`.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use polyport_bootstrap::{Bootstrap, Tasks};
///
/// let bootstrap = Bootstrap::new().on_server_ready(async |container| {
///     let tasks = container.get::<Tasks>().await?;
///     let stop = tasks.token();
///     tasks.spawn("heartbeat", async move {
///         while !stop.is_cancelled() {
///             println!("still here");
///             tokio::select! {
///                 () = stop.cancelled() => {}
///                 () = tokio::time::sleep(Duration::from_secs(1)) => {}
///             }
///         }
///         Ok(())
///     });
///     Ok(())
/// });
/// # drop(bootstrap);
/// ```
#[derive(Clone)]
pub struct Tasks(Arc<State>);

struct State {
    lifecycle: Lifecycle,
    config: Config,
    witness: Witness,
    stopping: CancellationToken,
    register: Register,
    /// Where contexts of tasks take values from, once there is one.
    container: OnceLock<WeakContainer>,
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("active", &self.active()).finish_non_exhaustive()
    }
}

impl Tasks {
    /// The tasks of the process that lives this life, with this configuration.
    pub(crate) fn new(lifecycle: Lifecycle, config: Config, witness: Witness) -> Self {
        Self(Arc::new(State {
            lifecycle,
            config,
            witness,
            stopping: CancellationToken::new(),
            register: Register::default(),
            container: OnceLock::new(),
        }))
    }

    /// Lets tasks that begin from now on take values from this container, in a context of their
    /// own ([`Context::current`]).
    pub(crate) fn take_from(&self, container: WeakContainer) {
        let _ = self.0.container.set(container);
    }

    /// Runs a task's work in a context of its own, which knows where a call has caused that.
    async fn in_context(
        &self,
        name: &str,
        is_caused: bool,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let Some(container) = self.0.container.get().and_then(WeakContainer::upgrade) else {
            return work.await;
        };
        let context = Context::anonymous(name, container);
        if is_caused {
            context.set(CausedByCall);
        }
        context.run(work).await
    }

    pub(crate) fn witness(&self) -> &Witness {
        &self.0.witness
    }

    /// As they are now. What is wrong with them is told when the configuration is checked.
    fn settings(&self) -> TaskSettings {
        self.0.config.peek_or_default(TaskSettings::KEY).unwrap_or_default()
    }

    /// Runs a future in the background. What happens where it fails is said by the setting
    /// `tasks.on_failure`; a future can run only once, so that `restart` is `stop` for it.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub fn spawn<Fut>(&self, name: impl Into<String>, future: Fut) -> TaskHandle
    where
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.task(name).spawn(future)
    }

    /// Runs what `begin` makes in the background, and makes it anew where it fails and
    /// `tasks.on_failure` is `restart`. What ends well is not begun anew.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub fn spawn_fn<F, Fut>(&self, name: impl Into<String>, begin: F) -> TaskHandle
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.task(name).spawn_fn(begin)
    }

    /// A task with settings of its own:
    /// `tasks.task("poller").on_failure(OnTaskFailure::Restart).spawn_fn(poll)`.
    pub fn task(&self, name: impl Into<String>) -> TaskBuilder {
        TaskBuilder::new(self.clone(), name.into())
    }

    /// Ends when tasks are to end: nothing new is taken any more, and what is in flight is drained.
    pub async fn stopping(&self) {
        self.0.stopping.cancelled().await;
    }

    /// Whether tasks are to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.is_cancelled()
    }

    /// A token of the caller's own that is cancelled when tasks are to end.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.0.stopping.child_token()
    }

    /// What runs now, by name; the one with the oldest task first.
    #[must_use]
    pub fn active(&self) -> Vec<ActiveTask> {
        self.0.register.active()
    }

    /// How many tasks there have been, by how they ended.
    #[must_use]
    pub fn counts(&self) -> TaskCounts {
        self.0.register.counts()
    }

    fn begin(&self, name: String, work: Work, options: Options) -> TaskHandle {
        let name: Arc<str> = name.into();
        let Some(id) = self.0.register.enter(&name) else {
            self.refuse(&name);
            return TaskHandle::new(name, None);
        };
        let span = tracing::info_span!("task", task = &*name);
        let (own, mark) = (Arc::clone(&name), self.mark(&name));
        let task = Task { tasks: self.clone(), id, name: own, options, backoff: None, mark };
        let running = self.0.witness.around(task.run(work).instrument(span));
        let abort = tokio::spawn(running).abort_handle();
        self.0.register.begun(id, abort.clone());
        TaskHandle::new(name, Some(abort))
    }

    /// A test waits for what a call, or a task of one, has begun. What a hook, or a task of one, has
    /// begun may go on as long as the process does.
    fn mark(&self, name: &str) -> Mark {
        match self.0.witness.is_watching() && is_caused_by_call() {
            true => self.0.witness.mark(Leftover::Task, || name.to_owned()),
            false => Mark::default(),
        }
    }

    fn refuse(&self, name: &str) {
        let error = Error::other("not begun: the process has stopped its tasks")
            .context(format!("task {name}"))
            .advise("begin it before before_close hooks run");
        tracing::error!("{error}");
        self.0.lifecycle.fail(error);
    }
}

/// What a call has caused runs, left in the context of its task.
struct CausedByCall;

/// Whether the running code belongs to a call, or to a task that one has caused.
fn is_caused_by_call() -> bool {
    let is_caused = |context: Context| {
        !context.is_anonymous() || context.shared_value::<CausedByCall>().is_some()
    };
    Context::current().is_some_and(is_caused)
}

#[cfg(test)]
mod tests;
