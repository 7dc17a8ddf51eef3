//! Frameworks that answer throughout: from when all are built until everything else is closed.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{
    Stage,
    process::{Process, of_framework},
};
use crate::{Error, Result, framework::Transport, hooks::HookPoint};

/// What they have at the end, at most: hooks that hang must not take their turn.
const RESERVED: Duration = Duration::from_secs(1);

impl Process {
    /// Binds and serves those that answer throughout; they are no members any more.
    pub(super) async fn open_throughout(&mut self) -> Result<()> {
        let throughout = self.members.extract_if(.., |member| member.serves_throughout());
        self.throughout = throughout.collect();
        let mut errors = Vec::new();
        for member in &mut self.throughout {
            let (step, title) = member.begin(&self.lifecycle, Stage::Build);
            let opened = member.transport.take(|transport| open(transport).boxed()).await;
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
            let closed = member.transport.take_within(left, |transport| close(transport).boxed());
            let error = match closed.await {
                Some(closed) => step.end(closed).err(),
                None => {
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
