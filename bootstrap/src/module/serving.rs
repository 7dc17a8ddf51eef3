//! What a module serves, and when its own code is called.

use std::{future::Future, sync::Arc};

use super::{Controller, ModuleBuilder, RouteSet};
use crate::{
    HealthCheck, Hook, Result,
    container::Container,
    hooks::{self, HookPoint, Owner},
    operation::{Codec, Context, Fault, Pipeline},
};

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

impl ModuleBuilder<'_> {
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
}
