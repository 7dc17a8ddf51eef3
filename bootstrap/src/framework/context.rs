use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use garde::Validate;
use serde::Deserialize;

use super::{AppCore, Witness};
use crate::{
    Config, HandedOver, Health,
    application::title,
    config::{Section, SettingsSection},
    container::Container,
    module::{Registered, Registrations, RouteSet},
    operation::{Codecs, Exposures, Pipeline},
};

/// What a framework is built from.
pub struct FrameworkContext<'a> {
    pub(crate) config: &'a Config,
    pub(crate) container: &'a Container,
    pub(crate) health: &'a Health,
    pub(crate) exposures: &'a Exposures,
    pub(crate) shared: &'a Shared,
    pub(crate) registrations: &'a mut Registrations,
    pub(crate) free_ports: bool,
    pub(crate) in_memory: bool,
    pub(crate) handed_over: &'a HandedOver,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) section: String,
}

impl fmt::Debug for FrameworkContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameworkContext(")?;
        f.write_str(&title(self.kind, &self.name))?;
        f.write_str(")")
    }
}

impl FrameworkContext<'_> {
    /// The complete configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.config
    }

    /// The container that calls are answered from. A handle must hold it weakly.
    #[must_use]
    pub fn container(&self) -> &Container {
        self.container
    }

    /// The one source of health answers.
    #[must_use]
    pub fn health(&self) -> &Health {
        self.health
    }

    /// The registry of operations, for routes that are added later through the handle.
    #[must_use]
    pub fn exposures(&self) -> &Exposures {
        self.exposures
    }

    /// Adds what the framework was given to stand around its operations.
    pub fn add_pipeline(&self, pipeline: Pipeline) {
        self.exposures.add_framework_pipeline(self.kind, &self.name, pipeline);
    }

    /// The formats in which bodies of calls are understood.
    #[must_use]
    pub fn codecs(&self) -> Arc<Codecs> {
        Arc::clone(self.registrations.codecs())
    }

    /// Whether every port is to be a free one, whatever the settings say (tests).
    #[must_use]
    pub fn free_ports(&self) -> bool {
        self.free_ports
    }

    /// Whether it is to open no socket and connect to none: clients, brokers and all that it talks
    /// to are in this process (tests).
    #[must_use]
    pub fn in_memory(&self) -> bool {
        self.in_memory
    }

    /// Sockets that listen already and that the framework may serve.
    #[must_use]
    pub fn handed_over(&self) -> &HandedOver {
        self.handed_over
    }

    /// Whoever watches over this bootstrap, in a test.
    #[must_use]
    pub fn witness(&self) -> Witness {
        Witness::here()
    }

    /// The core of this framework's handle.
    #[must_use]
    pub fn core(&self) -> AppCore {
        AppCore::new(self.kind, self.name.clone(), self.config.clone(), self.container)
    }

    /// The key of the section of the configuration that its settings come from; where they were
    /// given in code, that of its own section.
    #[must_use]
    pub fn section_key(&self) -> &str {
        &self.section
    }

    /// Takes what modules registered for this framework, in the order of their dependencies.
    pub fn take<R: RouteSet>(&mut self) -> Vec<Registered<R>> {
        self.exposures.find_by(R::PROTOCOL, R::find);
        self.registrations.take(&self.name)
    }

    /// A value that all frameworks of this bootstrap share, by type; made at the first call.
    #[must_use]
    pub fn shared<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.shared.get()
    }
}

/// The settings of a framework that has none: a key in its section is an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Validate)]
#[serde(default)]
pub struct NoSettings {}

impl SettingsSection for NoSettings {
    const KEY: &'static str = "";
}

/// Where a framework's settings come from, when not from its own section.
#[derive(Debug)]
pub enum SettingsSource<S> {
    /// Given in code.
    Value(S),
    /// Another section of the configuration.
    Section(Section),
}

impl<S> From<Section> for SettingsSource<S> {
    fn from(section: Section) -> Self {
        Self::Section(section)
    }
}

/// Values that the frameworks of one bootstrap share, by type.
#[derive(Default)]
pub(crate) struct Shared(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Shared {
    #[allow(clippy::expect_used, reason = "the map is keyed by the value's own type")]
    fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = map.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default()));
        Arc::clone(value).downcast().expect("keyed by its type")
    }
}
