//! What is running, or on its way there: the one owner of everything that has to be stopped.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};

use super::{Lifecycle, Phase, Reloader, ShutdownSettings, StartupSettings, loaded::Member};
use crate::{
    Config, Error, ErrorKind, Health, Result,
    container::{Container, Root},
    framework::{Endpoint, Transport},
    graph::GraphModule,
    hooks::{HookPoint, Hooks},
    logging::Log,
    operation::Exposures,
    panics,
};

pub(crate) struct Process {
    pub(crate) config: Config,
    pub(crate) container: Container,
    pub(crate) health: Health,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) exposures: Exposures,
    pub(crate) hooks: Hooks,
    pub(crate) modules: Arc<[GraphModule]>,
    pub(crate) members: Vec<Member>,
    pub(crate) startup: StartupSettings,
    pub(crate) shutdown: ShutdownSettings,
    /// The stage of the start that is under way.
    pub(crate) stage: &'static str,
    /// Where the bootstrap owns the process.
    pub(crate) log: Option<Arc<Log>>,
    pub(crate) reloader: Reloader,
}

impl Process {
    pub(crate) async fn run_hooks(&mut self, point: HookPoint) -> Result<()> {
        self.hooks.run(point, &self.container).await
    }

    /// Completes the configuration; the kernel's own settings may have come from a before-hook. One
    /// that is faulty is told with all other faults, when the configuration is checked.
    pub(crate) fn seal_config(&mut self) -> Result<()> {
        self.container.settle_families()?;
        self.config.seal()?;
        self.startup = self.config.peek_or_default("startup").unwrap_or_default();
        self.shutdown = self.config.peek_or_default("shutdown").unwrap_or_default();
        self.container.set_build_deadline(self.startup.singleton);
        if let Some(log) = &self.log {
            log.apply(log.prepare(&self.config));
        }
        Ok(())
    }

    /// Puts the handles into the container and lets the frameworks find each other.
    pub(crate) fn link(&mut self) -> Result<()> {
        let main = Arc::clone(&self.members[0].app);
        self.container.supply(main)?;
        for member in &mut self.members {
            member.supply(&self.container)?;
        }
        let mut errors = Vec::new();
        for member in &mut self.members {
            let title = member.title();
            let linked = panics::caught(|| member.transport.link());
            errors.extend(linked.err().map(|error| error.context(format!("framework {title}"))));
        }
        errors.extend(self.endpoint_collisions());
        Error::all("frameworks do not fit together", errors)
    }

    fn endpoint_collisions(&self) -> Vec<Error> {
        let mut seen: BTreeMap<String, Endpoint> = BTreeMap::new();
        let mut errors = Vec::new();
        for member in &self.members {
            let Some(endpoint) = member.transport.endpoint() else { continue };
            let other = seen.iter().find(|(_, taken)| taken.collides_with(&endpoint));
            if let Some((other, _)) = other {
                errors.push(
                    Error::configuration(format!(
                        "frameworks {other} and {} are both to listen on {endpoint}",
                        member.title()
                    ))
                    .advise("give one of them another port in its section of the configuration"),
                );
            }
            seen.insert(member.title(), endpoint);
        }
        errors
    }

    /// Checks the whole graph; routes that come later are checked as they are added.
    pub(crate) fn check(&self) -> Result<()> {
        self.exposures.check_from_now_on(self.container.downgrade());
        self.container.check(&self.roots())
    }

    /// Whatever takes values from the container.
    pub(crate) fn roots(&self) -> Vec<Root> {
        [self.exposures.roots(), self.hooks.roots()].concat()
    }

    pub(crate) async fn build_singletons(&mut self) -> Result<()> {
        for built in self.container.build_reachable(&self.roots()).await? {
            tracing::debug!(provider = %built.key, took = ?built.duration, "built");
        }
        Ok(())
    }

    /// Binds every framework in load order; all that fail are in one report.
    pub(crate) async fn bind(&mut self) -> Result<()> {
        let mut errors = Vec::new();
        for member in &mut self.members {
            let title = member.title();
            let bound = panics::caught_async(member.transport.bind()).await;
            errors.extend(bound.err().map(|error| {
                error.or_kind(ErrorKind::Connection).context(format!("framework {title}"))
            }));
        }
        Error::all("frameworks cannot be bound", errors)
    }

    /// Seals all tables and lets every framework accept calls.
    pub(crate) async fn serve(&mut self) -> Result<()> {
        self.exposures.seal();
        self.container.seal();
        for member in &mut self.members {
            let title = member.title();
            panics::caught_async(member.transport.serve()).await.map_err(|error| {
                error.or_kind(ErrorKind::Connection).context(format!("framework {title}"))
            })?;
        }
        Ok(())
    }

    pub(crate) fn turn_ready(&self) {
        self.config.started();
        self.lifecycle.enter(Phase::Ready);
        self.health.set_serving(true);
    }

    /// Stops in order; every error of every step is collected, and none skips a later step.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let reason = self.lifecycle.stop_reason().unwrap_or("no reason given").to_owned();
        tracing::info!(reason, "stopping");
        self.health.set_serving(false);
        self.lifecycle.enter(Phase::Stopping);
        let mut errors = self.run_stop_hooks(HookPoint::OnStopping).await;
        tokio::time::sleep(self.shutdown.delay).await;
        self.stop_intake(&mut errors).await;
        self.drain(&mut errors).await;
        errors.extend(self.run_stop_hooks(HookPoint::BeforeClose).await);
        errors.extend(self.container.dispose_all(self.shutdown.dispose).await);
        self.close(&mut errors).await;
        errors.extend(self.run_stop_hooks(HookPoint::Closed).await);
        let outcome = Error::all("the stop was not clean", errors);
        match &outcome {
            Ok(()) => tracing::info!("stopped"),
            Err(error) => tracing::error!("stopped, but not cleanly: {error:?}"),
        }
        self.lifecycle.enter(Phase::Stopped);
        outcome
    }

    /// Closes whatever a failed start has opened, in reverse.
    pub(crate) async fn roll_back(mut self) -> Vec<Error> {
        self.health.set_serving(false);
        self.members.reverse();
        let mut errors = Vec::new();
        self.stop_intake(&mut errors).await;
        self.drain(&mut errors).await;
        errors.extend(self.container.dispose_all(self.shutdown.dispose).await);
        self.close(&mut errors).await;
        self.lifecycle.enter(Phase::Stopped);
        errors
    }

    async fn run_stop_hooks(&mut self, point: HookPoint) -> Vec<Error> {
        self.hooks.run_all(point, &self.container, self.shutdown.hook).await
    }

    async fn stop_intake(&mut self, errors: &mut Vec<Error>) {
        let limit = self.shutdown.close;
        let stops = self.members.iter_mut().map(|member| async move {
            let late = |_: &Member| Error::deadline(format!("still takes calls after {limit:?}"));
            step(member, limit, |transport| transport.stop_intake().map(Ok).boxed(), late).await
        });
        errors.extend(join_all(stops).await.into_iter().flatten());
    }

    async fn drain(&mut self, errors: &mut Vec<Error>) {
        let limit = self.shutdown.drain;
        let drains = self.members.iter_mut().map(|member| async move {
            let late = |member: &Member| {
                let cut = member.transport.active();
                Error::deadline(format!("{cut} calls were cut: not finished after {limit:?}"))
                    .advise("raise shutdown.drain, or give the operations a deadline of their own")
            };
            step(member, limit, |transport| transport.drain().map(Ok).boxed(), late).await
        });
        errors.extend(join_all(drains).await.into_iter().flatten());
    }

    async fn close(&mut self, errors: &mut Vec<Error>) {
        let limit = self.shutdown.close;
        let closes = self.members.iter_mut().map(|member| async move {
            let late = |_: &Member| Error::deadline(format!("not closed after {limit:?}"));
            step(member, limit, |transport| transport.close(), late).await
        });
        errors.extend(join_all(closes).await.into_iter().flatten());
    }
}

/// One step of a stop on one framework: an error, a panic or its deadline is reported, and skips
/// nobody.
async fn step(
    member: &mut Member,
    limit: Duration,
    call: impl FnOnce(&mut dyn Transport) -> BoxFuture<'_, Result<()>>,
    late: impl FnOnce(&Member) -> Error,
) -> Option<Error> {
    let called = panics::caught_async(call(&mut *member.transport));
    let error = match tokio::time::timeout(limit, called).await {
        Ok(outcome) => outcome.err()?,
        Err(_) => late(member),
    };
    Some(error.context(format!("framework {}", member.title())))
}
