//! The handle of a gRPC framework.

#[cfg(feature = "testing")]
use std::sync::OnceLock;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use polyport_bootstrap::{
    AppCore, AppHandle, Application, Error, Result, exposures, operation::Exposures,
};
#[cfg(feature = "testing")]
use polyport_listener::Door;

use crate::{GrpcRoutes, PROTOCOL, health::ServiceHealth, table::Table};

/// What application code injects to reach the gRPC framework.
#[derive(Clone)]
pub struct GrpcApp(Arc<Inner>);

struct Inner {
    core: AppCore,
    exposures: Exposures,
    health: ServiceHealth,
    /// None once it is served.
    table: Mutex<Option<Table>>,
    /// How test clients get in, once the frameworks have found each other.
    #[cfg(feature = "testing")]
    door: OnceLock<Door>,
}

impl GrpcApp {
    pub(crate) fn new(core: AppCore, exposures: Exposures, health: ServiceHealth) -> Self {
        let table = Mutex::new(Some(Table::default()));
        Self(Arc::new(Inner {
            core,
            exposures,
            health,
            table,
            #[cfg(feature = "testing")]
            door: OnceLock::new(),
        }))
    }

    /// Adds methods and services, up to the end of the `on_ready` hooks.
    ///
    /// # Errors
    /// Returns an error for each path that is malformed or taken, for each operation that cannot
    /// be served or injects what nobody provides, and once the process serves.
    ///
    /// # Examples
    /// ```no_run
    /// use polyport_bootstrap::{Container, Result, operation::Ctx};
    /// use polyport_grpc::{GrpcApp, GrpcOperations};
    ///
    /// async fn ping(_: Ctx) -> Result<(), polyport_bootstrap::Fault> {
    ///     Ok(())
    /// }
    ///
    /// async fn on_ready(container: Container) -> Result<()> {
    ///     let grpc = container.app::<GrpcApp>()?;
    ///     grpc.routes(|s| s.unary::<(), ()>("ops.v1.Ops/Ping", ping))
    /// }
    /// ```
    pub fn routes(&self, routes: impl FnOnce(GrpcRoutes) -> GrpcRoutes) -> Result<()> {
        self.add("added through GrpcApp", routes(GrpcRoutes::default()))
    }

    /// Says whether peers are to call a service, by its full name, as far as `grpc.health.v1`
    /// tells them; it is served in any case. Every service is to be called unless this says
    /// otherwise, and none while the process itself is not ready. A name that is not served here
    /// gets known by this.
    pub fn set_serving(&self, service: &str, serving: bool) {
        self.0.health.set(service, serving);
    }

    /// Learns the descriptors among the routes, so that all are known before any route is added.
    pub(crate) fn describe(&self, routes: &mut GrpcRoutes) -> Result<()> {
        let mut table = self.table();
        let table = table.as_mut().ok_or_else(too_late)?;
        table.describe(std::mem::take(&mut routes.descriptors))
    }

    pub(crate) fn add(&self, module: &str, mut routes: GrpcRoutes) -> Result<()> {
        self.describe(&mut routes)?;
        let mut table = self.table();
        let table = table.as_mut().ok_or_else(too_late)?;
        let mut errors = table.check(&routes);
        let added = self.0.exposures.add(exposures(&routes, module, self.name()));
        errors.extend(added.err());
        Error::all("gRPC routes do not fit", errors)?;
        self.0.health.add(routes.service_names());
        table.add(routes);
        Ok(())
    }

    /// Takes what will be served; nothing can be added any more.
    pub(crate) fn seal(&self) -> Table {
        self.table().take().unwrap_or_default()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn door(&self) -> Option<&Door> {
        self.0.door.get()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn set_door(&self, door: &Door) {
        let _ = self.0.door.set(door.clone());
    }

    fn table(&self) -> MutexGuard<'_, Option<Table>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_late() -> Error {
    Error::wiring("gRPC routes cannot be added once the process serves")
        .advise("add them in a module, or in an on_ready hook")
}

impl fmt::Debug for GrpcApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcApp")
            .field("name", &self.name())
            .field("local_addr", &self.local_addr())
            .finish_non_exhaustive()
    }
}

impl Application for GrpcApp {
    fn core(&self) -> &AppCore {
        &self.0.core
    }

    /// `http://127.0.0.1:7002`, or `https://…` where it speaks TLS, as clients of gRPC take it.
    fn url(&self) -> Option<String> {
        let scheme = if self.core().is_encrypted() { "https" } else { "http" };
        Some(format!("{scheme}://{}", self.core().reachable_addr()?))
    }
}

impl AppHandle for GrpcApp {
    const KIND: &'static str = PROTOCOL.as_str();
}
