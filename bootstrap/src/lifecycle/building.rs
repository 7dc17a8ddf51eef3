//! Frameworks are built, on a thread where their code may block.

use super::{
    Lifecycle, Stage,
    loaded::{Configured, Loaded, Member},
    process::Process,
    startup::Pending,
};
use crate::{
    Config, Container, Error, ErrorKind, HandedOver, Health, Result,
    application::title,
    framework::{FrameworkContext, Shared},
    module::Registrations,
    operation::Exposures,
    panics,
};

/// Makes every framework from the complete configuration, and says which sections of it are theirs.
pub(super) fn configure(
    loaded: Vec<Box<dyn Loaded>>,
    config: &Config,
) -> Result<Vec<Box<dyn Configured>>> {
    let configure = |framework: Box<dyn Loaded>| panics::caught(|| Ok(framework.configure(config)));
    let mut configured: Vec<_> = loaded.into_iter().map(configure).collect::<Result<_>>()?;
    check_names(&configured)?;
    let declared = configured.iter_mut().map(|framework| framework.declare(config));
    let faults = declared.filter_map(Result::err).collect();
    Error::all("settings of frameworks do not fit", faults)?;
    Ok(configured)
}

/// Everything that frameworks are built from.
pub(super) struct Building {
    registrations: Registrations,
    free_ports: bool,
    in_memory: bool,
    config: Config,
    container: Container,
    health: Health,
    exposures: Exposures,
    handed_over: HandedOver,
    lifecycle: Lifecycle,
}

/// What became of it: a failure of one framework does not undo the others.
pub(super) struct Outcome {
    pub(super) members: Vec<Member>,
    pub(super) registrations: Registrations,
    pub(super) outcome: Result<()>,
}

impl Building {
    pub(super) fn of(process: &Process, pending: &mut Pending) -> Self {
        Self {
            registrations: std::mem::take(&mut pending.registrations),
            free_ports: pending.free_ports,
            in_memory: pending.in_memory,
            config: process.config.clone(),
            container: process.container.clone(),
            health: process.health.clone(),
            exposures: process.exposures.clone(),
            handed_over: process.handed_over.clone(),
            lifecycle: process.lifecycle.clone(),
        }
    }

    pub(super) fn build(mut self, configured: Vec<Box<dyn Configured>>) -> Outcome {
        let mut members = Vec::new();
        let outcome = self.build_all(configured, &mut members);
        Outcome { members, registrations: self.registrations, outcome }
    }

    fn build_all(
        &mut self,
        configured: Vec<Box<dyn Configured>>,
        members: &mut Vec<Member>,
    ) -> Result<()> {
        let (shared, mut errors) = (Shared::default(), Vec::new());
        for framework in configured {
            let title = format!("framework {}", title(framework.kind(), framework.name()));
            let step = self.lifecycle.timeline().begin(Stage::Build, Some(title.clone()));
            let context = self.context(&*framework, &shared);
            match step.end(panics::caught(|| framework.build(context))) {
                Ok(member) => members.push(member),
                Err(error) => errors.push(error.or_kind(ErrorKind::Wiring).context(title)),
            }
        }
        Error::all("frameworks cannot be built", errors)
    }

    fn context<'a>(
        &'a mut self,
        framework: &dyn Configured,
        shared: &'a Shared,
    ) -> FrameworkContext<'a> {
        FrameworkContext {
            config: &self.config,
            container: &self.container,
            health: &self.health,
            exposures: &self.exposures,
            shared,
            registrations: &mut self.registrations,
            free_ports: self.free_ports,
            in_memory: self.in_memory,
            handed_over: &self.handed_over,
            kind: framework.kind(),
            name: framework.name().to_owned(),
            section: framework.section(),
        }
    }
}

fn check_names(configured: &[Box<dyn Configured>]) -> Result<()> {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for framework in configured {
        let key = (framework.kind(), framework.name());
        if seen.contains(&key) {
            return Err(Error::wiring(format!(
                "framework {} is loaded twice",
                title(key.0, key.1)
            ))
            .advise("give one of them a name of its own, as in HttpFramework::named(\"admin\")"));
        }
        seen.push(key);
    }
    Ok(())
}
