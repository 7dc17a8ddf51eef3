//! Modules: mini applications that can be added to any.

use std::{
    any::{Any, TypeId},
    future::Future,
    sync::Arc,
};

use serde::Serialize;

use crate::{
    Error, Result,
    application::title,
    config::{Config, Layer},
    container::{Container, ContainerBuilder, Factory, Provide, Registration},
    hooks::{self, HookPoint, Hooks},
    operation::{Exposure, OperationInfo, Protocol},
};

/// A mini application that can be added to any: providers, operations, hooks and default
/// configuration. What Nest calls a module, Egg a plugin and Midway a component.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Module, ModuleBuilder, Result};
///
/// struct Greeter;
///
/// struct GreeterModule;
///
/// impl Module for GreeterModule {
///     fn name(&self) -> &'static str {
///         "greeter"
///     }
///
///     fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
///         m.provide_value(std::sync::Arc::new(Greeter))
///             .on_ready(async |container| {
///                 container.get::<Greeter>().await?;
///                 Ok(())
///             });
///         Ok(())
///     }
/// }
/// ```
pub trait Module: Send + Sync + 'static {
    /// The module's name; two different modules of one name are an error.
    fn name(&self) -> &'static str;

    /// The names of the modules that must be configured before this one.
    fn depends_on(&self) -> &'static [&'static str] {
        &[]
    }

    /// Registers what the module brings.
    ///
    /// # Errors
    /// Returns whatever the module itself finds wrong.
    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()>;
}

/// Makes a module of a function, where a type of its own would say no more.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Bootstrap, module};
///
/// let bootstrap = Bootstrap::new().module(module("numbers", |m| {
///     m.provide_value(std::sync::Arc::new(7_u32));
///     Ok(())
/// }));
/// ```
pub fn module<F>(name: &'static str, configure: F) -> impl Module
where
    F: Fn(&mut ModuleBuilder<'_>) -> Result<()> + Send + Sync + 'static,
{
    FnModule { name, configure }
}

struct FnModule<F> {
    name: &'static str,
    configure: F,
}

impl<F> Module for FnModule<F>
where
    F: Fn(&mut ModuleBuilder<'_>) -> Result<()> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        (self.configure)(m)
    }
}

/// Takes what a module brings.
pub struct ModuleBuilder<'a> {
    module: &'static str,
    config: &'a Config,
    container: &'a mut ContainerBuilder,
    hooks: &'a mut Hooks,
    registrations: &'a mut Registrations,
    errors: Vec<Error>,
}

impl std::fmt::Debug for ModuleBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleBuilder").field("module", &self.module).finish_non_exhaustive()
    }
}

macro_rules! hook_methods {
    ($($(#[$doc:meta])* $name:ident => $point:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name<F, Fut>(&mut self, hook: F) -> &mut Self
            where
                F: FnOnce(Container) -> Fut + Send + 'static,
                Fut: Future<Output = Result<()>> + Send + 'static,
            {
                let owner = format!("module {}", self.module);
                self.hooks.add(HookPoint::$point, owner, hooks::boxed(hook));
                self
            }
        )*
    };
}

impl<'a> ModuleBuilder<'a> {
    pub(crate) fn new(
        module: &'static str,
        config: &'a Config,
        container: &'a mut ContainerBuilder,
        hooks: &'a mut Hooks,
        registrations: &'a mut Registrations,
    ) -> Self {
        container.set_module(module);
        Self { module, config, container, hooks, registrations, errors: Vec::new() }
    }

    /// The configuration as far as it is known now: files, environment variables and the defaults
    /// of the modules before this one.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.config
    }

    /// Values that hold unless a file, a before-hook or an environment variable says otherwise.
    pub fn default_config(&mut self, values: impl Serialize) -> &mut Self {
        let added = self.config.add_defaults(Layer::ModuleDefaults, self.module, values);
        self.errors.extend(added.err());
        self
    }

    /// As [`default_config`](Self::default_config), in this environment only; stands above
    /// `config.default` and below `config.{environment}`.
    pub fn default_config_for(&mut self, environment: &str, values: impl Serialize) -> &mut Self {
        if self.config.environment().as_str() == environment {
            let layer = Layer::ModuleEnvironmentDefaults;
            let added = self.config.add_defaults(layer, self.module, values);
            self.errors.extend(added.err());
        }
        self
    }

    /// Provides a type that says itself what it needs (`#[derive(Provide)]`).
    pub fn provide<T: Provide>(&mut self) -> &mut Self {
        self.container.provide::<T>();
        self
    }

    /// Provides a value, as its own type or as a trait object.
    pub fn provide_value<T: ?Sized + Send + Sync + 'static>(&mut self, value: Arc<T>) -> &mut Self {
        self.container.provide_value(value);
        self
    }

    /// Provides what an async function returns; its arguments are what it needs. The answer can
    /// be made eager, named, or disposed of.
    pub fn provide_with<M, F: Factory<M>>(&mut self, factory: F) -> Registration<'_, F::Output> {
        self.container.provide_with(factory)
    }

    /// Provides `T` and lets it stand for the trait object `D` too:
    /// `m.bind::<dyn UserRepo, SqlUserRepo>(|repo| repo)`.
    pub fn bind<D, T>(&mut self, cast: fn(Arc<T>) -> Arc<D>) -> &mut Self
    where
        D: ?Sized + Send + Sync + 'static,
        T: Provide,
    {
        self.container.bind::<D, T>(cast);
        self
    }

    /// Lets a `T` that is provided otherwise stand for `D`.
    pub fn alias<D, T>(&mut self, cast: fn(Arc<T>) -> Arc<D>) -> &mut Self
    where
        D: ?Sized + Send + Sync + 'static,
        T: ?Sized + Send + Sync + 'static,
    {
        self.container.alias::<D, T>(cast);
        self
    }

    hook_methods! {
        /// Runs when the configuration is complete and no framework is built yet.
        config_did_load => ConfigDidLoad;
        /// Runs when the whole graph is checked.
        did_load => DidLoad;
        /// Runs when what the application reaches is built and nothing is bound yet.
        will_ready => WillReady;
        /// Runs once for the whole process, when everything is bound and nothing is served yet.
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

    /// Registers something for the framework of this kind and name; the extension methods of
    /// framework crates (`http`, `grpc` …) are made of it.
    pub fn register<R: RouteSet>(
        &mut self,
        framework: &str,
        routes: impl FnOnce(R) -> R,
    ) -> &mut Self {
        let module = self.module;
        self.registrations.add(module, framework, routes(R::default()));
        self
    }

    pub(crate) fn finish(self) -> Result<()> {
        Error::all("the module's registrations do not fit", self.errors)
            .map_err(|error| error.context(format!("module {}", self.module)))
    }
}

/// What modules register for one kind of framework.
pub trait RouteSet: Default + Send + 'static {
    /// The kind of framework that it is for.
    const KIND: &'static str;
    /// The protocol on which its operations are served.
    const PROTOCOL: Protocol;

    /// Every operation in it, with its route as reports name it.
    fn routes(&self) -> Vec<(String, Arc<OperationInfo>)>;
}

/// What one module registered.
#[derive(Debug)]
pub struct Registered<R> {
    /// The module.
    pub module: &'static str,
    /// What it registered.
    pub routes: R,
}

impl<R: RouteSet> Registered<R> {
    /// The entries for the registry of operations, as served by the framework of this name.
    #[must_use]
    pub fn exposures(&self, framework: &str) -> Vec<Exposure> {
        exposures(&self.routes, self.module, framework)
    }
}

/// The entries for the registry of operations of a set of routes.
pub fn exposures<R: RouteSet>(routes: &R, module: &str, framework: &str) -> Vec<Exposure> {
    routes
        .routes()
        .into_iter()
        .map(|(route, operation)| Exposure {
            protocol: R::PROTOCOL,
            framework: framework.to_owned(),
            route,
            module: module.to_owned(),
            operation,
        })
        .collect()
}

/// Everything that modules registered for frameworks.
#[derive(Default)]
pub(crate) struct Registrations(Vec<Entry>);

struct Entry {
    module: &'static str,
    kind: &'static str,
    framework: String,
    type_id: TypeId,
    routes: Box<dyn Any + Send>,
}

impl Registrations {
    fn add<R: RouteSet>(&mut self, module: &'static str, framework: &str, routes: R) {
        self.0.push(Entry {
            module,
            kind: R::KIND,
            framework: framework.to_owned(),
            type_id: TypeId::of::<R>(),
            routes: Box::new(routes),
        });
    }

    pub(crate) fn take<R: RouteSet>(&mut self, framework: &str) -> Vec<Registered<R>> {
        let wanted =
            |entry: &mut Entry| entry.type_id == TypeId::of::<R>() && entry.framework == framework;
        self.0
            .extract_if(.., wanted)
            .filter_map(|entry| {
                let routes = entry.routes.downcast::<R>().ok()?;
                Some(Registered { module: entry.module, routes: *routes })
            })
            .collect()
    }

    /// Says what nobody took: its framework is not loaded.
    pub(crate) fn warn_of_rest(&self) {
        for entry in &self.0 {
            let framework = title(entry.kind, &entry.framework);
            tracing::warn!(
                module = entry.module,
                framework,
                "the module registers operations for a framework that is not loaded; they are not served"
            );
        }
    }
}
