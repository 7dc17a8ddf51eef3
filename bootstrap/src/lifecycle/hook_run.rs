//! Hooks are called: each in a task of its own, with its deadline, and noted in the timeline.

use std::{collections::HashSet, time::Duration};

use tokio::time::timeout;

use super::{Lifecycle, Stage, process::Process, stage_run};
use crate::{
    Error, Result,
    container::Container,
    hooks::{self, Entry, HookFn, HookPoint, Owner},
    share::Share,
};

/// Whose name before-hooks are called in.
const BOOTSTRAP: &str = "the bootstrap";

/// Who has been called in the start: whose stop hooks a failed start owes a call.
#[derive(Debug, Default)]
pub(crate) struct Called {
    at_all: HashSet<Owner>,
    when_serving: HashSet<Owner>,
}

impl Called {
    fn note(&mut self, point: HookPoint, owner: &Owner) {
        self.at_all.insert(owner.clone());
        if point == HookPoint::OnServerReady {
            self.when_serving.insert(owner.clone());
        }
    }

    fn is_owed(&self, point: HookPoint, owner: &Owner) -> bool {
        match point {
            HookPoint::OnStopping => self.when_serving.contains(owner),
            _ => self.at_all.contains(owner),
        }
    }
}

impl Process {
    /// Runs the before-hooks one after the other.
    pub(super) async fn run_before(&mut self, before: Vec<HookFn>) -> Result<()> {
        let limit = self.startup.hook;
        for (index, hook) in before.into_iter().enumerate() {
            stage_run::go_on(&self.lifecycle)?;
            self.called.at_all.insert(Owner::Other(BOOTSTRAP.to_owned()));
            let title = format!("before-hook {}", index + 1);
            let call = Call { stage: Stage::Before, title, hook };
            let container = self.container.seen_by(None);
            call.run(&self.lifecycle, container, limit, "startup.hook").await?;
        }
        Ok(())
    }

    /// Runs the hooks of a start, one after the other; the first that fails ends it.
    pub(super) async fn run_hooks(&mut self, point: HookPoint) -> Result<()> {
        let limit = self.startup.hook;
        for entry in self.hooks.take(point) {
            stage_run::go_on(&self.lifecycle)?;
            self.called.note(point, &entry.owner);
            let container = self.container.seen_by(entry.owner.module());
            let call = Call::of(point, entry);
            call.run(&self.lifecycle, container, limit, "startup.hook").await?;
        }
        Ok(())
    }

    /// Runs the hooks of a stop, which share `time`; one that fails skips nobody. Where the start
    /// has failed, only those run that it owes a call.
    pub(super) async fn run_stop_hooks(
        &mut self,
        point: HookPoint,
        time: Duration,
        has_started: bool,
    ) -> Vec<Error> {
        let called = &self.called;
        let mut entries = self.hooks.take(point);
        entries.retain(|entry| has_started || called.is_owed(point, &entry.owner));
        let mut share = Share::new(time, entries.len());
        let setting = format!("shutdown.{}", Stage::of_hooks(point));
        let mut errors = Vec::new();
        for entry in entries {
            let container = self.container.seen_by(entry.owner.module());
            let call = Call::of(point, entry);
            let ran = call.run(&self.lifecycle, container, share.next(), &setting).await;
            errors.extend(ran.err());
        }
        errors
    }
}

/// A hook that is to be called.
struct Call {
    stage: Stage,
    title: String,
    hook: HookFn,
}

impl Call {
    fn of(point: HookPoint, entry: Entry) -> Self {
        Self { stage: Stage::of_hooks(point), title: entry.title(), hook: entry.hook }
    }

    async fn run(
        self,
        lifecycle: &Lifecycle,
        container: Container,
        limit: Duration,
        setting: &str,
    ) -> Result<()> {
        let Self { stage, title, hook } = self;
        let step = lifecycle.timeline().begin(stage, Some(title.clone()));
        let own = lifecycle.clone();
        let hook: HookFn = Box::new(move |container| {
            Box::pin(async move { own.in_hook(async move { hook(container).await }).await })
        });
        let call = hooks::guarded(title.clone(), hook, container);
        match timeout(limit, call).await {
            Ok(result) => step.end(result),
            Err(_) => {
                step.late();
                Err(Error::deadline(format!("not finished after {limit:?}"))
                    .context(title)
                    .advise(format!("raise {setting}, or let the hook do less")))
            }
        }
    }
}
