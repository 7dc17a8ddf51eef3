use std::sync::Arc;

use serde::Serialize;

use super::Registrations;
use crate::{
    Error, Result,
    config::{Config, Effect, Layer, SettingsSection},
    container::ContainerBuilder,
    hooks::Hooks,
    injectables::provide_settings,
    lifecycle::Kept,
    operation::Exposures,
};

/// Takes what a module brings.
pub struct ModuleBuilder<'a> {
    pub(super) module: Arc<str>,
    pub(super) config: &'a Config,
    pub(super) container: &'a mut ContainerBuilder,
    pub(super) hooks: &'a mut Hooks,
    pub(super) registrations: &'a mut Registrations,
    pub(super) exposures: &'a Exposures,
    pub(super) errors: Vec<Error>,
    /// Nothing of it counts but what is kept for other environments: it is only asked what it
    /// would do.
    pub(super) asked: Option<&'a mut Kept>,
}

impl std::fmt::Debug for ModuleBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleBuilder").field("module", &self.module).finish_non_exhaustive()
    }
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

    pub(crate) fn finish(self) -> Result<()> {
        Error::all("the module's registrations do not fit", self.errors)
    }
}
