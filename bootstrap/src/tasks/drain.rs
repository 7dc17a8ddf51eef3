//! Tasks at a stop.

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::Tasks;
use crate::{Error, Stage, framework::Leftover, lifecycle::Step};

/// How often the tasks that still run are told.
const BETWEEN_COUNTS: Duration = Duration::from_secs(1);

/// How long cancelled tasks may take to notice; only one that blocks its thread takes longer.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// How long tasks have to end that a test leaves on purpose.
const LEFT: Duration = Duration::from_millis(100);

impl Tasks {
    /// Tells the tasks to end.
    pub(crate) fn begin_stop(&self) {
        self.0.stopping.cancel();
    }

    /// Drains `calls`, which may begin further tasks, and all tasks; cancels what has not ended
    /// after `limit`, and says so.
    pub(crate) async fn drain<T>(
        &self,
        limit: Duration,
        calls: impl Future<Output = T>,
    ) -> (T, Option<Error>) {
        self.begin_stop();
        let is_left = self.0.witness.allows(Leftover::Task);
        let limit = if is_left { limit.min(LEFT) } else { limit };
        let step = self.step();
        let (mut calls, mut late) = (pin!(calls), pin!(self.tell_until(limit)));
        let mut cut = None;
        let drained = tokio::select! {
            biased;
            drained = &mut calls => drained,
            () = &mut late => {
                cut = self.cut(limit);
                calls.await
            }
        };
        tokio::select! {
            biased;
            () = self.0.register.idle() => {}
            () = &mut late, if cut.is_none() => cut = self.cut(limit),
            () = sleep(ABORT_GRACE), if cut.is_some() => {}
        }
        self.0.register.close();
        self.tell_counts();
        match (&cut, step) {
            (Some(_), Some(step)) => step.late(),
            (None, Some(step)) => step.done(),
            (_, None) => {}
        }
        (drained, cut.filter(|_| !is_left))
    }

    /// Notes in the timeline that tasks are drained, where there are any.
    fn step(&self) -> Option<Step> {
        let timeline = self.0.lifecycle.timeline();
        let begin = || timeline.begin(Stage::Drain, Some("background tasks".to_owned()));
        (self.counts().running > 0).then(begin)
    }

    /// Cancels whatever runs; it is named, as it was at that moment.
    fn cut(&self, limit: Duration) -> Option<Error> {
        self.0.register.close();
        let active = self.active();
        self.0.register.abort_all();
        let count: usize = active.iter().map(|active| active.running).sum();
        let count = match count {
            0 => return None,
            1 => "1 task was".to_owned(),
            count => format!("{count} tasks were"),
        };
        let named: Vec<_> = active.iter().map(ToString::to_string).collect();
        let named = named.join("; ");
        Some(
            Error::deadline(format!("{count} cut, not finished after {limit:?}: {named}"))
                .context("background tasks")
                .advise("let them heed Tasks::stopping, or raise shutdown.drain_of.tasks"),
        )
    }

    /// Tells every second which tasks run, until `limit` has passed.
    async fn tell_until(&self, limit: Duration) {
        let mut clock = interval_at(Instant::now() + BETWEEN_COUNTS, BETWEEN_COUNTS);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let tell = async {
            loop {
                clock.tick().await;
                for active in self.active() {
                    tracing::info!(task = active.task, running = active.running, "draining");
                }
            }
        };
        let _: Result<(), _> = timeout(limit, tell).await;
    }

    fn tell_counts(&self) {
        let counts = self.counts();
        if counts.finished + counts.failed + counts.cancelled > 0 {
            tracing::info!(
                finished = counts.finished,
                failed = counts.failed,
                restarted = counts.restarted,
                cancelled = counts.cancelled,
                "background tasks have ended"
            );
        }
    }
}
