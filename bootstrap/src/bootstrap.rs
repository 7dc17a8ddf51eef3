//! The builder: what a process consists of.

use std::{fmt, future::Future, path::PathBuf};

use serde::Serialize;

use crate::{
    Catalog, Graph, HealthCheck, Hook, Result, catalog,
    command::{self, Command},
    config::LayerValues,
    container::Container,
    framework::IntoFramework,
    hooks::{self, HookPoint},
    lifecycle::{self, BeforeHooks, Lifecycle, Load, ModuleEntry, Plan, RunningBootstrap},
    logging,
    module::Module,
    operation::{Pipeline, Plan as CallPlan},
    preset::Preset,
    signals,
    systemd::{self, NOTIFY_SOCKET, Notifier},
};

/// What a process consists of: one main framework, any number of secondary ones, modules and
/// hooks. Nothing happens before [`start`](Self::start) or [`run`](Self::run).
///
/// The shape is Midway's (`Bootstrap.load(web).load(grpc).before(…).run()`).
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::{Bootstrap, Config, Framework, Module, Result};
///
/// async fn serve(http: impl Framework, users: impl Module) -> Result<()> {
///     Bootstrap::new()
///         .load(http)
///         .module(users)
///         .before(async |container| container.config().add(serde_json::json!({ "page": 20 })))
///         .on_ready(async |_container| Ok(()))
///         .run()
///         .await
/// }
/// ```
#[derive(Default)]
pub struct Bootstrap {
    pub(crate) plan: Plan,
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap")
            .field("frameworks", &self.plan.frameworks.len())
            .field("modules", &self.plan.modules.len())
            .finish_non_exhaustive()
    }
}

macro_rules! hook_methods {
    ($($(#[$doc:meta])* $name:ident => $point:ident;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name<F, Fut>(mut self, hook: F) -> Self
            where
                F: FnOnce(Container) -> Fut + Send + 'static,
                Fut: Future<Output = Result<()>> + Send + 'static,
            {
                let owner = self.plan.presets.owner();
                self.plan.hooks.add(HookPoint::$point, owner, hooks::boxed(hook));
                self
            }
        )*
    };
}

impl Bootstrap {
    /// A process that consists of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads a framework, or a closure `|config: &Config|` that makes one from the finished
    /// configuration. The first one loaded is the main one.
    #[must_use]
    pub fn load<M: 'static, L: IntoFramework<M>>(mut self, framework: L) -> Self {
        self.plan.frameworks.push(Box::new(Load::new(framework)));
        self
    }

    /// Adds a module. The same module twice is one.
    #[must_use]
    pub fn module<M: Module>(mut self, module: M) -> Self {
        self.plan.modules.push(ModuleEntry::new(module));
        self
    }

    /// Applies a preset: what it bundles is added here. The same preset twice is one.
    #[must_use]
    pub fn preset<P: Preset>(mut self, preset: P) -> Self {
        if !self.plan.presets.begin::<P>(preset.name()) {
            return self;
        }
        let mut applied = preset.apply(self);
        applied.plan.presets.end();
        applied
    }

    /// Values that hold unless a file, a before-hook or an environment variable says otherwise;
    /// they stand above the defaults of modules. Of several the later one wins.
    #[must_use]
    pub fn default_config(mut self, values: impl Serialize) -> Self {
        self.plan.presets.add_defaults(None, values);
        self
    }

    /// As [`default_config`](Self::default_config), in this environment only; stands above
    /// `config.default` and below `config.{environment}`.
    #[must_use]
    pub fn default_config_for(mut self, environment: &str, values: impl Serialize) -> Self {
        self.plan.presets.add_defaults(Some(environment), values);
        self
    }

    /// Sees, and may change, what each source of the configuration sets, before it is merged with
    /// the others: each file, each environment variable, the defaults of each module, what each
    /// before-hook adds, each once. It is the place to decrypt values.
    ///
    /// Hooks of modules (`Module::config_will_load`) run first.
    /// A text that a hook fills in may be interpolated (`${…}`) like any other;
    /// [`literal`](crate::config::literal) keeps it from being so.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Bootstrap, Error};
    ///
    /// let bootstrap = Bootstrap::new().config_will_load(|values| {
    ///     if values.source().starts_with("remote:") && values.remove("http").is_some() {
    ///         return Err(Error::configuration("nobody sets our ports from afar"));
    ///     }
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    pub fn config_will_load(
        mut self,
        hook: impl Fn(&mut LayerValues<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let owner = self.plan.presets.owner();
        self.plan.config_will_load.add(owner, hook);
        self
    }

    /// Adds a hook that runs before the configuration is complete and any framework is built; it
    /// may add configuration (`container.config().add(…)`) and get providers. Hooks run one after
    /// the other.
    #[must_use]
    pub fn before<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce(Container) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.plan.before.push(hooks::boxed(hook));
        self
    }

    hook_methods! {
        /// Runs when the configuration is complete and no framework is built yet.
        config_did_load => ConfigDidLoad;
        /// Runs when the whole graph is checked.
        did_load => DidLoad;
        /// Runs when what the application reaches is built and nothing is bound yet.
        will_ready => WillReady;
        /// Runs exactly once for the whole process, after those of all modules, when everything
        /// is bound and nothing is served yet.
        on_ready => OnReady;
        /// Runs when all frameworks serve.
        on_server_ready => OnServerReady;
        /// Runs when a stop begins: readiness is off, and everything is still served.
        on_stopping => OnStopping;
        /// Runs when everything in flight has ended and all singletons are still there.
        before_close => BeforeClose;
        /// Runs at the very end, when everything is closed.
        closed => Closed;
    }

    /// What the application is called where its configuration (`app.name`) does not say; by
    /// default the name of the package whose `main` has `#[polyport::main]`, else `app`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.plan.options.name = Some(name.into());
        self
    }

    /// Environments that need no file of their own, besides `local`, `unittest` and `prod`. One
    /// that is not declared and has no file `config.{environment}.*` is an error: its name may be
    /// misspelt.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::Bootstrap;
    ///
    /// let bootstrap = Bootstrap::new().environments(["staging", "perf"]);
    /// ```
    #[must_use]
    pub fn environments<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.plan.options.environments.extend(names.into_iter().map(Into::into));
        self
    }

    /// Config files that have to be there, by the middle of their names: `default`, and
    /// environments, whose files have to be there where the process runs in that environment.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::Bootstrap;
    ///
    /// // config.default.* everywhere, and in production config.prod.* too
    /// let bootstrap = Bootstrap::new().require_files(["default", "prod"]);
    /// ```
    #[must_use]
    pub fn require_files<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.plan.options.required_files.extend(names.into_iter().map(Into::into));
        self
    }

    /// Adds guards, interceptors, middleware and whatever else is to stand around every operation,
    /// on every protocol.
    #[must_use]
    pub fn pipeline(mut self, add: impl FnOnce(Pipeline) -> Pipeline) -> Self {
        self.plan.pipelines.of_application(add(Pipeline::new()));
        self
    }

    /// Lets a function change what stands around operations: it sees the plan of each, when all
    /// stages are in it, and may reorder, insert and remove. It is called anew wherever a plan is
    /// looked at, so it must come to the same result each time. The idea is Droplet's orchestrator.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Bootstrap, operation::Plan};
    ///
    /// let bootstrap = Bootstrap::new().orchestrate(|plan: &mut Plan| {
    ///     if plan.exposure().route == "GET /health" {
    ///         plan.remove("LoggedIn");
    ///     }
    /// });
    /// # drop(bootstrap);
    /// ```
    #[must_use]
    pub fn orchestrate(mut self, change: impl Fn(&mut CallPlan) + Send + Sync + 'static) -> Self {
        self.plan.pipelines.orchestrate(change);
        self
    }

    /// Adds a hook that declares what it takes by its arguments, as operations do: that is checked
    /// at start, built before and shown by the graph. Each argument is injectable: `Inject<T>`,
    /// `Arc<T>`, `Option<Arc<T>>`, `App<A>`, `Config` …
    #[must_use]
    pub fn hook<M>(mut self, point: HookPoint, hook: impl Hook<M>) -> Self {
        let owner = self.plan.presets.owner();
        self.plan.hooks.add_declared(point, owner.into(), hook);
        self
    }

    /// Asks a component again and again how it is, as a module's
    /// [`health`](crate::ModuleBuilder::health) does.
    #[must_use]
    pub fn health(mut self, check: HealthCheck) -> Self {
        self.plan.hooks.add_check(check);
        self
    }

    /// Sets the application's base directory, which has to be there, and whose folder `config`
    /// holds the configuration files;
    /// by default the working directory, or, where that has no such folder, the package that
    /// `cargo run` or `cargo test` works on.
    #[must_use]
    pub fn root(mut self, directory: impl Into<PathBuf>) -> Self {
        self.plan.options.root = Some(directory.into());
        self
    }

    /// Starts everything and returns when it serves. Signals and the log are the caller's; `run`
    /// sees to them.
    ///
    /// # Errors
    /// Returns one report of what went wrong; what had been started is rolled back by then.
    pub async fn start(self) -> Result<RunningBootstrap> {
        lifecycle::start(self.plan, Lifecycle::default()).await
    }

    /// Everything that is provided and served, and who needs whom, all of it checked. Modules
    /// register what they bring; nothing else happens: no hook runs, nothing is built, opened or
    /// connected to.
    ///
    /// # Errors
    /// Returns one report of what does not fit together.
    pub async fn graph(self) -> Result<Graph> {
        lifecycle::graph(self.plan)
    }

    /// Every way in which operations can be called, with what stands around each, from files and
    /// variables alone: no hook runs, nothing is opened or connected to.
    ///
    /// # Errors
    /// Returns one report of what keeps the frameworks from being built.
    pub async fn catalog(self) -> Result<Catalog> {
        lifecycle::served(self.plan).await.map(|exposures| Catalog::of(&exposures))
    }

    /// Checks everything that can be checked without serving: runs the before-hooks, validates the
    /// configuration, builds the frameworks and checks the whole graph. No listener is opened and
    /// no broker connected to; what the before-hooks have built is disposed of.
    ///
    /// # Errors
    /// Returns one report of what would keep the process from starting.
    pub async fn check(self) -> Result<()> {
        lifecycle::check(self.plan, BeforeHooks::Run).await.map(drop)
    }

    /// Does what a loaded framework adds to the command line (`--topology` of AMQP, say), for
    /// programs and tests without one, and gives what would be printed.
    ///
    /// # Errors
    /// Returns why it could not be done, and a usage error where no framework has such a command.
    pub async fn command(self, name: &str, value: Option<&str>) -> Result<String> {
        let (argument, value) = command::of_framework(&self.plan.commands(), name, value)?;
        lifecycle::asked(self.plan, &argument, value).await
    }

    /// Runs the process: sets up the log, starts everything, serves until SIGTERM, SIGINT or a
    /// call of [`Lifecycle::stop`], and stops in order. A second signal ends it at once; SIGHUP
    /// reloads the configuration. Under systemd it says when it is ready and when it stops, and
    /// takes over the sockets that it is handed (`docs/lifecycle.md`).
    ///
    /// In a `main` with `#[polyport::main]` it does what the command line asks for instead, where
    /// there is one; it never reads the process's arguments itself.
    ///
    /// # Errors
    /// Returns one report of what went wrong at start or stop;
    /// [`Error::exit_code`](crate::Error::exit_code) is meant for the process.
    pub async fn run(mut self) -> Result<()> {
        self.plan.options.owns_process = true;
        self.plan.options.handed_over = systemd::given();
        match command::given(&self.plan.commands())? {
            Command::Serve => self.serve().await,
            Command::Timeline => {
                self.plan.options.timeline = true;
                self.serve().await
            }
            Command::Help => command::print(&command::help(&self.plan.commands())),
            Command::OfFramework(argument, value) => {
                command::print(&lifecycle::asked(self.plan, &argument, value).await?)
            }
            Command::Graph(format) => command::print(&format.show(&self.graph().await?)?),
            Command::Operations(format) => {
                let catalog = self.catalog().await?;
                command::print(&format.show(&catalog)?)
            }
            Command::Route(asked) => {
                let exposures = lifecycle::served(self.plan).await?;
                command::print(&catalog::answer(&exposures, &asked)?)
            }
            Command::Check(before) => {
                let graph = lifecycle::check(self.plan, before).await?;
                command::print(&command::checked(&graph))
            }
            Command::Config(before) => {
                let looked = lifecycle::look(self.plan, before).await?;
                command::show(&looked, Ok(looked.config.dump().to_string()))
            }
            Command::Explain(key) => {
                let looked = lifecycle::look(self.plan, BeforeHooks::Run).await?;
                command::show(&looked, looked.config.explanation(&key).map(|it| it.to_string()))
            }
        }
    }

    async fn serve(self) -> Result<()> {
        let lifecycle = Lifecycle::default();
        lifecycle
            .tell_systemd(std::env::var_os(NOTIFY_SOCKET).and_then(|name| Notifier::new(&name)));
        let plan = self.plan;
        let serving = {
            let lifecycle = lifecycle.clone();
            async move { lifecycle::start(plan, lifecycle).await?.wait().await }
        };
        let ended = signals::stop_on_signal(serving, &lifecycle).await;
        // Whatever hangs may still hold the log.
        logging::write_through();
        ended
    }
}
