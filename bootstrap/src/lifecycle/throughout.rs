//! Frameworks that answer throughout: from when all are built until everything else is closed.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{
    Stage,
    loaded::Member,
    process::{Process, of_framework},
};
use crate::{Error, Result, framework::Transport, hooks::HookPoint, panics};

/// What they have at the end, at most: hooks that hang must not take their turn.
const RESERVED: Duration = Duration::from_secs(1);

impl Process {
    /// Binds and serves those that answer throughout; they are no members any more.
    pub(super) async fn open_throughout(&mut self) -> Result<()> {
        let throughout = |member: &mut Member| member.transport.serves_throughout();
        self.throughout = self.members.extract_if(.., throughout).collect();
        let mut errors = Vec::new();
        for member in &mut self.throughout {
            let (step, title) = member.begin(&self.lifecycle, Stage::Build);
            let opened = panics::caught_async(open(&mut *member.transport)).await;
            errors.extend(step.end(opened).err().map(|error| of_framework(error, title)));
        }
        Error::all("frameworks cannot be bound", errors)
    }

    /// Runs the `closed` hooks, and then closes those that have answered until now.
    pub(super) async fn close_for_good(&mut self, time: Duration, has_started: bool) -> Vec<Error> {
        let until = Instant::now() + time;
        let reserved = if self.throughout.is_empty() { Duration::ZERO } else { RESERVED };
        let time = time - reserved.min(time / 2);
        let mut errors = self.run_stop_hooks(HookPoint::Closed, time, has_started).await;
        for member in &mut self.throughout {
            let (step, title) = member.begin(&self.lifecycle, Stage::Closed);
            let left = until.saturating_duration_since(Instant::now());
            let closed = panics::caught_async(close(&mut *member.transport));
            let error = match timeout(left, closed).await {
                Ok(closed) => step.end(closed).err(),
                Err(_) => {
                    step.late();
                    Some(Error::deadline("not closed in time").advise("raise shutdown.closed"))
                }
            };
            errors.extend(error.map(|error| error.context(title)));
        }
        errors
    }
}

async fn open(transport: &mut dyn Transport) -> Result<()> {
    transport.bind().await?;
    transport.serve().await
}

async fn close(transport: &mut dyn Transport) -> Result<()> {
    transport.stop_intake().await;
    transport.drain().await;
    transport.close().await
}
