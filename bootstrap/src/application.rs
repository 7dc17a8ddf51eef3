//! App handles: what application code injects to reach a framework.

use std::{
    any::Any,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::{Arc, OnceLock},
};

use crate::{
    Config, Environment, Error, Result,
    container::{Container, Dependency, Key, Resolver, WeakContainer},
};

/// The name of a framework that was given none.
pub const DEFAULT_NAME: &str = "default";

/// What every app handle has; `Arc<dyn Application>` is the main framework's.
pub trait Application: Any + Send + Sync + fmt::Debug {
    /// What the handle stands on.
    fn core(&self) -> &AppCore;

    /// The framework's kind: `"http"`, `"grpc"`.
    fn kind(&self) -> &'static str {
        self.core().kind
    }

    /// The framework's name: `"default"`, or the one given by `named`.
    fn name(&self) -> &str {
        &self.core().name
    }

    /// The environment that the process runs in.
    fn environment(&self) -> &Environment {
        self.config().environment()
    }

    /// The configuration.
    fn config(&self) -> &Config {
        &self.core().config
    }

    /// The container, while the process lives.
    fn container(&self) -> Option<Container> {
        self.core().container.upgrade()
    }

    /// The application's base directory.
    fn base_dir(&self) -> &Path {
        self.config().root()
    }

    /// Where the framework is bound; `None` before that, and for a framework without a socket of
    /// its own.
    fn local_addr(&self) -> Option<SocketAddr> {
        self.core().local_addr.get().copied()
    }

    /// Where peers on this machine reach the framework, or where it has connected to, as a URL
    /// without credentials; `None` before that.
    fn url(&self) -> Option<String> {
        None
    }
}

/// What every app handle stands on. Holds the container weakly, since the container holds the
/// handle.
#[derive(Debug)]
pub struct AppCore {
    kind: &'static str,
    name: String,
    config: Config,
    container: WeakContainer,
    local_addr: OnceLock<SocketAddr>,
    encrypted: OnceLock<()>,
}

impl AppCore {
    /// The core of a framework's handle.
    #[must_use]
    pub fn new(
        kind: &'static str,
        name: impl Into<String>,
        config: Config,
        container: &Container,
    ) -> Self {
        Self {
            kind,
            name: name.into(),
            config,
            container: container.downgrade(),
            local_addr: OnceLock::new(),
            encrypted: OnceLock::new(),
        }
    }

    /// Says where the framework is bound; the first word counts.
    pub fn set_local_addr(&self, address: SocketAddr) {
        let _ = self.local_addr.set(address);
    }

    /// Says that peers of the framework have to speak TLS.
    pub fn set_encrypted(&self) {
        let _ = self.encrypted.set(());
    }

    /// Whether peers of the framework have to speak TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted.get().is_some()
    }

    /// An address at which this machine can connect to the framework: the one that it is bound to,
    /// with the loopback address for "all interfaces".
    #[must_use]
    pub fn reachable_addr(&self) -> Option<SocketAddr> {
        self.local_addr.get().copied().map(reachable)
    }

    /// The framework as reports name it: `http`, or `http "admin"`.
    #[must_use]
    pub fn title(&self) -> String {
        title(self.kind, &self.name)
    }
}

/// "All interfaces" is no address that one can connect to.
#[must_use]
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

pub(crate) fn title(kind: &str, name: &str) -> String {
    if name == DEFAULT_NAME { kind.to_owned() } else { format!("{kind} \"{name}\"") }
}

/// A framework's own handle: `HttpApp`, `GrpcApp` …
pub trait AppHandle: Application + Clone {
    /// The kind of the framework that it belongs to.
    const KIND: &'static str;
}

/// What `#[app]` and [`App`](crate::operation::App) can give: a framework's handle by its type,
/// or the main one's as `Arc<dyn Application>`.
pub trait FromApps: Sized + 'static {
    /// What stands in the container for it.
    fn dependency(name: Option<&'static str>) -> Dependency;

    /// Takes it in a constructor.
    ///
    /// # Errors
    /// Returns an error where no such framework is loaded.
    fn resolve(resolver: &Resolver<'_>, name: Option<&str>) -> Result<Self>;

    /// Takes it from the container.
    ///
    /// # Errors
    /// Returns an error where no such framework is loaded, or before the frameworks are built.
    fn from_container(container: &Container, name: Option<&str>) -> Result<Self>;
}

/// The key of an app handle: frameworks named `default` have the plain one.
pub(crate) fn app_key<A: ?Sized + 'static>(name: Option<&str>) -> Key {
    match name {
        None | Some(DEFAULT_NAME) => Key::of::<A>(),
        Some(name) => Key::of::<A>().named(name),
    }
}

impl<A: AppHandle> FromApps for A {
    fn dependency(name: Option<&'static str>) -> Dependency {
        Dependency::required(app_key::<A>(name)).advise(format!(
            "load the {} framework in the bootstrap; app handles exist once the configuration is \
             complete, so what a before-hook uses cannot have one",
            title(A::KIND, name.unwrap_or(DEFAULT_NAME)),
        ))
    }

    fn resolve(resolver: &Resolver<'_>, name: Option<&str>) -> Result<Self> {
        let app = match name {
            None | Some(DEFAULT_NAME) => resolver.get::<A>(),
            Some(name) => resolver.get_named::<A>(name),
        };
        Ok(app?.as_ref().clone())
    }

    fn from_container(container: &Container, name: Option<&str>) -> Result<Self> {
        let app = match name {
            None | Some(DEFAULT_NAME) => container.try_get::<A>(),
            Some(name) => container.try_get_named::<A>(name),
        };
        let app = app.ok_or_else(|| not_loaded(A::KIND, name.unwrap_or(DEFAULT_NAME)))?;
        Ok(app.as_ref().clone())
    }
}

impl FromApps for Arc<dyn Application> {
    fn dependency(_: Option<&'static str>) -> Dependency {
        Dependency::required(Key::of::<dyn Application>())
            .advise("the main framework's handle exists once the configuration is complete")
    }

    fn resolve(resolver: &Resolver<'_>, _: Option<&str>) -> Result<Self> {
        resolver.get::<dyn Application>()
    }

    fn from_container(container: &Container, _: Option<&str>) -> Result<Self> {
        container
            .try_get::<dyn Application>()
            .ok_or_else(|| Error::wiring("the main framework's handle does not exist yet"))
    }
}

fn not_loaded(kind: &str, name: &str) -> Error {
    Error::wiring(format!("there is no {} framework in the container", title(kind, name)))
        .advise("load it in the bootstrap, and ask for its handle only after the before-hooks")
}

impl Container {
    /// A framework's handle: `container.app::<HttpApp>()`.
    ///
    /// # Errors
    /// Returns an error where no such framework is loaded, or before the frameworks are built.
    pub fn app<A: FromApps>(&self) -> Result<A> {
        A::from_container(self, None)
    }

    /// The handle of a framework with a name of its own: `container.app_named::<HttpApp>("admin")`.
    ///
    /// # Errors
    /// Returns an error where no such framework is loaded, or before the frameworks are built.
    pub fn app_named<A: FromApps>(&self, name: &str) -> Result<A> {
        A::from_container(self, Some(name))
    }

    /// The configuration; before-hooks add to it.
    ///
    /// # Panics
    /// Panics in a container that was made by hand and has no configuration; those of a bootstrap
    /// always have one.
    #[must_use]
    #[allow(clippy::expect_used, reason = "every bootstrap puts its configuration in first")]
    pub fn config(&self) -> Config {
        let config = self.try_get::<Config>().expect("a bootstrap's container has a configuration");
        config.as_ref().clone()
    }
}
