//! What can be said about an application without starting it: whether it would start, and with
//! which configuration.

use super::{
    Lifecycle, Stage, building,
    plan::Plan,
    process::Process,
    register::{Told, register},
    stage_run,
    startup::{self, Pending},
};
use crate::{Config, Error, Graph, Result, graph, operation::Exposures, panics};

/// What becomes of the before-hooks where nothing is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BeforeHooks {
    Run,
    /// What they would add is not there then.
    LeaveOut,
}

/// The configuration, and what went wrong on the way to all of it.
pub(crate) struct Looked {
    pub(crate) config: Config,
    pub(crate) trouble: Result<()>,
}

/// Checks configuration and wiring as far as a start would before it binds anything, and disposes
/// of what that has built. The graph is that of the application that would start.
pub(crate) async fn check(plan: Plan, before: BeforeHooks) -> Result<Graph> {
    let lifecycle = Lifecycle::default();
    let (mut process, mut pending) = panics::caught(|| {
        let mut told = register(plan, &lifecycle)?;
        match startup::structure(&mut told, &lifecycle) {
            Ok(container) => Ok(startup::put_together(told, container, lifecycle.clone())),
            Err(wiring) => Err(with_config_faults(told, wiring)),
        }
    })?;
    let checked = check_all(&mut process, &mut pending, before).await;
    let graph = checked.map(|()| graph_of(&process));
    roll_back(process, graph).await
}

/// The configuration as a start would see it; a before-hook that fails, or wiring that does not
/// let them run, does not hide what is known without it.
pub(crate) async fn look(plan: Plan, before: BeforeHooks) -> Result<Looked> {
    let lifecycle = Lifecycle::default();
    let mut told = panics::caught(|| register(plan, &lifecycle))?;
    let config = told.config.clone();
    let trouble = match panics::caught(|| startup::structure(&mut told, &lifecycle)) {
        Err(error) => Err(error),
        Ok(container) => {
            let (mut process, mut pending) = startup::put_together(told, container, lifecycle);
            let ran = run_before(&mut process, &mut pending, before).await;
            // From here on the sections of the frameworks are known, and what is secret in them.
            let _ = building::configure(pending.frameworks, &config);
            let _ = config.validate();
            roll_back(process, ran).await
        }
    };
    Ok(Looked { config, trouble })
}

/// What would be served, from the files and variables alone: no before-hook runs, and nothing is
/// connected to. What is wrong with the application otherwise is left to [`check`].
pub(crate) async fn served(plan: Plan) -> Result<Exposures> {
    let (mut process, mut pending) = assembled(plan, &Lifecycle::default())?;
    let built = build_unchecked(&mut process, &mut pending).await;
    let exposures = built.map(|()| process.exposures.clone());
    roll_back(process, exposures).await
}

/// Everything that was told, and its structure; nothing is built yet.
pub(super) fn assembled(plan: Plan, lifecycle: &Lifecycle) -> Result<(Process, Pending)> {
    panics::caught(|| {
        let mut told = register(plan, lifecycle)?;
        let container = startup::structure(&mut told, lifecycle)?;
        Ok(startup::put_together(told, container, lifecycle.clone()))
    })
}

pub(super) async fn build_unchecked(process: &mut Process, pending: &mut Pending) -> Result<()> {
    process.seal_config()?;
    let configured = startup::configure(process.config.clone(), pending).await?;
    startup::build(process, pending, configured).await?;
    process.exposures.configure(&process.config)
}

pub(super) async fn check_all(
    process: &mut Process,
    pending: &mut Pending,
    before: BeforeHooks,
) -> Result<()> {
    run_before(process, pending, before).await?;
    let sealed = process.seal_config();
    let configured = startup::configure(process.config.clone(), pending).await;
    let checked = process.config.validate();
    let faults = [sealed.err(), configured.as_ref().err().cloned(), checked.err()];
    together(faults.into_iter().flatten())?;
    startup::build(process, pending, configured?).await?;
    process.check()
}

/// The before-hooks of an application whose wiring is broken cannot run; what is wrong with the
/// values that are there without them is told all the same.
fn with_config_faults(told: Told, wiring: Error) -> Error {
    let configured = building::configure(told.frameworks, &told.config).err();
    let faults = [configured, told.config.validate().err(), Some(wiring.clone())];
    together(faults.into_iter().flatten()).err().unwrap_or(wiring)
}

/// One report of all `faults`, each told once.
fn together(faults: impl Iterator<Item = Error>) -> Result<()> {
    let mut once: Vec<Error> = Vec::new();
    for fault in faults.flat_map(Error::into_parts) {
        if once.iter().all(|known| known.to_string() != fault.to_string()) {
            once.push(fault);
        }
    }
    Error::all("the application would not start", once)
}

async fn run_before(
    process: &mut Process,
    pending: &mut Pending,
    before: BeforeHooks,
) -> Result<()> {
    let hooks = std::mem::take(&mut pending.before);
    if before == BeforeHooks::LeaveOut {
        return Ok(());
    }
    let (lifecycle, container) = (process.lifecycle.clone(), process.container.clone());
    let limit = process.startup.of(Stage::Before);
    stage_run::run(&lifecycle, &container, Stage::Before, limit, process.run_before(hooks)).await
}

fn graph_of(process: &Process) -> Graph {
    let (container, exposures) = (&process.container, process.exposures.all());
    let hooks = process.hooks.declared();
    graph::graph(&process.config, &process.modules, container, &exposures, hooks)
}

pub(super) async fn roll_back<T>(process: Process, outcome: Result<T>) -> Result<T> {
    let further = process.roll_back().await;
    let further = further.into_iter().map(|error| error.context("while disposing of it again"));
    match outcome {
        Ok(value) => {
            Error::all("what was built cannot be disposed of", further.collect()).map(|()| value)
        }
        Err(error) => Err(error.also(further)),
    }
}
