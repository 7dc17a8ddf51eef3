//! What can be said about an application without starting it: whether it would start, and with
//! which configuration.

use super::{
    Lifecycle, Stage,
    plan::Plan,
    process::Process,
    register::register,
    stage_run,
    startup::{self, Pending},
};
use crate::{Config, Error, Graph, Result, graph, operation::roots, panics};

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
    let told = panics::caught(|| register(plan, &lifecycle))?;
    let config = told.config.clone();
    let (mut process, mut pending) = panics::caught(|| startup::put_together(told, lifecycle))
        .map_err(|wiring| match config.validate() {
            Err(faults) => together(faults, [wiring]),
            Ok(()) => wiring,
        })?;
    let checked = check_all(&mut process, &mut pending, before).await;
    let graph = checked.map(|()| graph_of(&process));
    roll_back(process, graph).await
}

/// The configuration as a start would see it; a before-hook that fails, or wiring that does not
/// let them run, does not hide what is known without it.
pub(crate) async fn look(plan: Plan, before: BeforeHooks) -> Result<Looked> {
    let lifecycle = Lifecycle::default();
    let told = panics::caught(|| register(plan, &lifecycle))?;
    let config = told.config.clone();
    let trouble = match panics::caught(|| startup::put_together(told, lifecycle)) {
        Err(error) => Err(error),
        Ok((mut process, mut pending)) => {
            let ran = run_before(&mut process, &mut pending, before).await;
            // From here on the sections of the frameworks are known, and what is secret in them.
            let _ = startup::configure(process.config.clone(), &mut pending).await;
            roll_back(process, ran).await
        }
    };
    Ok(Looked { config, trouble })
}

async fn check_all(
    process: &mut Process,
    pending: &mut Pending,
    before: BeforeHooks,
) -> Result<()> {
    run_before(process, pending, before).await?;
    if let Err(error) = process.seal_config() {
        let loaded = std::mem::take(&mut pending.frameworks);
        let is_loaded = |kind: &str, name: &str| loaded.iter().any(|it| it.may_be(kind, name));
        return Err(together(error, unbuilt_faults(process, pending, is_loaded)));
    }
    let configured = startup::configure(process.config.clone(), pending).await?;
    if let Err(error) = process.config.validate() {
        let is_loaded = |kind: &str, name: &str| {
            configured.iter().any(|it| (it.kind(), it.name()) == (kind, name))
        };
        return Err(together(error, unbuilt_faults(process, pending, is_loaded)));
    }
    match startup::build(process, pending, configured).await {
        Ok(()) => process.check(),
        Err(error) => {
            let wiring = process.container.check_registered(&process.roots());
            Err(together(error, wiring.err()))
        }
    }
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

/// What is wrong with the wiring where the configuration does not let the frameworks be built.
fn unbuilt_faults(
    process: &Process,
    pending: &mut Pending,
    is_loaded: impl Fn(&str, &str) -> bool,
) -> Vec<Error> {
    let served = pending.registrations.take_exposures(is_loaded);
    let roots = [roots(&served), process.hooks.roots()].concat();
    Vec::from_iter(process.container.check_registered(&roots).err())
}

fn together(first: Error, further: impl IntoIterator<Item = Error>) -> Error {
    let all: Vec<_> = [first.clone()].into_iter().chain(further).collect();
    Error::all("the application would not start", all).err().unwrap_or(first)
}

fn graph_of(process: &Process) -> Graph {
    let (container, exposures) = (&process.container, process.exposures.all());
    let hooks = process.hooks.declared();
    graph::graph(&process.config, &process.modules, container, &exposures, hooks)
}

async fn roll_back<T>(process: Process, outcome: Result<T>) -> Result<T> {
    let further = process.roll_back().await;
    let further = further.into_iter().map(|error| error.context("while disposing of it again"));
    match outcome {
        Ok(value) => {
            Error::all("what was built cannot be disposed of", further.collect()).map(|()| value)
        }
        Err(error) => Err(error.also(further)),
    }
}
