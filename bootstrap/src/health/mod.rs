//! What the process says of its own health: one source for every protocol that is asked.

mod check;
mod indicator;
mod report;
mod runner;
mod watch;

use std::{fmt, sync::Arc, time::SystemTime};

use tokio::sync::watch as channel;

use self::runner::Runner;
pub use self::{
    check::HealthCheck,
    indicator::Indicator,
    report::{ComponentHealth, ComponentStatus, HealthStatus, Liveness, Readiness, Startup},
    watch::HealthWatch,
};
use crate::{Error, Result, container::WeakContainer};

/// The one source of every health answer. A cheap handle; inject it as `Arc<Health>` or
/// `Inject<Health>`.
///
/// A component is told of in one of two ways: by an [`Indicator`], which its owner sets whenever
/// something changes, or by a [`HealthCheck`], which is asked again and again and whose last
/// answer is kept. Nobody who asks for health waits for a component.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Health, HealthStatus};
///
/// let health = Health::default();
/// let broker = health.indicator("broker");
/// let cache = health.indicator("cache").critical(false);
/// health.set_serving(true);
/// assert!(health.readiness().ready);
///
/// cache.down("no route to host");
/// assert!(health.readiness().ready);
/// assert_eq!(health.readiness().status, HealthStatus::Degraded);
///
/// broker.down("connection refused");
/// let readiness = health.readiness();
/// assert!(!readiness.ready);
/// assert_eq!(readiness.reason.as_deref(), Some("broker is down: connection refused"));
/// ```
#[derive(Clone, Default)]
pub struct Health(Arc<State>);

#[derive(Default)]
struct State {
    board: channel::Sender<Board>,
    runner: Runner,
}

/// Everything that is known.
#[derive(Debug, Clone, Default)]
struct Board {
    serving: Serving,
    started: bool,
    components: Vec<ComponentHealth>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Serving {
    #[default]
    NotYet,
    Now,
    NoLonger,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&*self.0.board.borrow()).finish()
    }
}

impl Health {
    /// Turns readiness on when everything serves, and off when a stop begins.
    pub fn set_serving(&self, serving: bool) {
        self.0.board.send_modify(|board| {
            board.serving = if serving { Serving::Now } else { Serving::NoLonger };
            board.started |= serving;
        });
        let readiness = self.readiness();
        if serving && !readiness.ready {
            let reason = readiness.reason.unwrap_or_default();
            tracing::warn!(reason, "everything is served, but the process is not ready");
        }
    }

    /// That the process lives: whoever gets this answer knows it.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        Liveness { status: HealthStatus::Up }
    }

    /// Whether the process wants calls now, with the reasons.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.0.board.borrow().readiness()
    }

    /// Whether the start has been finished; stays so to the end.
    #[must_use]
    pub fn startup(&self) -> Startup {
        Startup { started: self.0.board.borrow().started }
    }

    /// Tells every change from now on.
    #[must_use]
    pub fn watch(&self) -> HealthWatch {
        HealthWatch::new(self.0.board.subscribe())
    }

    /// Registers a component that says itself how it is: up, until it says otherwise. While it is
    /// down the process is not ready, unless the component is not
    /// [critical](Indicator::critical).
    #[must_use]
    pub fn indicator(&self, name: impl Into<String>) -> Indicator {
        let component = ComponentHealth::new(name.into(), ComponentStatus::Up, true);
        Indicator::new(self.clone(), self.add(component))
    }

    /// Registers a component that is asked how it is: from when everything is served until the
    /// drain of a stop is over. The start waits for its first answer. One that is registered in a
    /// process that serves already makes it unready until it has answered.
    ///
    /// # Errors
    /// Returns an error where there is a component of this name.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime where the process serves already.
    pub fn register(&self, check: HealthCheck) -> Result<()> {
        let name = check.name();
        if self.0.board.borrow().components.iter().any(|component| component.name == name) {
            return Err(Error::wiring(format!("two components are called {name} in health"))
                .advise("give one of them another name"));
        }
        let unknown = ComponentStatus::Unknown;
        let index = self.add(ComponentHealth::new(name.to_owned(), unknown, check.is_critical()));
        self.0.runner.add(self, index, check);
        Ok(())
    }

    pub(crate) fn register_all(&self, checks: Vec<HealthCheck>) -> Result<()> {
        let faults = checks.into_iter().filter_map(|check| self.register(check).err());
        Error::all("health checks do not fit together", faults.collect())
    }

    /// Asks all components that are to be asked, and goes on asking; ends when each has answered
    /// or used up its deadline.
    pub(crate) async fn begin_checks(&self, container: WeakContainer) {
        self.0.runner.begin(self, container).await;
    }

    /// Asks no more: what the checks use is going to be disposed of.
    pub(crate) fn end_checks(&self) {
        self.0.runner.end();
    }

    fn add(&self, component: ComponentHealth) -> usize {
        let mut index = 0;
        self.0.board.send_modify(|board| {
            index = board.components.len();
            board.components.push(component);
        });
        index
    }

    fn set_critical(&self, index: usize, critical: bool) {
        self.0.board.send_modify(|board| {
            if let Some(component) = board.components.get_mut(index) {
                component.critical = critical;
            }
        });
    }

    /// Notes how a component is; whoever watches is told where that is new.
    fn set(&self, index: usize, trouble: Option<String>) {
        self.0.board.send_if_modified(|board| {
            let serving = board.serving == Serving::Now;
            let component = board.components.get_mut(index);
            component.is_some_and(|component| component.set(trouble, serving))
        });
    }
}

impl Board {
    fn readiness(&self) -> Readiness {
        let components = self.components.clone();
        let trouble = |critical| {
            let mut found = self.components.iter().filter(|one| one.critical == critical);
            found.find_map(ComponentHealth::trouble)
        };
        let reason = match self.serving {
            Serving::NotYet => Some("the process is starting".to_owned()),
            Serving::NoLonger => Some("the process is stopping".to_owned()),
            Serving::Now => trouble(true),
        };
        let (status, reason) = match (reason, trouble(false)) {
            (Some(reason), _) => (HealthStatus::Down, Some(reason)),
            (None, Some(reason)) => (HealthStatus::Degraded, Some(reason)),
            (None, None) => (HealthStatus::Up, None),
        };
        Readiness { ready: status != HealthStatus::Down, status, reason, components }
    }
}

impl ComponentHealth {
    fn new(name: String, status: ComponentStatus, critical: bool) -> Self {
        Self { name, status, critical, reason: None, since: SystemTime::now() }
    }

    /// Whether anything is new.
    fn set(&mut self, trouble: Option<String>, serving: bool) -> bool {
        let status = match &trouble {
            None => ComponentStatus::Up,
            Some(_) => ComponentStatus::Down,
        };
        if self.status == status && self.reason == trouble {
            return false;
        }
        if self.status != status {
            self.since = SystemTime::now();
            self.status = status;
            if serving {
                self.log(trouble.as_deref());
            }
        }
        self.reason = trouble;
        true
    }

    fn log(&self, trouble: Option<&str>) {
        let (component, critical) = (&self.name, self.critical);
        match trouble {
            Some(reason) => tracing::warn!(component, critical, reason, "a component is down"),
            None => tracing::info!(component, critical, "a component is up"),
        }
    }
}

#[cfg(test)]
mod tests;
