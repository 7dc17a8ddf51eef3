//! What the process says of its own health.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use serde::Serialize;

/// The one source of every health answer. A cheap handle; inject it as `Arc<Health>`.
///
/// # Examples
/// ```
/// use polyport_bootstrap::Health;
///
/// let health = Health::default();
/// let broker = health.indicator("broker");
/// health.set_serving(true);
/// assert!(health.readiness().ready);
///
/// broker.down("connection refused");
/// let readiness = health.readiness();
/// assert!(!readiness.ready);
/// assert_eq!(readiness.components[0].reason.as_deref(), Some("connection refused"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<State>);

#[derive(Debug, Default)]
struct State {
    serving: AtomicBool,
    components: Mutex<Vec<ComponentHealth>>,
}

/// The state of one component.
#[derive(Debug, Clone, Serialize)]
pub struct ComponentHealth {
    /// The component's name.
    pub name: String,
    /// Whether it works.
    pub up: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether the process wants calls now.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// All frameworks serve, no stop has begun, and every component is up.
    pub ready: bool,
    /// What was reported by the components.
    pub components: Vec<ComponentHealth>,
}

impl Health {
    /// Turns readiness on when everything serves, and off when a stop begins.
    pub fn set_serving(&self, serving: bool) {
        self.0.serving.store(serving, Ordering::Release);
    }

    /// Whether the process wants calls now, with the reasons.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let components = self.components().clone();
        let serving = self.0.serving.load(Ordering::Acquire);
        Readiness { ready: serving && components.iter().all(|component| component.up), components }
    }

    /// Registers a component, which is up until it says otherwise.
    #[must_use]
    pub fn indicator(&self, name: impl Into<String>) -> Indicator {
        let mut components = self.components();
        components.push(ComponentHealth { name: name.into(), up: true, reason: None });
        Indicator { health: self.clone(), index: components.len() - 1 }
    }

    fn components(&self) -> std::sync::MutexGuard<'_, Vec<ComponentHealth>> {
        self.0.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A component's voice in [`Health`].
#[derive(Debug, Clone)]
pub struct Indicator {
    health: Health,
    index: usize,
}

impl Indicator {
    /// Says that the component works.
    pub fn up(&self) {
        self.set(true, None);
    }

    /// Says that it does not, and why; the process is then not ready.
    pub fn down(&self, reason: impl Into<String>) {
        self.set(false, Some(reason.into()));
    }

    fn set(&self, up: bool, reason: Option<String>) {
        if let Some(component) = self.health.components().get_mut(self.index) {
            component.up = up;
            component.reason = reason;
        }
    }
}
