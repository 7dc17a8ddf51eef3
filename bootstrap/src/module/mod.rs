//! Modules: mini applications that can be added to any.

mod builder;
mod controller;
mod providing;
mod registrations;
mod serving;

pub(crate) use self::registrations::Registrations;
pub use self::{
    builder::ModuleBuilder,
    controller::Controller,
    registrations::{Registered, RouteSet, exposures},
};
use crate::{Config, Result, config::LayerValues};

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
///     fn name(&self) -> &str {
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
///
/// One type can be several modules, each an instance with a name and settings of its own:
///
/// ```
/// use polyport_bootstrap::{Module, ModuleBuilder, Result};
///
/// struct Pool(String);
///
/// struct DatabaseModule {
///     name: String,
///     url: String,
/// }
///
/// impl DatabaseModule {
///     fn with(url: &str) -> Self {
///         Self { name: "database".to_owned(), url: url.to_owned() }
///     }
///
///     fn named(mut self, name: &str) -> Self {
///         self.name = name.to_owned();
///         self
///     }
/// }
///
/// impl Module for DatabaseModule {
///     fn name(&self) -> &str {
///         &self.name
///     }
///
///     fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
///         // `#[inject(name = "replica")] pool: Arc<Pool>` takes the replica's.
///         let pool = Pool(self.url.clone());
///         m.providers().provide_value(std::sync::Arc::new(pool)).named(self.name.as_str());
///         Ok(())
///     }
/// }
///
/// let replica = DatabaseModule::with("postgres://replica").named("replica");
/// assert_eq!(replica.name(), "replica");
/// ```
pub trait Module: Send + Sync + 'static {
    /// The module's name. The same type twice under one name is one module, the first; different
    /// types of one name are an error, unless at most one of them is on.
    fn name(&self) -> &str;

    /// The names of the modules that must be there, and are configured before this one.
    fn depends_on(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The names of modules that are configured before this one where they are there; one that is
    /// not is a warning.
    fn optionally_depends_on(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether the module is on; one that is off brings nothing, and what depends on it is an
    /// error. `config` holds files, environment variables and the defaults of presets, not those
    /// of modules; what is read with [`Config::get`] (or `get_or_default`) must not be changed by
    /// a before-hook, and is named by the report as the reason why the module is off.
    fn enabled(&self, config: &Config) -> bool {
        let _ = config;
        true
    }

    /// Sees, and may change, what each source of the configuration sets, before it is merged with
    /// the others: each file, each environment variable, the defaults of each module, what each
    /// before-hook adds. Modules do so in their order of dependency, the bootstrap's own hooks
    /// come last. [`enabled`](Self::enabled) is asked before.
    ///
    /// # Errors
    /// Returns whatever the module finds wrong; the report names the source.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Module, ModuleBuilder, Result, config::LayerValues};
    ///
    /// /// Understands values such as `encrypted:…` in all sources.
    /// struct VaultModule;
    ///
    /// impl Module for VaultModule {
    ///     fn name(&self) -> &str {
    ///         "vault"
    ///     }
    ///
    ///     fn config_will_load(&self, values: &mut LayerValues<'_>) -> Result<()> {
    ///         let decrypt = |text: &str| Ok(text.chars().rev().collect());
    ///         values.map_strings(|_key, text| {
    ///             text.strip_prefix("encrypted:").map(decrypt).transpose()
    ///         })
    ///     }
    ///
    ///     fn configure(&self, _: &mut ModuleBuilder<'_>) -> Result<()> {
    ///         Ok(())
    ///     }
    /// }
    /// ```
    fn config_will_load(&self, values: &mut LayerValues<'_>) -> Result<()> {
        let _ = values;
        Ok(())
    }

    /// Registers what the module brings, and does nothing else: where something is missing, it is
    /// called once more, for a module that is off too, so that the report can say who would have
    /// provided it.
    ///
    /// # Errors
    /// Returns whatever the module itself finds wrong.
    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()>;
}

/// Makes a module of a function, where a type of its own would say no more. Made twice from one
/// piece of code under one name, it is one module, whatever the function captures: give each a
/// name of its own.
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
pub fn module<F>(name: &str, configure: F) -> impl Module + use<F>
where
    F: Fn(&mut ModuleBuilder<'_>) -> Result<()> + Send + Sync + 'static,
{
    FnModule { name: name.to_owned(), configure }
}

struct FnModule<F> {
    name: String,
    configure: F,
}

impl<F> Module for FnModule<F>
where
    F: Fn(&mut ModuleBuilder<'_>) -> Result<()> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        (self.configure)(m)
    }
}
