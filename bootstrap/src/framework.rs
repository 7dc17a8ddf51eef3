//! What a framework is: a description that is loaded, and the transport that is built from it when
//! the configuration is complete.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde::de::DeserializeOwned;

pub use crate::application::{AppCore, AppHandle, Application, DEFAULT_NAME, FromApps, reachable};
use crate::{
    Config, Health, Result,
    application::title,
    config::Section,
    container::Container,
    module::{Registered, Registrations, RouteSet},
    operation::Exposures,
};

/// The description of a server for one protocol: what [`Bootstrap::load`](crate::Bootstrap::load)
/// takes.
///
/// It is built when the configuration is complete; several of one kind can coexist under
/// different names.
pub trait Framework: Send + 'static {
    /// The handle that application code injects.
    type App: AppHandle;

    /// What is to be left out of the log unless `log.level` says otherwise, as tracing's filters
    /// are written: libraries that log as errors what the framework deals with and reports itself.
    const LOG_DIRECTIVES: &'static str = "";

    /// The framework's name: [`DEFAULT_NAME`] unless given one.
    fn name(&self) -> &str;

    /// Builds the transport from the complete configuration; opens nothing.
    ///
    /// # Errors
    /// Returns every fault of the settings and of what modules registered.
    fn build(self, context: FrameworkContext<'_>) -> Result<Built<Self::App>>;
}

/// A framework that is built and not yet bound.
pub struct Built<A> {
    /// The handle.
    pub app: A,
    /// The server.
    pub transport: Box<dyn Transport>,
}

impl<A: fmt::Debug> fmt::Debug for Built<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Built").field("app", &self.app).finish_non_exhaustive()
    }
}

/// The running half of a framework. Its methods are called in the order in which they stand here,
/// each at most once; after an error at any of them `close` is still called.
#[async_trait]
pub trait Transport: Send + 'static {
    /// The address that it will bind by itself, if any: two frameworks on one are refused before
    /// anything starts. Port 0 is any free port.
    fn endpoint(&self) -> Option<Endpoint> {
        None
    }

    /// Finds the peers that it shares something with; every framework is built by now.
    ///
    /// # Errors
    /// Returns an error where a peer that it needs is not loaded.
    fn link(&mut self) -> Result<()> {
        Ok(())
    }

    /// Binds or connects; no client is accepted and no message taken yet.
    ///
    /// # Errors
    /// Returns an error where the address cannot be bound or the peer not be reached.
    async fn bind(&mut self) -> Result<()>;

    /// Accepts clients and takes messages from now on.
    ///
    /// # Errors
    /// Returns an error where listening or consuming fails.
    async fn serve(&mut self) -> Result<()>;

    /// Takes nothing new any more; what is in flight goes on.
    async fn stop_intake(&mut self);

    /// Ends when everything in flight is answered. May be dropped at its deadline.
    async fn drain(&mut self);

    /// Closes what is left, telling peers so, and ends every task. Never takes longer than a few
    /// seconds.
    ///
    /// # Errors
    /// Returns an error where something had to be cut.
    async fn close(&mut self) -> Result<()>;

    /// How many calls are in flight.
    fn active(&self) -> usize {
        0
    }
}

/// A host and port to bind, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// An IP address or a name.
    pub host: String,
    /// The port; 0 is any free one.
    pub port: u16,
}

impl Endpoint {
    /// Whether both cannot be bound at once.
    #[must_use]
    pub fn collides_with(&self, other: &Self) -> bool {
        self.port != 0
            && self.port == other.port
            && (self.host == other.host || self.is_any() || other.is_any())
    }

    fn is_any(&self) -> bool {
        matches!(self.host.as_str(), "0.0.0.0" | "::" | "[::]")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What a framework is built from.
pub struct FrameworkContext<'a> {
    pub(crate) config: &'a Config,
    pub(crate) container: &'a Container,
    pub(crate) health: &'a Health,
    pub(crate) exposures: &'a Exposures,
    pub(crate) shared: &'a Shared,
    pub(crate) registrations: &'a mut Registrations,
    pub(crate) free_ports: bool,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
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

    /// Whether every port is to be a free one, whatever the settings say (tests).
    #[must_use]
    pub fn free_ports(&self) -> bool {
        self.free_ports
    }

    /// The core of this framework's handle.
    #[must_use]
    pub fn core(&self) -> AppCore {
        AppCore::new(self.kind, self.name.clone(), self.config.clone(), self.container)
    }

    /// This framework's settings: those it was given in code, or its section of the
    /// configuration: `http`, and `http_admin` for one named `admin`. A section that is absent is
    /// all defaults.
    ///
    /// # Errors
    /// Returns every fault that the configuration has there.
    pub fn settings<S>(&self, given: Option<SettingsSource<S>>) -> Result<S>
    where
        S: DeserializeOwned + Default,
    {
        match given {
            Some(SettingsSource::Value(settings)) => Ok(settings),
            Some(SettingsSource::Section(section)) => section.get_or_default(),
            None => self.config.get_or_default(&self.section_key()),
        }
    }

    /// The key of this framework's section of the configuration.
    #[must_use]
    pub fn section_key(&self) -> String {
        match self.name.as_str() {
            DEFAULT_NAME => self.kind.to_owned(),
            name => format!("{}_{name}", self.kind),
        }
    }

    /// Takes what modules registered for this framework, in the order of their dependencies.
    pub fn take<R: RouteSet>(&mut self) -> Vec<Registered<R>> {
        self.registrations.take(&self.name)
    }

    /// A value that all frameworks of this bootstrap share, by type; made at the first call.
    #[must_use]
    pub fn shared<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.shared.get()
    }
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

/// What [`Bootstrap::load`](crate::Bootstrap::load) takes: a framework, or a closure that makes
/// one from the finished configuration.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be loaded",
    note = "load a framework, or a closure `|config: &Config| -> Framework`"
)]
pub trait IntoFramework<Marker>: Send + 'static {
    /// The framework.
    type Framework: Framework;

    /// Makes it.
    fn into_framework(self, config: &Config) -> Self::Framework;

    /// The framework's name, where it is known before the configuration is.
    fn name(&self) -> Option<&str> {
        None
    }
}

/// Marks a framework that is loaded as it is.
#[derive(Debug, Clone, Copy)]
pub struct AsItIs;

/// Marks a framework that is made from the configuration.
#[derive(Debug, Clone, Copy)]
pub struct FromConfig;

impl<F: Framework> IntoFramework<AsItIs> for F {
    type Framework = F;

    fn into_framework(self, _: &Config) -> F {
        self
    }

    fn name(&self) -> Option<&str> {
        Some(Framework::name(self))
    }
}

impl<C, F> IntoFramework<FromConfig> for C
where
    C: FnOnce(&Config) -> F + Send + 'static,
    F: Framework,
{
    type Framework = F;

    fn into_framework(self, config: &Config) -> F {
        self(config)
    }
}

/// The listening address of a framework, for reports.
#[derive(Debug, Clone)]
pub struct BoundAddress {
    /// The framework, as reports name it.
    pub framework: String,
    /// Where it is bound; `None` without a socket of its own.
    pub address: Option<SocketAddr>,
    /// Where peers on this machine reach it, or where it has connected to.
    pub url: Option<String>,
}
