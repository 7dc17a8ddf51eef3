//! What is told, as data.

use std::time::Duration;

use polyport_bootstrap::{
    ActiveTask, Config, Health, Lifecycle, Phase, Readiness, Stage, TaskCounts, Tasks,
    framework::ActiveFramework,
};
use serde::Serialize;

/// Everything that answers are made from. Nothing of it holds the container.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) config: Config,
    pub(crate) health: Health,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) tasks: Tasks,
}

/// `/status`.
#[derive(Debug, Serialize)]
pub(crate) struct Status<'a> {
    environment: String,
    phase: Phase,
    /// The stage of the start or stop that is under way, or the last one.
    stage: Option<Stage>,
    stop_reason: Option<&'a str>,
    /// Since the begin of the start.
    elapsed: Duration,
    health: Readiness,
    frameworks: Vec<ActiveFramework>,
    tasks: TaskStatus,
}

#[derive(Debug, Serialize)]
struct TaskStatus {
    counts: TaskCounts,
    active: Vec<ActiveTask>,
}

impl Sources {
    pub(crate) fn status(&self) -> Status<'_> {
        let lifecycle = &self.lifecycle;
        Status {
            environment: self.config.environment().as_str().to_owned(),
            phase: lifecycle.phase(),
            stage: lifecycle.stage(),
            stop_reason: lifecycle.stop_reason(),
            elapsed: lifecycle.timeline().elapsed(),
            health: self.health.readiness(),
            frameworks: lifecycle.active(),
            tasks: TaskStatus { counts: self.tasks.counts(), active: self.tasks.active() },
        }
    }
}
