//! When code of the application is called in the life of the process.

use std::future::Future;

use futures_util::future::BoxFuture;

use crate::{Error, ErrorKind, Result, container::Container, panics};

/// A moment in the life of the process at which hooks run.
///
/// Start hooks run in the order of dependency of their modules, the bootstrap's own last; stop
/// hooks the other way round, and only where the start had succeeded: what has to be undone in any
/// case belongs into a provider that is disposed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HookPoint {
    /// The configuration is complete; no framework is built yet.
    ConfigDidLoad,
    /// The whole graph is checked; nothing but what before-hooks asked for is built yet.
    DidLoad,
    /// What the application reaches is built; nothing is bound yet.
    WillReady,
    /// Everything is bound, and nothing is served yet. Runs once for the whole process.
    OnReady,
    /// All frameworks serve.
    OnServerReady,
    /// Readiness is off; everything is still served.
    OnStopping,
    /// What was in flight has ended; singletons are still there.
    BeforeClose,
    /// Everything is closed.
    Closed,
}

impl HookPoint {
    /// The hook's name, as in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigDidLoad => "config_did_load",
            Self::DidLoad => "did_load",
            Self::WillReady => "will_ready",
            Self::OnReady => "on_ready",
            Self::OnServerReady => "on_server_ready",
            Self::OnStopping => "on_stopping",
            Self::BeforeClose => "before_close",
            Self::Closed => "closed",
        }
    }

    const fn is_stop(self) -> bool {
        matches!(self, Self::OnStopping | Self::BeforeClose | Self::Closed)
    }
}

pub(crate) type HookFuture = BoxFuture<'static, Result<()>>;
pub(crate) type HookFn = Box<dyn FnOnce(Container) -> HookFuture + Send>;

/// Erases a hook.
pub(crate) fn boxed<F, Fut>(hook: F) -> HookFn
where
    F: FnOnce(Container) -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    Box::new(move |container| Box::pin(hook(container)))
}

/// Every hook of the application, in the order of registration.
#[derive(Default)]
pub(crate) struct Hooks {
    entries: Vec<Entry>,
    /// The hook that runs, for the report of a start that takes too long.
    running: Option<String>,
}

struct Entry {
    point: HookPoint,
    owner: String,
    hook: HookFn,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| (entry.point, &entry.owner)))
            .finish()
    }
}

impl Hooks {
    pub(crate) fn add(&mut self, point: HookPoint, owner: impl Into<String>, hook: HookFn) {
        self.entries.push(Entry { point, owner: owner.into(), hook });
    }

    pub(crate) fn append(&mut self, mut later: Self) {
        self.entries.append(&mut later.entries);
    }

    /// The hook of a start that runs at this moment.
    pub(crate) fn running(&self) -> Option<&str> {
        self.running.as_deref()
    }

    /// Runs the hooks of a start, one after the other; the first that fails ends it.
    pub(crate) async fn run(&mut self, point: HookPoint, container: &Container) -> Result<()> {
        for entry in self.take(point) {
            self.running = Some(title(point, &entry.owner));
            call(point, entry, container).await?;
        }
        self.running = None;
        Ok(())
    }

    /// Runs the hooks of a stop; one that fails skips nobody.
    pub(crate) async fn run_all(
        &mut self,
        point: HookPoint,
        container: &Container,
        limit: std::time::Duration,
    ) -> Vec<Error> {
        let mut errors = Vec::new();
        for entry in self.take(point) {
            let title = title(point, &entry.owner);
            let call = call(point, entry, container);
            match tokio::time::timeout(limit, call).await {
                Ok(result) => errors.extend(result.err()),
                Err(_) => errors.push(
                    Error::deadline(format!("not finished after {limit:?}"))
                        .context(title)
                        .advise("raise shutdown.hook, or let the hook do less"),
                ),
            }
        }
        errors
    }

    fn take(&mut self, point: HookPoint) -> Vec<Entry> {
        let mut taken: Vec<_> = self.entries.extract_if(.., |entry| entry.point == point).collect();
        if point.is_stop() {
            taken.reverse();
        }
        taken
    }
}

fn title(point: HookPoint, owner: &str) -> String {
    format!("hook {} of {owner}", point.as_str())
}

async fn call(point: HookPoint, entry: Entry, container: &Container) -> Result<()> {
    guarded(title(point, &entry.owner), entry.hook, container.clone()).await
}

/// Runs a hook in a task of its own, so that a panic is an error like any other.
pub(crate) async fn guarded(title: String, hook: HookFn, container: Container) -> Result<()> {
    let mut task = AbortOnDrop(tokio::spawn(async move { hook(container).await }));
    let outcome = match (&mut task.0).await {
        Ok(result) => result,
        Err(join) => Err(match join.try_into_panic() {
            Ok(panic) => panics::error(&*panic),
            Err(_) => Error::hook("was cancelled with the runtime"),
        }),
    };
    outcome.map_err(|error| error.or_kind(ErrorKind::Hook).context(title))
}

/// A hook that is no longer waited for must not go on behind the back of the stop that follows.
struct AbortOnDrop(tokio::task::JoinHandle<Result<()>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
