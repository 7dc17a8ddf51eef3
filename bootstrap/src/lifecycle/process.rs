//! What is running, or on its way there: the one owner of everything that has to be stopped.

use std::sync::Arc;

use futures_util::{FutureExt, future::select_all};

use super::{
    Lifecycle, Phase, Reloader, ShutdownSettings, Stage, StartupSettings, hook_run::Called,
    loaded::Member,
};
use crate::{
    Config, Error, ErrorKind, HandedOver, Health, Result, Tasks,
    container::{Container, Root},
    framework::{Endpoint, Transport},
    graph::GraphModule,
    hooks::Hooks,
    logging::Log,
    operation::Exposures,
};

pub(crate) struct Process {
    pub(crate) config: Config,
    pub(crate) container: Container,
    pub(crate) health: Health,
    pub(crate) tasks: Tasks,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) exposures: Exposures,
    pub(crate) hooks: Hooks,
    pub(crate) called: Called,
    pub(crate) modules: Arc<[GraphModule]>,
    pub(crate) members: Vec<Member>,
    /// Those that answer from when all are built until everything else is closed.
    pub(crate) throughout: Vec<Member>,
    /// Why frameworks could not be bound, until that is told.
    pub(crate) unbound: Vec<Error>,
    pub(crate) startup: StartupSettings,
    pub(crate) shutdown: ShutdownSettings,
    /// Sockets that listen already.
    pub(crate) handed_over: HandedOver,
    /// Where the bootstrap owns the process.
    pub(crate) log: Option<Arc<Log>>,
    pub(crate) reloader: Reloader,
}

impl Process {
    /// Completes the configuration; the kernel's own settings may have come from a before-hook. One
    /// that is faulty is told with all other faults, when the configuration is checked.
    pub(crate) fn seal_config(&mut self) -> Result<()> {
        self.container.settle_families()?;
        self.config.seal()?;
        self.startup = StartupSettings::kept(&self.config, self.tasks.witness());
        self.shutdown = ShutdownSettings::kept(&self.config, self.tasks.witness());
        self.container.set_build_deadline(self.startup.singleton);
        if let Some(log) = &self.log {
            log.apply(log.prepare(&self.config));
        }
        Ok(())
    }

    /// Puts the handles into the container and lets the frameworks find each other.
    pub(crate) async fn link(&mut self) -> Result<()> {
        let main = Arc::clone(&self.members[0].app);
        self.container.supply(main)?;
        for member in &mut self.members {
            member.supply(&self.container)?;
        }
        let mut errors = Vec::new();
        for member in &mut self.members {
            let title = format!("framework {}", member.title());
            let line = Some(format!("link of {title}"));
            let step = self.lifecycle.timeline().begin(Stage::Build, line);
            let link = member.transport.take(|transport| async { transport.link() }.boxed());
            errors.extend(step.end(link.await).err().map(|error| error.context(title)));
        }
        errors.extend(self.endpoint_collisions());
        Error::all("frameworks do not fit together", errors)
    }

    fn endpoint_collisions(&self) -> Vec<Error> {
        let mut seen: Vec<(String, Endpoint)> = Vec::new();
        let mut errors = Vec::new();
        for member in &self.members {
            let endpoints = member.transport.ask(Transport::endpoints).unwrap_or_default();
            for endpoint in endpoints {
                let other = seen.iter().find(|(_, taken)| taken.collides_with(&endpoint));
                errors.extend(other.map(|(other, _)| collision(other, &member.title(), &endpoint)));
                seen.push((member.title(), endpoint));
            }
        }
        errors
    }

    /// Checks the whole graph; routes that come later are checked as they are added.
    pub(crate) fn check(&self) -> Result<()> {
        let configured = self.exposures.configure(&self.config);
        self.exposures.check_from_now_on(self.container.downgrade());
        let faults = [configured.err(), self.container.check(&self.roots()).err()];
        let faults = faults.into_iter().flatten().flat_map(Error::into_parts).collect();
        Error::all("the application does not fit together", faults)
    }

    /// Whatever takes values from the container.
    pub(crate) fn roots(&self) -> Vec<Root> {
        [self.exposures.roots(), self.hooks.roots()].concat()
    }

    pub(crate) async fn build_singletons(&mut self, stage: Stage) -> Result<()> {
        for built in self.container.build_reachable(&self.roots()).await? {
            tracing::debug!(provider = %built.key, took = ?built.duration, "built");
            self.lifecycle.timeline().add(stage, built.key.to_string(), built.duration);
        }
        Ok(())
    }

    /// Binds every framework in load order; all that fail are in one report, which survives one
    /// that hangs.
    pub(crate) async fn bind(&mut self) -> Result<()> {
        for member in &mut self.members {
            let (step, title) = member.begin(&self.lifecycle, Stage::Bind);
            let bound = step.end(member.transport.take(|transport| transport.bind()).await);
            let failure = bound.err().map(|error| of_framework(error, title));
            self.unbound.extend(failure.map(|error| error.at_stage(Stage::Bind.as_str())));
        }
        self.handed_over.warn_of_rest();
        Error::all("frameworks cannot be bound", std::mem::take(&mut self.unbound))
    }

    /// Seals all tables and lets every framework accept calls.
    pub(crate) async fn serve(&mut self) -> Result<()> {
        self.exposures.assemble(&self.container, &self.config).await?;
        self.container.seal();
        for member in &mut self.members {
            let (step, title) = member.begin(&self.lifecycle, Stage::Serve);
            let served = step.end(member.transport.take(|transport| transport.serve()).await);
            served.map_err(|error| of_framework(error, title))?;
        }
        Ok(())
    }

    /// Ends when a framework has stopped serving by itself.
    pub(crate) async fn failed(&mut self) -> Error {
        let failures = self.members.iter_mut().chain(&mut self.throughout).map(|member| {
            let title = format!("framework {}", member.title());
            let failed = member.transport.take(|transport| transport.failed().map(Err).boxed());
            failed.map(move |outcome| outcome.err().map(|error| of_framework(error, title))).boxed()
        });
        match select_all(failures).await.0 {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Whose drain can have a time of its own: the frameworks, by the sections of the configuration
    /// that they read, and the background tasks.
    pub(crate) fn sections(&self) -> Vec<String> {
        let frameworks = self.members.iter().map(|member| member.section().to_owned());
        frameworks.chain(["tasks".to_owned()]).collect()
    }

    pub(crate) fn turn_ready(&self) {
        self.config.started();
        // Whoever waits for the phase finds readiness on.
        self.health.set_serving(true);
        self.lifecycle.enter(Phase::Ready);
    }
}

fn collision(one: &str, other: &str, endpoint: &Endpoint) -> Error {
    let message = match one == other {
        true => format!("framework {one} is to listen on {endpoint} twice"),
        false => format!("frameworks {one} and {other} are both to listen on {endpoint}"),
    };
    Error::configuration(message)
        .advise("give one of them another port in its section of the configuration")
}

pub(super) fn of_framework(error: Error, title: String) -> Error {
    error.or_kind(ErrorKind::Connection).context(title)
}
