//! The start, stage by stage.

use tokio::runtime::Handle;

use super::{
    Lifecycle, Phase, ShutdownSettings, Stage, StartupSettings, banner,
    board::Board,
    building::{self, Building},
    hook_run::Called,
    loaded::{Configured, Loaded, Member},
    plan::Plan,
    process::Process,
    register::{Told, register},
    reload,
    settings::BEFORE_CONFIGURATION,
    stage_run::{self, blocking},
    supervisor::RunningBootstrap,
};
use crate::{
    Config, Result,
    container::Container,
    framework::at_home,
    hooks::{HookFn, HookPoint},
    module::Registrations,
    program,
};

/// What is still to be done with what was told.
pub(super) struct Pending {
    pub(super) frameworks: Vec<Box<dyn Loaded>>,
    pub(super) before: Vec<HookFn>,
    pub(super) registrations: Registrations,
    pub(super) free_ports: bool,
    pub(super) in_memory: bool,
}

/// Starts everything, or rolls back what has started.
pub(crate) async fn start(plan: Plan, lifecycle: Lifecycle) -> Result<RunningBootstrap> {
    let style = banner::Style::of(&plan.options);
    let started = start_all(plan, &lifecycle).await;
    match started {
        Ok(process) => {
            let told = style.tell(&process);
            let running = RunningBootstrap::supervise(process);
            // What cannot be told is no reason not to serve.
            told.inspect_err(|error| tracing::warn!(%error, "the start cannot be told")).ok();
            Ok(running)
        }
        Err(error) => {
            let drawn = style.draw(&lifecycle);
            Err(error.also(drawn.err()))
        }
    }
}

async fn start_all(plan: Plan, lifecycle: &Lifecycle) -> Result<Process> {
    let (process, mut pending) = assemble(plan, lifecycle).await?;
    let mut process = RollBackOnDrop(Some(process));
    let started = unless_stopped(lifecycle, run_stages(process.get(), &mut pending)).await;
    let mut process = process.take();
    match started {
        Ok(()) => Ok(process),
        Err(error) => {
            let error = error.also(std::mem::take(&mut process.unbound));
            let further = process.roll_back().await.into_iter();
            Err(error.also(further.map(|further| further.context("while rolling back"))))
        }
    }
}

/// Runs a part of the start until somebody asks for the stop. A hook that does so itself has the
/// last word.
async fn unless_stopped<T>(
    lifecycle: &Lifecycle,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        biased;
        () = lifecycle.interrupted() => Err(stage_run::interrupted(lifecycle)),
        result = work => result,
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
            runtime.spawn(at_home(process.roll_back()));
        }
    }
}

/// Says that the process has stopped where it never became one.
struct StoppedOnDrop<'a>(Option<&'a Lifecycle>);

impl Drop for StoppedOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(lifecycle) = self.0 {
            lifecycle.enter(Phase::Stopped);
        }
    }
}

/// Stages 1 and 2: files and variables, modules, the structure of the graph. Nothing is built.
async fn assemble(mut plan: Plan, lifecycle: &Lifecycle) -> Result<(Process, Pending)> {
    // The thread that the configuration is read on does not know whose `main` this is.
    plan.options.name = plan.options.name.take().or_else(program::name);
    let mut stopped = StoppedOnDrop(Some(lifecycle));
    let own = lifecycle.clone();
    let work = blocking(move || {
        let mut told = register(plan, &own)?;
        let container = structure(&mut told, &own)?;
        Ok(put_together(told, container, own))
    });
    let work = stage_run::within(lifecycle, None, BEFORE_CONFIGURATION, work);
    let assembled = unless_stopped(lifecycle, work).await?;
    stopped.0 = None;
    Ok(assembled)
}

/// The structure of the graph of everything that was told.
pub(super) fn structure(told: &mut Told, lifecycle: &Lifecycle) -> Result<Container> {
    let step = lifecycle.timeline().begin(Stage::Modules, Some("the graph".to_owned()));
    let container = step.end(told.build())?;
    told.health.register_all(told.hooks.take_checks())?;
    Ok(container)
}

/// The one owner of everything that is going to be, and what is still to be done.
pub(super) fn put_together(
    told: Told,
    container: Container,
    lifecycle: Lifecycle,
) -> (Process, Pending) {
    // What is wrong with it is told with all other faults, when the configuration is checked.
    let startup = StartupSettings::kept(&told.config, told.tasks.witness());
    container.set_build_deadline(startup.singleton);
    told.tasks.take_from(container.downgrade());
    let process = Process {
        startup,
        shutdown: ShutdownSettings::kept(&told.config, told.tasks.witness()),
        config: told.config,
        container,
        health: told.health,
        tasks: told.tasks,
        lifecycle,
        exposures: told.exposures,
        hooks: told.hooks,
        called: Called::default(),
        modules: told.modules,
        members: Vec::new(),
        throughout: Vec::new(),
        unbound: Vec::new(),
        handed_over: told.handed_over,
        log: told.log,
        reloader: told.reloader,
    };
    let pending = Pending {
        frameworks: told.frameworks,
        before: told.before,
        registrations: told.registrations,
        free_ports: told.free_ports,
        in_memory: told.in_memory,
    };
    (process, pending)
}

/// Stages 3 to 9. Each has its deadline as it is configured by then; before-hooks may change it.
async fn run_stages(process: &mut Process, pending: &mut Pending) -> Result<()> {
    let (lifecycle, container) = (process.lifecycle.clone(), process.container.clone());
    macro_rules! stage {
        ($stage:ident, $work:expr) => {{
            let limit = process.startup.of(Stage::$stage);
            stage_run::run(&lifecycle, &container, Stage::$stage, limit, $work).await?
        }};
    }
    let before = std::mem::take(&mut pending.before);
    stage!(Before, complete_config(process, before));
    stage!(Build, build_configured(process, pending));
    stage!(Check, check(process));
    stage!(Singletons, build_singletons(process));
    stage!(Bind, process.bind());
    stage!(OnReady, get_ready(process));
    stage!(Serve, serve(process));
    stage_run::go_on(&lifecycle)?;
    process.turn_ready();
    process.reloader.follow_files(&process.lifecycle)
}

/// Stage 3, and the completion of the configuration.
pub(super) async fn complete_config(process: &mut Process, before: Vec<HookFn>) -> Result<()> {
    process.run_before(before).await?;
    process.seal_config()
}

/// Stage 4: every section of the configuration is checked, and frameworks are built from it.
async fn build_configured(process: &mut Process, pending: &mut Pending) -> Result<()> {
    let configured = configure(process.config.clone(), pending).await?;
    process.config.validate()?;
    reload::write_dump(&process.config)?;
    process.config.keep_remotes();
    process.run_hooks(HookPoint::ConfigDidLoad).await?;
    build(process, pending, configured).await?;
    pending.registrations.warn_of_rest();
    process.open_throughout().await
}

/// The frameworks in full, and which sections of the configuration are theirs.
pub(super) async fn configure(
    config: Config,
    pending: &mut Pending,
) -> Result<Vec<Box<dyn Configured>>> {
    let loaded = std::mem::take(&mut pending.frameworks);
    blocking(move || building::configure(loaded, &config)).await
}

/// Frameworks from the complete configuration, and who shares what with whom.
pub(super) async fn build(
    process: &mut Process,
    pending: &mut Pending,
    configured: Vec<Box<dyn Configured>>,
) -> Result<()> {
    let building = Building::of(process, pending);
    let built = blocking(move || Ok(building.build(configured))).await?;
    process.members = built.members;
    // One that is there for the others is the main one only where there is no other.
    process.members.sort_by_key(Member::serves_throughout);
    built.outcome?;
    pending.registrations = built.registrations;
    process.link().await?;
    let sections = process.sections();
    let said: ShutdownSettings = process.config.peek_or_default("shutdown")?;
    said.check(&sections)?;
    process.lifecycle.set_longest_stop(process.shutdown.sum(&sections));
    process.lifecycle.show(Board::new(&process.members, process.exposures.in_flight()));
    Ok(())
}

/// Stage 5.
async fn check(process: &mut Process) -> Result<()> {
    process.check()?;
    process.run_hooks(HookPoint::DidLoad).await
}

/// Stage 6.
async fn build_singletons(process: &mut Process) -> Result<()> {
    process.build_singletons(Stage::Singletons).await?;
    process.run_hooks(HookPoint::WillReady).await
}

/// Stage 8. Routes that hooks add may need further singletons.
async fn get_ready(process: &mut Process) -> Result<()> {
    process.run_hooks(HookPoint::OnReady).await?;
    process.build_singletons(Stage::OnReady).await
}

/// Stage 9.
async fn serve(process: &mut Process) -> Result<()> {
    process.serve().await?;
    process.run_hooks(HookPoint::OnServerReady).await?;
    process.config.check_overrides(process.modules.iter().map(|module| &*module.name))?;
    process.health.begin_checks(process.container.downgrade()).await;
    Ok(())
}
