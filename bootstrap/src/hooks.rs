//! When code of the application is called in the life of the process.

use std::{fmt, future::Future, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{
    Error, ErrorKind, HealthCheck, Result,
    container::{Container, Root},
    declared::{Declared, Hook},
    panics, witness,
};

/// A moment in the life of the process at which hooks run.
///
/// Start hooks run in the order of dependency of their modules, the bootstrap's own last; stop
/// hooks the other way round. Where a start fails, the stop hooks run of those modules whose start
/// hooks were called: `on_stopping` if `on_server_ready` was, the others if any was. What has to be
/// undone in any case belongs into a provider that is disposed of.
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

/// Whose hook it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A module's, which may take what that keeps private.
    Module(Arc<str>),
    /// The bootstrap's, or a preset's.
    Other(String),
}

impl Owner {
    pub(crate) fn module(&self) -> Option<&Arc<str>> {
        match self {
            Self::Module(name) => Some(name),
            Self::Other(_) => None,
        }
    }

    /// What reports call its hook at that moment.
    pub(crate) fn title(&self, point: HookPoint) -> String {
        format!("hook {} of {self}", point.as_str())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(name) => write!(f, "module {name}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl From<String> for Owner {
    fn from(name: String) -> Self {
        Self::Other(name)
    }
}

/// Every hook of the application, in the order of registration.
#[derive(Default)]
pub(crate) struct Hooks {
    entries: Vec<Entry>,
    /// What those declare that declare something.
    declared: Vec<Declared>,
    checks: Vec<HealthCheck>,
}

/// A hook, and whose it is.
pub(crate) struct Entry {
    point: HookPoint,
    pub(crate) owner: Owner,
    pub(crate) hook: HookFn,
}

impl Entry {
    /// The hook as reports name it.
    pub(crate) fn title(&self) -> String {
        self.owner.title(self.point)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| (entry.point, &entry.owner)))
            .finish()
    }
}

impl Hooks {
    pub(crate) fn add(&mut self, point: HookPoint, owner: impl Into<Owner>, hook: HookFn) {
        self.entries.push(Entry { point, owner: owner.into(), hook });
    }

    /// Adds a hook that declares what it takes.
    pub(crate) fn add_declared<M>(&mut self, point: HookPoint, owner: Owner, hook: impl Hook<M>) {
        self.declared.push(Declared::new(point, owner.clone(), &hook));
        self.add(point, owner, boxed(|container| hook.call(container)));
    }

    /// What hooks declare, those that have run included.
    pub(crate) fn declared(&self) -> &[Declared] {
        &self.declared
    }

    /// What hooks take from the container, as far as they declare it.
    pub(crate) fn roots(&self) -> Vec<Root> {
        self.declared.iter().map(Declared::root).collect()
    }

    /// Adds a component that is asked how it is.
    pub(crate) fn add_check(&mut self, check: HealthCheck) {
        self.checks.push(check);
    }

    pub(crate) fn take_checks(&mut self) -> Vec<HealthCheck> {
        std::mem::take(&mut self.checks)
    }

    pub(crate) fn append(&mut self, mut later: Self) {
        self.entries.append(&mut later.entries);
        self.declared.append(&mut later.declared);
        self.checks.append(&mut later.checks);
    }

    /// Takes the hooks of a moment, in the order in which they run.
    pub(crate) fn take(&mut self, point: HookPoint) -> Vec<Entry> {
        let mut taken: Vec<_> = self.entries.extract_if(.., |entry| entry.point == point).collect();
        if point.is_stop() {
            taken.reverse();
        }
        taken
    }
}

/// Runs a hook in a task of its own, so that a panic is an error like any other.
pub(crate) async fn guarded(title: String, hook: HookFn, container: Container) -> Result<()> {
    let outcome = joined(witness::spawn(async move { hook(container).await })).await;
    outcome.map_err(|error| error.or_kind(ErrorKind::Hook).context(title))
}

/// Waits for a task, whose panic is an error like any other, and which ends where this is dropped.
pub(crate) async fn joined<T>(task: tokio::task::JoinHandle<Result<T>>) -> Result<T> {
    let mut task = AbortOnDrop(task);
    match (&mut task.0).await {
        Ok(result) => result,
        Err(join) => Err(match join.try_into_panic() {
            Ok(panic) => panics::error(&*panic),
            Err(_) => Error::hook("was cancelled with the runtime"),
        }),
    }
}

/// A hook that is no longer waited for must not go on behind the back of the stop that follows.
pub(crate) struct AbortOnDrop<T = ()>(pub(crate) tokio::task::JoinHandle<Result<T>>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
