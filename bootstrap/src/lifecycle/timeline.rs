use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{Stage, waterfall};

/// What happened when, from the first line of configuration to the last hook of the stop. A cheap
/// handle, which goes on growing while the process lives.
///
/// `Display` draws it as a waterfall, one line for each entry.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{RunningBootstrap, Stage};
///
/// fn time_to_bind(running: &RunningBootstrap) -> Option<std::time::Duration> {
///     let entries = running.timeline().entries();
///     entries.iter().find(|entry| entry.stage == Stage::Bind)?.took
/// }
/// ```
#[derive(Clone)]
pub struct Timeline(Arc<State>);

struct State {
    began: Instant,
    entries: Mutex<Vec<TimelineEntry>>,
}

/// A stage, or one component's part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TimelineEntry {
    /// The stage.
    pub stage: Stage,
    /// The hook, provider or framework; `None` is the stage as a whole.
    pub component: Option<String>,
    /// When it began, counted from the begin of the start.
    pub began: Duration,
    /// How long it took; `None` while it runs.
    pub took: Option<Duration>,
    /// How it ended.
    pub outcome: StepOutcome,
}

/// How a stage, or a component's part of it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepOutcome {
    /// It has not.
    Running,
    /// Well.
    Done,
    /// With an error or a panic.
    Failed,
    /// It was cut at its deadline.
    Late,
    /// Somebody else's failure, or a stop that was asked for, cut it short.
    Cut,
}

impl Default for Timeline {
    fn default() -> Self {
        Self(Arc::new(State { began: Instant::now(), entries: Mutex::default() }))
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().iter()).finish()
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&waterfall::draw(&self.entries()))
    }
}

impl Timeline {
    /// Everything so far, in the order in which it began.
    #[must_use]
    pub fn entries(&self) -> Vec<TimelineEntry> {
        self.lock().clone()
    }

    /// How long ago the start began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// How long each stage took that has ended, in order.
    #[must_use]
    pub fn stages(&self) -> Vec<(Stage, Duration)> {
        let entries = self.lock();
        let stages = entries.iter().filter(|entry| entry.component.is_none());
        stages.filter_map(|entry| Some((entry.stage, entry.took?))).collect()
    }

    /// Notes that a stage begins, or one component's part of it.
    pub(crate) fn begin(&self, stage: Stage, component: Option<String>) -> Step {
        let began = self.0.began.elapsed();
        let outcome = StepOutcome::Running;
        let mut entries = self.lock();
        entries.push(TimelineEntry { stage, component, began, took: None, outcome });
        Step { timeline: self.clone(), index: entries.len() - 1 }
    }

    /// Notes what has been timed elsewhere and ended just now.
    pub(crate) fn add(&self, stage: Stage, component: String, took: Duration) {
        let began = self.0.began.elapsed().saturating_sub(took);
        let (component, took, outcome) = (Some(component), Some(took), StepOutcome::Done);
        self.lock().push(TimelineEntry { stage, component, began, took, outcome });
    }

    /// What runs at this moment in `stage`.
    pub(crate) fn running(&self, stage: Stage) -> Vec<String> {
        let entries = self.lock();
        let running = entries.iter().filter(|entry| entry.is_running_in(stage));
        running.filter_map(|entry| entry.component.clone()).collect()
    }

    /// Everything that runs in `stage` has come to its deadline.
    pub(crate) fn late(&self, stage: Stage) {
        let now = self.0.began.elapsed();
        let mut entries = self.lock();
        for entry in entries.iter_mut().filter(|entry| entry.is_running_in(stage)) {
            entry.end(now, StepOutcome::Late);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<TimelineEntry>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TimelineEntry {
    fn is_running_in(&self, stage: Stage) -> bool {
        self.stage == stage && self.outcome == StepOutcome::Running
    }

    fn end(&mut self, now: Duration, outcome: StepOutcome) {
        self.took = Some(now.saturating_sub(self.began));
        self.outcome = outcome;
    }
}

/// Something that runs. Dropped before it is told how it ended, it was cut short.
pub(crate) struct Step {
    timeline: Timeline,
    index: usize,
}

impl Step {
    /// Notes how it ended, and gives that back.
    pub(crate) fn end<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        self.close(if result.is_ok() { StepOutcome::Done } else { StepOutcome::Failed });
        result
    }

    /// Notes that it ended well.
    pub(crate) fn done(self) {
        self.close(StepOutcome::Done);
    }

    /// Notes that it came to its deadline.
    pub(crate) fn late(self) {
        self.close(StepOutcome::Late);
    }

    /// Notes that it ended with these errors, and gives them back.
    pub(crate) fn end_with<T>(self, errors: Vec<T>) -> Vec<T> {
        self.close(if errors.is_empty() { StepOutcome::Done } else { StepOutcome::Failed });
        errors
    }

    fn close(&self, outcome: StepOutcome) {
        let now = self.timeline.elapsed();
        let mut entries = self.timeline.lock();
        let entry = entries.get_mut(self.index);
        if let Some(entry) = entry.filter(|entry| entry.outcome == StepOutcome::Running) {
            entry.end(now, outcome);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.close(StepOutcome::Cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_says_how_it_ended_or_was_cut() {
        let timeline = Timeline::default();
        let bind = timeline.begin(Stage::Bind, None);
        timeline.begin(Stage::Bind, Some("http".to_owned())).end(Ok::<_, ()>(())).expect("is Ok");
        timeline
            .begin(Stage::Bind, Some("grpc".to_owned()))
            .end(Err::<(), _>(()))
            .expect_err("not");
        drop(timeline.begin(Stage::Bind, Some("amqp".to_owned())));
        let _slow = timeline.begin(Stage::Bind, Some("slow".to_owned()));
        assert_eq!(timeline.running(Stage::Bind), ["slow"]);
        timeline.late(Stage::Bind);
        drop(bind);
        let outcomes: Vec<_> = timeline.entries().iter().map(|entry| entry.outcome).collect();
        use StepOutcome::{Cut, Done, Failed, Late};
        assert_eq!(outcomes, [Late, Done, Failed, Cut, Late]);
        assert_eq!(timeline.stages().len(), 1);
    }
}
