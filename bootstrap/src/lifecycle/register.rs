//! Stages 1 and 2: files and variables, and what modules bring. Nothing is built.

use std::sync::Arc;

use super::{
    Lifecycle, LogSettings, ShutdownSettings, Stage, StartupSettings, elsewhere,
    loaded::Loaded,
    modules::{self, ModuleEntry, Modules},
    plan::{Options, Plan, load_config},
    presets::Presets,
    reload::Reloader,
};
use crate::{
    Config, Error, ErrorKind, HandedOver, Health, Result, TaskSettings, Tasks,
    application::Application,
    config::{ConfigSettings, Effect, SettingsSection as _, WillLoad},
    container::{Container, ContainerBuilder, Root},
    graph::{self, Graph, GraphModule},
    hooks::{HookFn, Hooks},
    injectables::provide_settings,
    logging::Log,
    middleware,
    module::{ModuleBuilder, Registrations},
    operation::{Exposures, MiddlewareSettings},
    panics,
};

/// What is known when all modules have said what they bring.
pub(super) struct Told {
    pub(super) config: Config,
    pub(super) log: Option<Arc<Log>>,
    pub(super) reloader: Reloader,
    pub(super) health: Health,
    pub(super) tasks: Tasks,
    pub(super) modules: Arc<[GraphModule]>,
    /// The modules themselves.
    known: Modules,
    pub(super) providers: ContainerBuilder,
    pub(super) hooks: Hooks,
    pub(super) registrations: Registrations,
    pub(super) exposures: Exposures,
    pub(super) frameworks: Vec<Box<dyn Loaded>>,
    pub(super) before: Vec<HookFn>,
    pub(super) free_ports: bool,
    pub(super) in_memory: bool,
    pub(super) handed_over: HandedOver,
}

/// Reads the configuration and lets every module that is on register what it brings.
pub(super) fn register(plan: Plan, lifecycle: &Lifecycle) -> Result<Told> {
    let Plan {
        frameworks,
        modules,
        presets,
        config_will_load,
        before,
        hooks,
        pipelines,
        mut options,
    } = plan;
    if frameworks.is_empty() {
        return Err(Error::wiring("no framework is loaded").advise(
            "call load(…) with at least one: Bootstrap::new().load(HttpFramework::new())",
        ));
    }
    let reading = lifecycle.begin_stage(Stage::Configuration);
    let (config, log) = reading.end(read(&mut options, presets, &frameworks))?;
    let registering = lifecycle.begin_stage(Stage::Modules);
    let told = Plan {
        frameworks,
        modules,
        config_will_load,
        before,
        hooks,
        pipelines,
        options,
        ..Plan::default()
    };
    registering.end(tell(told, config, log, lifecycle))
}

/// The configuration, and the log that it decides about.
fn read(
    options: &mut Options,
    presets: Presets,
    frameworks: &[Box<dyn Loaded>],
) -> Result<(Config, Option<Arc<Log>>)> {
    let config = load_config(options, presets)?;
    #[cfg(any(test, feature = "testing"))]
    record_log(&config, frameworks, &options.witness);
    let log = match options.owns_process {
        true => Some(Arc::new(set_up_log(&config, frameworks))),
        false => None,
    };
    Ok((config, log))
}

/// The log of a test is recorded as the section `log` says.
#[cfg(any(test, feature = "testing"))]
fn record_log(
    config: &Config,
    frameworks: &[Box<dyn Loaded>],
    witness: &crate::framework::Witness,
) {
    if let Some(ledger) = witness.ledger() {
        let settings: LogSettings = config.peek_or_default(LogSettings::KEY).unwrap_or_default();
        ledger.recorder().set_level(&settings.level, &log_directives(frameworks));
    }
}

/// Lets every module that is on say what it brings.
fn tell(plan: Plan, config: Config, log: Option<Arc<Log>>, lifecycle: &Lifecycle) -> Result<Told> {
    let Plan {
        frameworks, modules, config_will_load, before, hooks, mut pipelines, options, ..
    } = plan;
    pipelines.ship(middleware::shipped());
    let (health, tasks) =
        (Health::default(), Tasks::new(lifecycle.clone(), config.clone(), options.witness.clone()));
    let mut providers = kernel_providers(&config, &health, lifecycle);
    providers.provide_value(Arc::new(tasks.clone()));
    let reloader = Reloader::new(&config, log.as_ref());
    lifecycle.set_reloader(&reloader);
    providers.provide_value(Arc::new(reloader.clone()));
    declare_kernel_settings(&config, &mut providers)?;
    frameworks.iter().for_each(|framework| framework.announce(&mut providers));
    let known = modules::in_order(modules, &config)?;
    config.will_load(will_load(&known, config_will_load))?;
    let (own_hooks, registrations) = (hooks, Registrations::default());
    let mut told = Told {
        config,
        log,
        reloader,
        health,
        tasks,
        modules: describe(&known),
        known: Modules::default(),
        providers,
        hooks: Hooks::default(),
        registrations,
        exposures: Exposures::within(pipelines, options.witness.clone()),
        frameworks,
        before,
        free_ports: options.free_ports,
        in_memory: options.in_memory,
        handed_over: options.handed_over,
    };
    let errors = known.on.iter().filter_map(|entry| told.take(entry, lifecycle).err()).collect();
    Error::all("modules cannot say what they bring", errors)?;
    told.exposures.declare_middleware(&told.config)?;
    told.provide_computations();
    told.known = known;
    told.hooks.append(own_hooks);
    options.overrides.into_iter().for_each(|replace| replace(&mut told.providers));
    Ok(told)
}

impl Told {
    /// Keeps what extends contexts where every call finds it.
    fn provide_computations(&mut self) {
        let computations = self.exposures.take_computations();
        if !computations.is_empty() {
            self.providers.set_module("polyport");
            self.providers.provide_value(Arc::new(computations));
        }
    }

    /// Whatever takes values from the container, as far as it is known before frameworks are
    /// built.
    pub(super) fn roots(&self) -> Vec<Root> {
        let served = self.registrations.exposures(|kind, name| self.is_loaded(kind, name));
        [self.exposures.roots_of(&served), self.hooks.roots()].concat()
    }

    fn is_loaded(&self, kind: &str, name: &str) -> bool {
        self.frameworks.iter().any(|framework| framework.may_be(kind, name))
    }

    /// The container of what modules have registered, checked with all that takes something of
    /// it.
    pub(super) fn build(&mut self) -> Result<Container> {
        let (roots, providers) = (self.roots(), std::mem::take(&mut self.providers));
        providers.build_asking(&roots, &|| elsewhere::offers(&self.known, &self.config))
    }

    fn take(&mut self, entry: &ModuleEntry, lifecycle: &Lifecycle) -> Result<()> {
        let title = format!("module {}", entry.name());
        let step = lifecycle.timeline().begin(Stage::Modules, Some(title.clone()));
        let configured = panics::caught(|| {
            let mut builder = ModuleBuilder::new(
                entry.name(),
                &self.config,
                &mut self.providers,
                &mut self.hooks,
                &mut self.registrations,
                &self.exposures,
            );
            entry.module().configure(&mut builder)?;
            builder.finish()
        });
        step.end(configured.map_err(|error| error.or_kind(ErrorKind::Wiring).context(title)))
    }
}

/// The graph of what `plan` says, all of it checked, and nothing built, opened or called but the
/// modules themselves.
pub(crate) fn graph(plan: Plan) -> Result<Graph> {
    panics::caught(|| {
        let mut told = register(plan, &Lifecycle::default())?;
        let container = told.build();
        let is_loaded = |kind: &str, name: &str| {
            told.frameworks.iter().any(|framework| framework.may_be(kind, name))
        };
        let served = told.registrations.take_exposures(is_loaded);
        told.registrations.warn_of_rest();
        let added = Exposures::default().add(served.clone());
        let faults = [added.err(), container.as_ref().err().cloned()];
        let faults = faults.into_iter().flatten().flat_map(Error::into_parts).collect();
        Error::all("the application does not fit together", faults)?;
        let hooks = told.hooks.declared();
        Ok(graph::graph(&told.config, &told.modules, &container?, &served, hooks))
    })
}

/// What the kernel itself provides.
fn kernel_providers(config: &Config, health: &Health, lifecycle: &Lifecycle) -> ContainerBuilder {
    let mut builder = ContainerBuilder::new();
    builder.set_module("polyport");
    builder.provide_value(Arc::new(config.clone()));
    builder.provide_value(Arc::new(health.clone()));
    builder.provide_value(Arc::new(lifecycle.clone()));
    builder.announce::<dyn Application>("when the frameworks are built, after the before-hooks");
    builder.expect_of_calls::<crate::Context>();
    builder
}

/// The sections that the kernel itself reads.
fn declare_kernel_settings(config: &Config, builder: &mut ContainerBuilder) -> Result<()> {
    config.declare::<MiddlewareSettings>("polyport", MiddlewareSettings::KEY, Effect::Restart)?;
    let (startup, shutdown, tasks, log, own) = (
        config.declare::<StartupSettings>("polyport", StartupSettings::KEY, Effect::Restart)?,
        config.declare::<ShutdownSettings>("polyport", ShutdownSettings::KEY, Effect::Restart)?,
        config.declare::<TaskSettings>("polyport", TaskSettings::KEY, Effect::Restart)?,
        config.declare::<LogSettings>("polyport", LogSettings::KEY, Effect::Live)?,
        config.declare::<ConfigSettings>("polyport", ConfigSettings::KEY, Effect::Live)?,
    );
    provide_settings(builder, startup);
    provide_settings(builder, shutdown);
    provide_settings(builder, tasks);
    provide_settings(builder, log);
    provide_settings(builder, own);
    Ok(())
}

/// The hooks of all modules that are on, in order of dependency, and then the bootstrap's own.
fn will_load(modules: &Modules, own: WillLoad) -> WillLoad {
    let mut hooks = WillLoad::default();
    for module in modules.on.iter().map(ModuleEntry::shared) {
        let hook = Arc::clone(&module);
        let owner = format!("module {}", module.name());
        hooks.add(owner, move |values| hook.config_will_load(values));
    }
    hooks.append(own);
    hooks
}

fn set_up_log(config: &Config, frameworks: &[Box<dyn Loaded>]) -> Log {
    Log::set_up(config, &log_directives(frameworks))
}

fn log_directives(frameworks: &[Box<dyn Loaded>]) -> Vec<&'static str> {
    let directives = frameworks.iter().map(|framework| framework.log_directives());
    directives.filter(|one| !one.is_empty()).collect()
}

fn describe(modules: &Modules) -> Arc<[GraphModule]> {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let on = modules.on.iter().map(|entry| GraphModule {
        name: entry.name().to_owned(),
        depends_on: owned(entry.module().depends_on()),
        optionally_depends_on: owned(entry.module().optionally_depends_on()),
        off: None,
    });
    let off = modules.absent().map(|off| GraphModule {
        name: off.entry.name().to_owned(),
        depends_on: Vec::new(),
        optionally_depends_on: Vec::new(),
        off: Some(off.why.clone()),
    });
    on.chain(off).collect()
}
