//! The start, stage by stage.

use std::time::{Duration, Instant};

use tokio::{runtime::Handle, time::timeout};

use super::{
    Lifecycle, Phase, StartupSettings,
    loaded::{Configured, Loaded},
    plan::Plan,
    process::Process,
    register::{Told, register},
    reload,
    supervisor::RunningBootstrap,
};
use crate::{
    Error, Result,
    application::title,
    container::{Container, Key},
    framework::{FrameworkContext, Shared},
    hooks::{self, HookFn, HookPoint},
    module::Registrations,
    operation::Exposures,
    panics,
};

/// How long each stage of a start took.
pub(crate) type Timeline = Vec<(&'static str, Duration)>;

/// What is still to be done with what was told.
pub(super) struct Pending {
    pub(super) frameworks: Vec<Box<dyn Loaded>>,
    pub(super) before: Vec<HookFn>,
    pub(super) registrations: Registrations,
    free_ports: bool,
}

/// Starts everything, or rolls back what has started.
pub(crate) async fn start(plan: Plan, lifecycle: Lifecycle) -> Result<RunningBootstrap> {
    let begun = Instant::now();
    let assembled = panics::caught(|| assemble(plan, lifecycle.clone()));
    let (process, mut pending) = assembled.inspect_err(|_| lifecycle.enter(Phase::Stopped))?;
    let mut process = RollBackOnDrop(Some(process));
    let started = tokio::select! {
        // A hook that asks for the stop has the last word, also where it is the last thing to run.
        biased;
        () = lifecycle.stop_requested() => Err(interrupted(&lifecycle)),
        started = run_stages(process.get(), &mut pending, begun) => started,
    };
    let process = process.take();
    match started {
        Ok(timeline) => {
            banner(&process, &timeline, begun.elapsed());
            Ok(RunningBootstrap::supervise(process))
        }
        Err(error) => {
            lifecycle.enter(Phase::Stopping);
            let further = process.roll_back().await.into_iter();
            Err(error.also(further.map(|further| further.context("while rolling back"))))
        }
    }
}

/// Sees to it that nothing stays behind where the start itself is dropped.
struct RollBackOnDrop(Option<Process>);

impl RollBackOnDrop {
    #[allow(clippy::expect_used, reason = "it is taken once, by value, at the end of the start")]
    fn get(&mut self) -> &mut Process {
        self.0.as_mut().expect("not taken yet")
    }

    #[allow(clippy::expect_used, reason = "it is taken once, by value, at the end of the start")]
    fn take(mut self) -> Process {
        self.0.take().expect("not taken yet")
    }
}

impl Drop for RollBackOnDrop {
    fn drop(&mut self) {
        if let (Some(process), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(process.roll_back());
        }
    }
}

fn interrupted(lifecycle: &Lifecycle) -> Error {
    let reason = lifecycle.stop_reason().unwrap_or("stop requested");
    Error::other(format!("the start was interrupted ({reason})"))
}

pub(super) fn too_long(process: &Process) -> Error {
    let deadline = process.startup.deadline;
    let building = process.container.under_construction();
    let hook = process.hooks.running().map(str::to_owned);
    let waiting: Vec<_> = hook.into_iter().chain(building.iter().map(Key::to_string)).collect();
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
    let told = register(plan, &lifecycle)?;
    put_together(told, lifecycle)
}

/// The structure of the graph, and the one owner of everything that is going to be.
pub(super) fn put_together(mut told: Told, lifecycle: Lifecycle) -> Result<(Process, Pending)> {
    let container = told.build()?;
    // What is wrong with it is told with all other faults, when the configuration is checked.
    let startup: StartupSettings = told.config.peek_or_default("startup").unwrap_or_default();
    container.set_build_deadline(startup.singleton);
    let process = Process {
        startup,
        shutdown: told.config.peek_or_default("shutdown").unwrap_or_default(),
        config: told.config,
        container,
        health: told.health,
        lifecycle,
        exposures: Exposures::default(),
        hooks: told.hooks,
        modules: told.modules,
        members: Vec::new(),
        stage: "configuration",
        log: told.log,
        reloader: told.reloader,
    };
    let pending = Pending {
        frameworks: told.frameworks,
        before: told.before,
        registrations: told.registrations,
        free_ports: told.free_ports,
    };
    Ok((process, pending))
}

/// Stages 3 to 9, within the deadline as it is configured; before-hooks may still change it.
async fn run_stages(
    process: &mut Process,
    pending: &mut Pending,
    begun: Instant,
) -> Result<Timeline> {
    let mut timeline = Timeline::new();
    let limit = time_left(process, begun);
    let before = std::mem::take(&mut pending.before);
    match timeout(limit, complete_config(process, before)).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(too_long(process)),
    }
    timeline.push(("before", begun.elapsed()));
    let limit = time_left(process, begun);
    match timeout(limit, run_configured_stages(process, pending, &mut timeline)).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(too_long(process)),
    }
    Ok(timeline)
}

fn time_left(process: &Process, begun: Instant) -> Duration {
    process.startup.deadline.saturating_sub(begun.elapsed())
}

/// Stage 3, and the completion of the configuration.
pub(super) async fn complete_config(process: &mut Process, before: Vec<HookFn>) -> Result<()> {
    process.stage = "before";
    run_before(before, &process.container).await?;
    process.seal_config()
}

/// Stages 4 to 9.
async fn run_configured_stages(
    process: &mut Process,
    pending: &mut Pending,
    timeline: &mut Timeline,
) -> Result<()> {
    let mut clock = Instant::now();
    let mut finished = |stage| {
        timeline.push((stage, clock.elapsed()));
        clock = Instant::now();
    };

    process.stage = "build";
    let configured = configure(process, pending)?;
    process.config.validate()?;
    reload::write_dump(&process.config)?;
    process.config.keep_remotes();
    process.run_hooks(HookPoint::ConfigDidLoad).await?;
    build(process, pending, configured)?;
    pending.registrations.warn_of_rest();
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
    process.reloader.follow_files(&process.lifecycle)?;
    finished("serve");
    Ok(())
}

pub(super) async fn run_before(before: Vec<HookFn>, container: &Container) -> Result<()> {
    for (index, hook) in before.into_iter().enumerate() {
        hooks::guarded(format!("before-hook {}", index + 1), hook, container.seen_by(None)).await?;
    }
    Ok(())
}

/// Stage 4: the frameworks in full, and which sections of the configuration are theirs.
pub(super) fn configure(
    process: &Process,
    pending: &mut Pending,
) -> Result<Vec<Box<dyn Configured>>> {
    let mut configured = Vec::new();
    for framework in pending.frameworks.drain(..) {
        configured.push(panics::caught(|| Ok(framework.configure(&process.config)))?);
    }
    check_names(&configured)?;
    let declared = configured.iter_mut().map(|framework| framework.declare(&process.config));
    let faults: Vec<Error> = declared.filter_map(Result::err).collect();
    Error::all("settings of frameworks do not fit", faults)?;
    Ok(configured)
}

/// Stage 4: frameworks from the complete configuration, and who shares what with whom.
pub(super) fn build(
    process: &mut Process,
    pending: &mut Pending,
    configured: Vec<Box<dyn Configured>>,
) -> Result<()> {
    let shared = Shared::default();
    let mut errors = Vec::new();
    for framework in configured {
        let title = title(framework.kind(), framework.name());
        let context = FrameworkContext {
            config: &process.config,
            container: &process.container,
            health: &process.health,
            exposures: &process.exposures,
            shared: &shared,
            registrations: &mut pending.registrations,
            free_ports: pending.free_ports,
            kind: framework.kind(),
            name: framework.name().to_owned(),
            section: framework.section(),
        };
        match panics::caught(|| framework.build(context)) {
            Ok(member) => process.members.push(member),
            Err(error) => errors.push(error.context(format!("framework {title}"))),
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
            .advise("give one of them a name of its own, as in HttpFramework::named(\"admin\")"));
        }
        seen.push(key);
    }
    Ok(())
}

fn banner(process: &Process, timeline: &Timeline, total: Duration) {
    for member in &process.members {
        let framework = member.title();
        match (member.app.url(), member.app.local_addr()) {
            (Some(url), Some(address)) => tracing::info!(framework, url, %address, "serving"),
            (Some(url), None) => tracing::info!(framework, url, "serving"),
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
