//! What a module gives to the container.

use std::{future::Future, sync::Arc};

use serde::de::DeserializeOwned;

use super::ModuleBuilder;
use crate::{
    Result,
    container::{Factory, Provide, Registration},
    family::ConfigFamily,
};

impl ModuleBuilder<'_> {
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
    /// [`Container::insert`](crate::container::Container::insert). `when` ends the sentence "it comes …" in the report of a start where
    /// it has not come: `"with the answer of the licence server"`.
    pub fn expects<T: ?Sized + Send + Sync + 'static>(
        &mut self,
        when: impl Into<String>,
    ) -> &mut Self {
        self.container.expect::<T>(when);
        self
    }
}
