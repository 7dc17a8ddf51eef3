//! The start, stage by stage.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Lifecycle, Phase,
    loaded::{Configured, Loaded},
    modules,
    plan::{Plan, load_config},
    process::Process,
    supervisor::RunningBootstrap,
};
use crate::{
    Error, Health, Result,
    application::{Application, title},
    container::{Container, ContainerBuilder},
    framework::{FrameworkContext, Shared},
    hooks::{self, HookFn, HookPoint, Hooks},
    module::{ModuleBuilder, Registrations},
    operation::Exposures,
};

/// How long each stage of a start took.
pub(crate) type Timeline = Vec<(&'static str, Duration)>;

/// What is still to be done with what was told.
struct Pending {
    frameworks: Vec<Box<dyn Loaded>>,
    before: Vec<HookFn>,
    registrations: Registrations,
    free_ports: bool,
}

/// Starts everything, or rolls back what has started.
pub(crate) async fn start(plan: Plan, lifecycle: Lifecycle) -> Result<RunningBootstrap> {
    let begun = Instant::now();
    let (mut process, pending) = assemble(plan, lifecycle.clone())?;
    let deadline = process.startup.deadline;
    let started = tokio::select! {
        // A hook that asks for the stop has the last word, also where it is the last thing to run.
        biased;
        () = lifecycle.stop_requested() => Ok(Err(interrupted(&lifecycle))),
        started = tokio::time::timeout(deadline, run_stages(&mut process, pending)) => started,
    };
    match started.unwrap_or_else(|_| Err(too_long(deadline, &process))) {
        Ok(timeline) => {
            banner(&process, &timeline, begun.elapsed());
            Ok(RunningBootstrap::supervise(process))
        }
        Err(error) => {
            lifecycle.enter(Phase::Stopping);
            for further in process.roll_back().await {
                tracing::error!("while rolling back: {further:?}");
            }
            Err(error)
        }
    }
}

fn interrupted(lifecycle: &Lifecycle) -> Error {
    let reason = lifecycle.stop_reason().unwrap_or("stop requested");
    Error::other(format!("the start was interrupted ({reason}) and rolled back"))
}

fn too_long(deadline: Duration, process: &Process) -> Error {
    let waiting: Vec<_> =
        process.container.under_construction().iter().map(ToString::to_string).collect();
    let culprit = match waiting.as_slice() {
        [] => String::new(),
        waiting => format!(", waiting for {}", waiting.join(", ")),
    };
    Error::deadline(format!("the start is not finished after {deadline:?}"))
        .context(format!("stage {}{culprit}", process.stage))
        .advise("raise startup.deadline, or look at what this stage waits for")
}

/// Stages 1 and 2: files and variables, modules, the structure of the graph. Nothing is built.
fn assemble(plan: Plan, lifecycle: Lifecycle) -> Result<(Process, Pending)> {
    if plan.frameworks.is_empty() {
        return Err(Error::wiring("no framework is loaded").advise(
            "call load(…) with at least one: Bootstrap::new().load(HttpFramework::new())",
        ));
    }
    let mut options = plan.options;
    let config = load_config(&mut options)?;
    if options.owns_process {
        let directives = plan.frameworks.iter().map(|framework| framework.log_directives());
        crate::logging::init(&config, &directives.collect::<Vec<_>>())?;
    }
    let health = Health::default();
    let mut builder = ContainerBuilder::new();
    builder.set_module("polyport");
    builder.provide_value(Arc::new(config.clone()));
    builder.provide_value(Arc::new(health.clone()));
    builder.provide_value(Arc::new(lifecycle.clone()));
    builder.announce::<dyn Application>("when the frameworks are built, after the before-hooks");
    plan.frameworks.iter().for_each(|framework| framework.announce(&mut builder));

    let mut hooks = Hooks::default();
    let mut registrations = Registrations::default();
    for module in modules::in_order(plan.modules)? {
        let mut module_builder = ModuleBuilder::new(
            module.name(),
            &config,
            &mut builder,
            &mut hooks,
            &mut registrations,
        );
        module
            .configure(&mut module_builder)
            .map_err(|error| error.context(format!("module {}", module.name())))?;
        module_builder.finish()?;
    }
    hooks.append(plan.hooks);
    options.overrides.into_iter().for_each(|replace| replace(&mut builder));
    let container = builder.build()?;
    let process = Process {
        startup: config.peek_or_default("startup")?,
        shutdown: config.peek_or_default("shutdown")?,
        config,
        container,
        health,
        lifecycle,
        exposures: Exposures::default(),
        hooks,
        members: Vec::new(),
        stage: "configuration",
    };
    let pending = Pending {
        frameworks: plan.frameworks,
        before: plan.before,
        registrations,
        free_ports: options.free_ports,
    };
    Ok((process, pending))
}

/// Stages 3 to 9.
async fn run_stages(process: &mut Process, pending: Pending) -> Result<Timeline> {
    let mut timeline = Timeline::new();
    let mut clock = Instant::now();
    let mut finished = |stage| {
        timeline.push((stage, clock.elapsed()));
        clock = Instant::now();
    };
    let Pending { frameworks, before, mut registrations, free_ports } = pending;

    process.stage = "before";
    run_before(before, &process.container).await?;
    finished("before");

    process.stage = "build";
    process.seal_config()?;
    process.run_hooks(HookPoint::ConfigDidLoad).await?;
    build(process, frameworks, &mut registrations, free_ports)?;
    registrations.warn_of_rest();
    finished("build");

    process.stage = "check";
    process.check()?;
    process.run_hooks(HookPoint::DidLoad).await?;
    finished("check");

    process.stage = "singletons";
    process.build_singletons().await?;
    process.run_hooks(HookPoint::WillReady).await?;
    finished("singletons");

    process.stage = "bind";
    process.bind().await?;
    finished("bind");

    process.stage = "on_ready";
    process.run_hooks(HookPoint::OnReady).await?;
    process.build_singletons().await?;
    finished("on_ready");

    process.stage = "serve";
    process.serve().await?;
    process.run_hooks(HookPoint::OnServerReady).await?;
    process.turn_ready();
    finished("serve");
    Ok(timeline)
}

async fn run_before(before: Vec<HookFn>, container: &Container) -> Result<()> {
    for (index, hook) in before.into_iter().enumerate() {
        hooks::guarded(format!("before-hook {}", index + 1), hook, container.clone()).await?;
    }
    Ok(())
}

/// Stage 4: frameworks from the complete configuration, and who shares what with whom.
fn build(
    process: &mut Process,
    frameworks: Vec<Box<dyn Loaded>>,
    registrations: &mut Registrations,
    free_ports: bool,
) -> Result<()> {
    let configured: Vec<_> =
        frameworks.into_iter().map(|framework| framework.configure(&process.config)).collect();
    check_names(&configured)?;
    let shared = Shared::default();
    let mut errors = Vec::new();
    for framework in configured {
        let context = FrameworkContext {
            config: &process.config,
            container: &process.container,
            health: &process.health,
            exposures: &process.exposures,
            shared: &shared,
            registrations,
            free_ports,
            kind: framework.kind(),
            name: framework.name().to_owned(),
        };
        match framework.build(context) {
            Ok(member) => process.members.push(member),
            Err(error) => errors.push(error),
        }
    }
    Error::all("frameworks cannot be built", errors)?;
    process.link()
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
            .advise("give one of them a name of its own: .named(\"admin\")"));
        }
        seen.push(key);
    }
    Ok(())
}

fn banner(process: &Process, timeline: &Timeline, total: Duration) {
    for member in &process.members {
        let framework = member.title();
        match (member.app.url(), member.app.local_addr()) {
            (Some(url), _) => tracing::info!(framework, url, "serving"),
            (None, Some(address)) => tracing::info!(framework, %address, "serving"),
            (None, None) => tracing::info!(framework, "serving"),
        }
    }
    let stages: Vec<_> =
        timeline.iter().map(|(stage, took)| format!("{stage} {took:.1?}")).collect();
    tracing::info!(
        environment = process.config.environment().as_str(),
        stages = stages.join(", "),
        "ready in {total:.1?}"
    );
}
