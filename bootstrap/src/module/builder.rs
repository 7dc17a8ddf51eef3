use std::{future::Future, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{Controller, Registrations, RouteSet};
use crate::{
    Error, HealthCheck, Hook, Result,
    config::{Config, Effect, Layer, SettingsSection},
    container::{Container, ContainerBuilder, Factory, Provide, Registration},
    family::ConfigFamily,
    hooks::{self, HookPoint, Hooks, Owner},
    injectables::provide_settings,
    lifecycle::Kept,
    operation::{Codec, Context, Exposures, Fault, Pipeline},
};

/// Takes what a module brings.
pub struct ModuleBuilder<'a> {
    module: Arc<str>,
    config: &'a Config,
    container: &'a mut ContainerBuilder,
    hooks: &'a mut Hooks,
    registrations: &'a mut Registrations,
    exposures: &'a Exposures,
    errors: Vec<Error>,
    /// Nothing of it counts but what is kept for other environments: it is only asked what it
    /// would do.
    asked: Option<&'a mut Kept>,
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
                let owner = Owner::Module(Arc::clone(&self.module));
                self.hooks.add(HookPoint::$point, owner, hooks::boxed(hook));
                self
            }
        )*
    };
}

impl<'a> ModuleBuilder<'a> {
    pub(crate) fn new(
        module: &str,
        config: &'a Config,
        container: &'a mut ContainerBuilder,
        hooks: &'a mut Hooks,
        registrations: &'a mut Registrations,
        exposures: &'a Exposures,
    ) -> Self {
        let module: Arc<str> = module.into();
        container.set_module(Arc::clone(&module));
        Self {
            module,
            config,
            container,
            hooks,
            registrations,
            exposures,
            errors: Vec::new(),
            asked: None,
        }
    }

    /// The configuration as far as it is known now: files, environment variables and the defaults
    /// of the modules before this one.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.config
    }

    /// Values that hold unless a file, a before-hook or an environment variable says otherwise.
    pub fn default_config(&mut self, values: impl Serialize) -> &mut Self {
        self.add_defaults(Layer::ModuleDefaults, values)
    }

    /// As [`default_config`](Self::default_config), in this environment only; stands above
    /// `config.default` and below `config.{environment}`.
    pub fn default_config_for(&mut self, environment: &str, values: impl Serialize) -> &mut Self {
        if self.config.environment().as_str() == environment {
            self.add_defaults(Layer::ModuleEnvironmentDefaults, values);
        }
        self
    }

    fn add_defaults(&mut self, layer: Layer, values: impl Serialize) -> &mut Self {
        if self.asked.is_none() {
            let added = self.config.add_defaults(layer, &self.module, values);
            self.errors.extend(added.err());
        }
        self
    }

    /// Declares the section of the configuration that `T` names: it has to be what `T` says, which
    /// is checked before anything is built of it, an unknown key in it is an error, and everybody
    /// can inject it as a [`Settings<T>`](crate::config::Settings). A section has one type; several
    /// modules may declare the same one.
    ///
    /// # Examples
    /// ```
    /// use garde::Validate;
    /// use polyport_bootstrap::{Bootstrap, Settings, module, operation::Fault};
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, Validate, Settings)]
    /// #[serde(default)]
    /// #[settings("users")]
    /// # #[settings(crate = polyport_bootstrap)]
    /// struct UserSettings {
    ///     #[garde(range(min = 1, max = 100))]
    ///     page_size: u32,
    /// }
    ///
    /// impl Default for UserSettings {
    ///     fn default() -> Self {
    ///         Self { page_size: 20 }
    ///     }
    /// }
    ///
    /// async fn page_size(settings: Settings<UserSettings>) -> Result<u32, Fault> {
    ///     Ok(settings.get().page_size)
    /// }
    ///
    /// let users = module("users", |m| {
    ///     m.settings::<UserSettings>();
    ///     Ok(())
    /// });
    /// # drop((page_size, Bootstrap::new().module(users)));
    /// ```
    pub fn settings<T: SettingsSection>(&mut self) -> &mut Self {
        let known = self.config.declares::<T>(T::KEY);
        let owner = format!("module {}", self.module);
        match self.config.declare::<T>(owner, T::KEY, Effect::Live) {
            Ok(_) if known && self.asked.is_none() => {}
            Ok(declared) => provide_settings(self.container, declared),
            Err(error) => self.errors.push(error),
        }
        self
    }

    /// Registers what only these environments have. Where somebody misses it elsewhere, the report
    /// says which they are.
    ///
    /// # Examples
    /// ```
    /// # extern crate polyport_bootstrap as polyport;
    /// use polyport::{Provide, module};
    ///
    /// trait UserRepo: Send + Sync {}
    ///
    /// #[derive(Provide)]
    /// struct SqlUserRepo;
    ///
    /// impl UserRepo for SqlUserRepo {}
    ///
    /// let user = module("user", |m| {
    ///     m.only_for(&["prod", "staging"], |m| {
    ///         m.bind::<dyn UserRepo, SqlUserRepo>(|repo| repo);
    ///     });
    ///     Ok(())
    /// });
    /// ```
    pub fn only_for(
        &mut self,
        environments: &[&str],
        register: impl FnOnce(&mut Self),
    ) -> &mut Self {
        if environments.contains(&self.config.environment().as_str()) {
            register(self);
        } else if self.asked.is_some() && !environments.is_empty() {
            let earlier = self.container.registered();
            register(self);
            self.keep(earlier, environments);
        }
        self
    }

    /// Notes that all registrations but the first `earlier` are kept for these environments.
    fn keep(&mut self, earlier: usize, environments: &[&str]) {
        let quoted: Vec<_> = environments.iter().map(|name| format!("{name:?}")).collect();
        let environments = quoted.join(" or ");
        let kept = self.container.offers_since(earlier);
        let kept = kept.map(|(key, verb)| (key, verb, environments.clone()));
        if let Some(asked) = &mut self.asked {
            asked.extend(kept);
        }
    }

    /// Lets nothing count from now on but what is kept for other environments, which is added to
    /// `kept`.
    pub(crate) fn ask(&mut self, kept: &'a mut Kept) {
        self.asked = Some(kept);
    }

    /// The container's own builder, for whatever has no method of its own here. What is registered
    /// with it belongs to this module.
    pub fn providers(&mut self) -> &mut ContainerBuilder {
        self.container
    }

    /// Keeps what is provided in `register` to this module: its own providers and operations can
    /// take it, and those of other modules that do are an error at start; a hook that is not of this
    /// module is refused it. A key is still one for the whole process: two
    /// modules cannot each have a private value of one type and name.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use polyport_bootstrap::module;
    ///
    /// struct Pool;
    ///
    /// let store = module("store", |m| {
    ///     m.private(|m| {
    ///         m.provide_value(Arc::new(Pool));
    ///     });
    ///     Ok(())
    /// });
    /// ```
    pub fn private(&mut self, register: impl FnOnce(&mut Self)) -> &mut Self {
        let earlier = self.container.registered();
        register(self);
        self.container.make_private_since(earlier);
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

    /// Provides a `T` for each entry of `{section}.clients` in the configuration, under its name:
    /// `#[inject(name = "db1")] db: Arc<Pool>` is the one of `{section}.clients.db1`, over which
    /// `{section}.default` is laid where the entry itself says nothing. They are known when the
    /// configuration is complete, and are all built at start. The shape is that of Egg's
    /// `app.addSingleton`.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use polyport_bootstrap::{Bootstrap, module};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { host: String, port: u16 }
    ///
    /// struct Pool(String);
    ///
    /// let bootstrap = Bootstrap::new().module(module("database", |m| {
    ///     m.family("mysql", async |settings: Settings, _name: String| {
    ///         Ok(Pool(format!("{}:{}", settings.host, settings.port)))
    ///     })
    ///     .on_dispose(async |pool: Arc<Pool>| { drop(pool); Ok(()) });
    ///     Ok(())
    /// }));
    /// ```
    pub fn family<T, S, F, Fut>(
        &mut self,
        section: impl Into<String>,
        build: F,
    ) -> Registration<'_, T>
    where
        T: Send + Sync + 'static,
        S: DeserializeOwned + 'static,
        F: Fn(S, String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        type Of<T, S, F> = ConfigFamily<T, S, F>;
        let members = ConfigFamily::new(self.config.clone(), section.into(), build);
        self.container.provide_family(members, Of::<T, S, F>::dependencies())
    }

    /// Promises a `T` that is fetched at run time: a before-hook puts it in with
    /// [`Container::insert`]. `when` ends the sentence "it comes …" in the report of a start where
    /// it has not come: `"with the answer of the licence server"`.
    pub fn expects<T: ?Sized + Send + Sync + 'static>(
        &mut self,
        when: impl Into<String>,
    ) -> &mut Self {
        self.container.expect::<T>(when);
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

    /// Adds a hook that declares what it takes by its arguments, as operations do: that is checked
    /// at start, built before and shown by the graph. Each argument is injectable: `Inject<T>`,
    /// `Arc<T>`, `Option<Arc<T>>`, `App<A>`, `Config` …
    ///
    /// # Examples
    /// ```
    /// # extern crate polyport_bootstrap as polyport;
    /// use std::sync::Arc;
    /// use polyport::{HookPoint, Provide, module, operation::Inject};
    ///
    /// #[derive(Provide)]
    /// struct UserService;
    ///
    /// let users = module("users", |m| {
    ///     m.provide::<UserService>()
    ///         .hook(HookPoint::OnReady, async |Inject(users): Inject<UserService>| {
    ///             drop(users);
    ///             Ok(())
    ///         });
    ///     Ok(())
    /// });
    /// ```
    pub fn hook<M>(&mut self, point: HookPoint, hook: impl Hook<M>) -> &mut Self {
        self.hooks.add_declared(point, Owner::Module(Arc::clone(&self.module)), hook);
        self
    }

    /// Asks a component of the module again and again how it is, from when all singletons are
    /// built until the drain of a stop is over; every health answer counts it in.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Container, HealthCheck, module};
    ///
    /// struct Pool;
    ///
    /// let database = module("database", |m| {
    ///     m.health(HealthCheck::new("database", async |container: Container| {
    ///         container.get::<Pool>().await.map(drop)
    ///     }));
    ///     Ok(())
    /// });
    /// ```
    pub fn health(&mut self, check: HealthCheck) -> &mut Self {
        self.hooks.add_check(check);
        self
    }

    /// Adds guards and whatever else is to stand around this module's operations, on every
    /// framework.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{module, operation::{Context, Fault}};
    ///
    /// let admin = module("admin", |m| {
    ///     m.pipeline(|p| {
    ///         p.guard(|context: &Context| match context.metadata.contains_key("x-admin") {
    ///             true => Ok(()),
    ///             false => Err(Fault::permission_denied("ADMINS_ONLY", "this is for admins")),
    ///         })
    ///     });
    ///     Ok(())
    /// });
    /// ```
    pub fn pipeline(&mut self, add: impl FnOnce(Pipeline) -> Pipeline) -> &mut Self {
        if self.asked.is_none() {
            self.exposures.add_module_pipeline(&self.module, add(Pipeline::new()));
        }
        self
    }

    /// Provides a controller and registers its methods with the frameworks.
    pub fn controller<C: Controller>(&mut self) -> &mut Self {
        self.provide::<C>();
        C::register(self);
        self
    }

    /// Extends every context by a value of this type, computed when somebody first asks for it
    /// ([`Context::value`]), at most once for each call. What a guard has left in the call under
    /// this type stands before it.
    ///
    /// The computation must not block; a value that has to be waited for is one that the container
    /// provides for each call: `m.provide_with(…).request()`.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Context, module, operation::Fault};
    ///
    /// struct Tenant(String);
    ///
    /// let tenants = module("tenants", |m| {
    ///     m.extend_context(|context: &Context| {
    ///         let name = context.metadata.get("x-tenant")?.to_str().ok()?;
    ///         Some(Tenant(name.to_owned()))
    ///     });
    ///     m.pipeline(|p| {
    ///         p.guard(|context: &Context| match context.value::<Tenant>() {
    ///             Some(Tenant(name)) if name != "blocked" => Ok(()),
    ///             _ => Err(Fault::permission_denied("NO_TENANT", "the tenant may not do this")),
    ///         })
    ///     });
    ///     Ok(())
    /// });
    /// ```
    pub fn extend_context<T: Send + Sync + 'static>(
        &mut self,
        compute: impl Fn(&Context) -> Option<T> + Send + Sync + 'static,
    ) -> &mut Self {
        if self.asked.is_none() {
            let added = self.exposures.extend_context(&self.module, compute);
            self.errors.extend(added.err());
        }
        self
    }

    /// Registers something for the framework of this kind and name; the extension methods of
    /// framework crates (`http`, `grpc` …) are made of it.
    pub fn register<R: RouteSet>(
        &mut self,
        framework: &str,
        routes: impl FnOnce(R) -> R,
    ) -> &mut Self {
        let module = Arc::clone(&self.module);
        self.registrations.add(module, framework, routes(R::default()));
        self
    }

    /// Adds a way of writing the bodies of calls, for all frameworks that read them by content type.
    pub fn codec(&mut self, codec: impl Codec) -> &mut Self {
        let added = self.registrations.codecs_mut().add(codec);
        self.errors.extend(added.err());
        self
    }

    /// Says how bodies of a content type become `T`, for operations that take it as their input:
    /// formats whose messages only their types understand, as protobuf. The body is the input as a
    /// whole: parameters and query are not read into it. It is validated as any other.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Fault, module};
    ///
    /// #[derive(garde::Validate)]
    /// struct Level(#[garde(range(max = 100))] u8);
    ///
    /// let levels = module("levels", |m| {
    ///     m.typed_codec("application/x-level", |body| match body {
    ///         [level] => Ok(Level(*level)),
    ///         _ => Err(Fault::invalid_argument("INVALID_INPUT", "a level is one byte")),
    ///     });
    ///     Ok(())
    /// });
    /// # drop(levels);
    /// ```
    pub fn typed_codec<T: 'static>(
        &mut self,
        content_type: &str,
        decode: impl Fn(&[u8]) -> Result<T, Fault> + Send + Sync + 'static,
    ) -> &mut Self {
        let added = self.registrations.codecs_mut().add_typed(content_type, decode);
        self.errors.extend(added.err());
        self
    }

    pub(crate) fn finish(self) -> Result<()> {
        Error::all("the module's registrations do not fit", self.errors)
    }
}
