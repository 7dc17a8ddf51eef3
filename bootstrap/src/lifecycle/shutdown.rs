//! The stop, stage by stage: none is skipped, whatever the others did.

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::{Lifecycle, Phase, Stage, loaded::Member, process::Process, runner::Step};
use crate::{Error, Result, framework::ActiveFramework, hooks::HookPoint};

/// How often what is still in flight is told.
const BETWEEN_COUNTS: Duration = Duration::from_secs(1);

const STAGES: [Stage; 8] = [
    Stage::OnStopping,
    Stage::Delay,
    Stage::Intake,
    Stage::Drain,
    Stage::BeforeClose,
    Stage::Dispose,
    Stage::Close,
    Stage::Closed,
];

impl Process {
    /// Stops in order; every error of every stage is collected, and none skips a later one.
    pub(crate) async fn stop(self) -> Result<()> {
        let reason = self.lifecycle.stop_reason().unwrap_or("no reason given").to_owned();
        tracing::info!(reason, "stopping");
        let outcome = Error::all("the stop was not clean", self.run_down(true).await);
        match &outcome {
            Ok(()) => tracing::info!("stopped"),
            Err(error) => tracing::error!("stopped, but not cleanly: {error:?}"),
        }
        outcome
    }

    /// Closes whatever a failed start has opened, in reverse.
    pub(crate) async fn roll_back(mut self) -> Vec<Error> {
        self.members.reverse();
        self.run_down(false).await
    }

    async fn run_down(mut self, has_started: bool) -> Vec<Error> {
        self.health.set_serving(false);
        self.lifecycle.enter(Phase::Stopping);
        let mut errors = self.lifecycle.take_failures();
        for stage in STAGES {
            let step = self.lifecycle.begin_stage(stage);
            let found = step.end_with(self.run_stop_stage(stage, has_started).await);
            errors.extend(found.into_iter().map(|error| error.at_stage(stage.as_str())));
        }
        errors.extend(self.lifecycle.take_failures());
        self.config.retire();
        self.lifecycle.enter(Phase::Stopped);
        errors
    }

    async fn run_stop_stage(&mut self, stage: Stage, has_started: bool) -> Vec<Error> {
        let times = self.shutdown.clone();
        match stage {
            Stage::OnStopping => {
                let time = times.on_stopping;
                self.run_stop_hooks(HookPoint::OnStopping, time, has_started).await
            }
            // A timer of no time waits for the next tick, a millisecond, all the same.
            Stage::Delay if has_started && !times.delay.is_zero() => {
                sleep(times.delay).await;
                Vec::new()
            }
            Stage::Intake => self.stop_intake().await,
            Stage::Drain => self.drain().await,
            Stage::BeforeClose => {
                let time = times.before_close;
                self.run_stop_hooks(HookPoint::BeforeClose, time, has_started).await
            }
            Stage::Dispose => {
                let begin = |title| {
                    let step = self.lifecycle.timeline().begin(Stage::Dispose, Some(title));
                    move |disposed| step.end(disposed)
                };
                self.container.dispose_in_view(times.dispose, begin).await
            }
            Stage::Close => self.close().await,
            Stage::Closed => self.close_for_good(times.closed, has_started).await,
            _ => Vec::new(),
        }
    }

    async fn stop_intake(&mut self) -> Vec<Error> {
        self.tasks.begin_stop();
        let limit = self.shutdown.intake;
        let late = || {
            Error::deadline(format!("still takes calls after {limit:?}")).advise(
                "look at what it does, or raise shutdown.intake: the machine may be too busy",
            )
        };
        let lifecycle = &self.lifecycle;
        let stops = self.members.iter_mut().map(|member| {
            let stop: Step = |transport| transport.stop_intake().map(Ok).boxed();
            part(lifecycle, Stage::Intake, member, limit, stop, late)
        });
        join_all(stops).await.into_iter().flatten().collect()
    }

    /// Waits for what is in flight, and tells how much that is.
    async fn drain(&mut self) -> Vec<Error> {
        let in_flight = self.exposures.in_flight();
        in_flight.watch();
        let (quiet, shutdown) = (self.shutdown.quiet, self.shutdown.clone());
        let lifecycle = self.lifecycle.clone();
        let longest = self.members.iter().map(|member| shutdown.drain_of(member.section())).max();
        let until = Instant::now() + longest.unwrap_or_default();
        let drains = self.members.iter_mut().map(|member| {
            let (limit, title) = (shutdown.drain_of(member.section()), member.title());
            let (own, drain): (_, Step) =
                (&lifecycle, |transport| transport.drain().map(Ok).boxed());
            let late = move || cut(own, &title, limit);
            part(own, Stage::Drain, member, limit, drain, late)
        });
        let drained = async {
            let found = join_all(drains).await;
            while let Some(wait) = quiet.checked_sub(in_flight.since_last_end())
                && !wait.is_zero()
                && Instant::now() < until
            {
                sleep(wait.min(until - Instant::now())).await;
            }
            found
        };
        let told = async {
            tokio::select! {
                found = drained => found,
                () = tell_active(&lifecycle) => Vec::new(),
            }
        };
        let (found, cut) = self.tasks.drain(shutdown.drain_of("tasks"), told).await;
        self.health.end_checks();
        found.into_iter().flatten().chain(cut).collect()
    }

    async fn close(&mut self) -> Vec<Error> {
        let limit = self.shutdown.close;
        let late = || {
            Error::deadline(format!("not closed after {limit:?}")).advise("raise shutdown.close")
        };
        let lifecycle = &self.lifecycle;
        let closes = self.members.iter_mut().map(|member| {
            part(lifecycle, Stage::Close, member, limit, |transport| transport.close(), late)
        });
        join_all(closes).await.into_iter().flatten().collect()
    }
}

/// One framework's part of a stage: an error, a panic or its deadline is reported, and skips
/// nobody.
async fn part(
    lifecycle: &Lifecycle,
    stage: Stage,
    member: &mut Member,
    limit: Duration,
    call: Step,
    late: impl FnOnce() -> Error,
) -> Option<Error> {
    let (step, title) = member.begin(lifecycle, stage);
    let error = match member.transport.take_within(limit, call).await {
        Some(outcome) => step.end(outcome).err()?,
        None => {
            step.late();
            late()
        }
    };
    Some(error.context(title))
}

/// What a framework had not finished at its deadline: counted, and named.
fn cut(lifecycle: &Lifecycle, framework: &str, limit: Duration) -> Error {
    let active = lifecycle.active();
    let active = active.iter().find(|active| active.framework == framework);
    let count = match active.map_or(0, ActiveFramework::count) {
        1 => "1 call was cut".to_owned(),
        count => format!("{count} calls were cut"),
    };
    let details = active.map(ActiveFramework::details).unwrap_or_default();
    let details = if details.is_empty() { details } else { format!(": {details}") };
    Error::deadline(format!("{count}, not finished after {limit:?}{details}"))
        .advise("raise shutdown.drain, or give the operations a deadline of their own")
}

/// Tells every second what is in flight, as long as there is anything.
async fn tell_active(lifecycle: &Lifecycle) {
    let mut clock = interval_at(Instant::now() + BETWEEN_COUNTS, BETWEEN_COUNTS);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        for active in lifecycle.active().iter().filter(|active| !active.is_idle()) {
            let (framework, calls) = (&active.framework, active.count());
            tracing::info!(framework, calls, details = active.details(), "draining");
        }
    }
}
