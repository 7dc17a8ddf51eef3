//! The handle that application code injects.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use polyport_bootstrap::{
    AppCore, AppHandle, Application, Error, Result, RouteSet, exposures,
    operation::{Endpoint, Exposure, Exposures},
};
#[cfg(feature = "testing")]
use polyport_listener::Door;

use crate::{HttpRoutes, HttpSettings, PROTOCOL, site::Site, table::Table};

/// The HTTP framework's handle: where it listens, and what it serves.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Bootstrap, Fault};
/// use polyport_http::{HttpApp, HttpFramework};
///
/// async fn version() -> Result<String, Fault> {
///     Ok(env!("CARGO_PKG_VERSION").to_owned())
/// }
///
/// let bootstrap = Bootstrap::new().load(HttpFramework::new()).on_ready(async |container| {
///     let http = container.app::<HttpApp>()?;
///     http.routes(|r| r.get("/version", version))
/// });
/// # drop(bootstrap);
/// ```
#[derive(Clone)]
pub struct HttpApp(Arc<Inner>);

struct Inner {
    core: AppCore,
    exposures: Exposures,
    /// Stands before all paths that modules and applications add.
    prefix: String,
    site: Arc<Site>,
    /// None once it serves.
    table: Mutex<Option<Table>>,
    /// How test clients get in.
    #[cfg(feature = "testing")]
    door: Door,
}

impl HttpApp {
    pub(crate) fn new(
        core: AppCore,
        exposures: Exposures,
        settings: &HttpSettings,
        base: &Path,
        #[cfg(feature = "testing")] door: Door,
    ) -> Self {
        let site = Site::new(settings, base);
        Self(Arc::new(Inner {
            core,
            exposures,
            prefix: settings.prefix.clone(),
            site,
            table: Mutex::new(Some(Table::default())),
            #[cfg(feature = "testing")]
            door,
        }))
    }

    /// Adds routes, up to and including the `on_ready` hooks; each is checked at once.
    ///
    /// # Errors
    /// Returns an error for each route that is malformed or taken, or whose operation injects
    /// what nobody provides; and when the process serves already. What fits is added all the
    /// same: let the error end the start.
    pub fn routes(&self, add: impl FnOnce(HttpRoutes) -> HttpRoutes) -> Result<()> {
        let place = format!("routes of {}", self.core().title());
        self.add("the application", add(HttpRoutes::default()))
            .map_err(|error| error.context(place))
    }

    /// Adds routes under the framework's prefix.
    pub(crate) fn add(&self, module: &str, routes: HttpRoutes) -> Result<()> {
        self.add_as_is(module, routes.under(&self.0.prefix))
    }

    /// Adds routes without it.
    pub(crate) fn add_as_is(&self, module: &str, routes: HttpRoutes) -> Result<()> {
        let exposed = self.0.exposures.add(exposures(&routes, module, self.name()));
        let mut errors = Vec::from_iter(exposed.err());
        match self.table().as_mut() {
            Some(table) => errors.extend(table.add(module, routes, &self.0.site)),
            None if errors.is_empty() => errors.push(Error::wiring("the table is sealed")),
            None => {}
        }
        Error::all("routes do not fit", errors)
    }

    /// Lets what nothing is served for pass through the middleware.
    pub(crate) fn add_fallback(&self, module: &str, endpoint: &Endpoint) -> Result<()> {
        self.0.exposures.add(vec![Exposure {
            protocol: PROTOCOL,
            framework: self.name().to_owned(),
            route: "(fallback)".to_owned(),
            module: module.to_owned(),
            endpoint: endpoint.clone(),
        }])
    }

    /// Takes the table away: nothing can be added any more.
    pub(crate) fn seal(&self) -> Table {
        self.table().take().unwrap_or_default()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn door(&self) -> &Door {
        &self.0.door
    }

    fn table(&self) -> MutexGuard<'_, Option<Table>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Application for HttpApp {
    fn core(&self) -> &AppCore {
        &self.0.core
    }

    /// `http://127.0.0.1:7001`, or `https://…` where it speaks TLS.
    fn url(&self) -> Option<String> {
        let scheme = if self.core().is_encrypted() { "https" } else { "http" };
        Some(format!("{scheme}://{}", self.core().reachable_addr()?))
    }
}

impl AppHandle for HttpApp {
    const KIND: &'static str = HttpRoutes::KIND;
}

impl fmt::Debug for HttpApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpApp")
            .field("name", &self.name())
            .field("local_addr", &self.local_addr())
            .finish_non_exhaustive()
    }
}
