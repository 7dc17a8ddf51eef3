//! The answers, as data.

use std::time::SystemTime;

use serde::Serialize;

/// How the process is on the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthStatus {
    /// As it should be.
    Up,
    /// It works, but a component that is not critical does not.
    Degraded,
    /// It does not want calls.
    Down,
}

/// How a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ComponentStatus {
    /// It has not been asked yet.
    Unknown,
    /// It works.
    Up,
    /// It does not.
    Down,
}

/// The state of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ComponentHealth {
    /// The component's name.
    pub name: String,
    /// How it is.
    pub status: ComponentStatus,
    /// Whether the process is not ready while the component is not up.
    pub critical: bool,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it has this status (RFC 3339).
    #[serde(with = "humantime_serde")]
    pub since: SystemTime,
}

impl ComponentHealth {
    /// Whether it works.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.status == ComponentStatus::Up
    }

    /// What is wrong with it, in a sentence.
    pub(super) fn trouble(&self) -> Option<String> {
        match (self.status, &self.reason) {
            (ComponentStatus::Up, _) => None,
            (ComponentStatus::Unknown, _) => Some(format!("{} has not answered yet", self.name)),
            (ComponentStatus::Down, Some(reason)) => {
                Some(format!("{} is down: {reason}", self.name))
            }
            (ComponentStatus::Down, None) => Some(format!("{} is down", self.name)),
        }
    }
}

/// That the process lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Liveness {
    /// Always [`HealthStatus::Up`]: a process that does not live does not answer.
    pub status: HealthStatus,
}

/// Whether the start has been finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Startup {
    /// All frameworks have served, whether or not they still do.
    pub started: bool,
}

/// Whether the process wants calls now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Readiness {
    /// All frameworks serve, no stop has begun, and every critical component is up.
    pub ready: bool,
    /// How it is on the whole.
    pub status: HealthStatus,
    /// Why it is not up: a start or stop, or the first component that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Every component.
    pub components: Vec<ComponentHealth>,
}
