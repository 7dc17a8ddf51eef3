//! The framework: from its description to its stop.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use polyport_bootstrap::{
    Application, DEFAULT_NAME, Error, Framework, Result, RouteSet, Transport,
    container::Container,
    framework::{Activity, Built, Endpoint, FrameworkContext, SettingsSource},
    operation::{self, Codecs, Pipeline},
};
use polyport_listener::{BoxError, ListenerHost, ListenerRegistry};
use tower::{Layer, Service};

use crate::{
    HttpApp, HttpRoutes, HttpService, HttpSettings,
    core::{self, Core},
    dispatch::Dispatch,
    health,
    layers::{self, Layers, Wrap},
    outermost::Outermost,
    shell::Shell,
};

/// How long streams and upgraded sockets have to end by themselves at the close.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// The module that routes of the framework's own belong to.
const OWN_MODULE: &str = "polyport";

/// Serves operations over HTTP/1.1 and HTTP/2 (by prior knowledge) on one port. Others may join
/// its listener: it is in the [`ListenerRegistry`] under kind `http` and the framework's name.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Bootstrap, Config};
/// use polyport_http::{HttpFramework, HttpSettings};
///
/// let admin = HttpSettings { port: 7009, ..HttpSettings::default() };
/// let bootstrap = Bootstrap::new()
///     .load(HttpFramework::new())
///     .load(HttpFramework::named("admin").configure(admin))
///     .load(|config: &Config| HttpFramework::named("public").configure(config.section("web")));
/// # drop(bootstrap);
/// ```
pub struct HttpFramework {
    name: String,
    pipeline: Pipeline,
    layers: Vec<Wrap>,
    settings: Option<SettingsSource<HttpSettings>>,
}

impl HttpFramework {
    /// The HTTP framework that needs no name; reads the section `http`.
    #[must_use]
    pub fn new() -> Self {
        Self::named(DEFAULT_NAME)
    }

    /// A further one; `admin` reads the section `http_admin`.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), pipeline: Pipeline::new(), layers: Vec::new(), settings: None }
    }

    /// Adds guards and whatever else is to stand around all operations that it serves.
    #[must_use]
    pub fn pipeline(mut self, add: impl FnOnce(Pipeline) -> Pipeline) -> Self {
        self.pipeline = add(self.pipeline);
        self
    }

    /// Adds a tower layer around everything that it serves: operations, mounted routers, 404 and
    /// 405. The one that is added last stands outermost. Request id, the answer to a panic and the
    /// envelope of a layer's own failure stand around all of them; time and body limit within.
    ///
    /// What is not about HTTP itself should rather be a middleware, which is the same on all
    /// protocols: [`pipeline`](Self::pipeline).
    ///
    /// # Examples
    /// ```
    /// use axum::{body::Body, http::Request};
    /// use polyport_http::HttpFramework;
    /// use tower::util::MapRequestLayer;
    ///
    /// let http = HttpFramework::new().layer(MapRequestLayer::new(|mut request: Request<Body>| {
    ///     request.headers_mut().remove("x-forwarded-for");
    ///     request
    /// }));
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<HttpService> + Send + 'static,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
        <L::Service as Service<Request<Body>>>::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.layers.push(layers::wrap(layer));
        self
    }

    /// Takes its settings from code or from another section of the configuration.
    #[must_use]
    pub fn configure(mut self, settings: impl Into<SettingsSource<HttpSettings>>) -> Self {
        self.settings = Some(settings.into());
        self
    }
}

impl fmt::Debug for HttpFramework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFramework")
            .field("name", &self.name)
            .field("pipeline", &self.pipeline)
            .field("layers", &self.layers.len())
            .field("settings", &self.settings)
            .finish()
    }
}

impl Default for HttpFramework {
    fn default() -> Self {
        Self::new()
    }
}

impl Framework for HttpFramework {
    type App = HttpApp;
    type Settings = HttpSettings;

    fn name(&self) -> &str {
        &self.name
    }

    fn settings_source(&mut self) -> Option<SettingsSource<HttpSettings>> {
        self.settings.take()
    }

    fn build(
        self,
        settings: HttpSettings,
        mut context: FrameworkContext<'_>,
    ) -> Result<Built<HttpApp>> {
        context.add_pipeline(self.pipeline);
        let host = ListenerHost::new(&context, &settings.host, settings.port, settings.listener())?;
        let app = HttpApp::new(
            context.core(),
            context.exposures().clone(),
            &settings,
            context.config().root(),
            #[cfg(feature = "testing")]
            host.listener().door().clone(),
        );
        let fallback = core::fallback();
        add_routes(&app, &settings, &fallback, &mut context)?;
        let registry = context.shared::<ListenerRegistry>();
        registry.offer(HttpRoutes::KIND, &self.name, host.listener().clone());
        let transport = HttpTransport {
            app: app.clone(),
            container: context.container().clone(),
            codecs: context.codecs(),
            settings,
            fallback,
            layers: self.layers,
            host,
        };
        Ok(Built { app, transport: Box::new(transport) })
    }
}

fn add_routes(
    app: &HttpApp,
    settings: &HttpSettings,
    fallback: &operation::Endpoint,
    context: &mut FrameworkContext<'_>,
) -> Result<()> {
    let health = app.add_as_is(OWN_MODULE, health::routes(&settings.health));
    let mut errors = Vec::from_iter(health.err());
    errors.extend(app.add_fallback(OWN_MODULE, fallback).err());
    for registered in context.take::<HttpRoutes>() {
        errors.extend(app.add(&registered.module, registered.routes).err());
    }
    Error::all("routes do not fit", errors)
}

struct HttpTransport {
    app: HttpApp,
    container: Container,
    codecs: Arc<Codecs>,
    settings: HttpSettings,
    fallback: operation::Endpoint,
    layers: Vec<Wrap>,
    host: ListenerHost,
}

impl HttpTransport {
    fn shell(&mut self) -> Shell {
        let closing = self.host.listener().closing();
        let (container, fallback) = (self.container.clone(), self.fallback.clone());
        let core =
            Core::new(container, &self.settings, Arc::clone(&self.codecs), fallback, closing)
                .saying(self.settings.security_headers.headers());
        let dispatch = Arc::new(Dispatch { core: Arc::new(core), table: self.app.seal() });
        let layers = Layers::around(&dispatch, std::mem::take(&mut self.layers));
        Shell { dispatch, layers, outermost: Outermost::new(&self.settings) }
    }
}

#[async_trait]
impl Transport for HttpTransport {
    fn endpoints(&self) -> Vec<Endpoint> {
        self.host.endpoints()
    }

    async fn bind(&mut self) -> Result<()> {
        self.host.bind(self.app.core()).await
    }

    async fn serve(&mut self) -> Result<()> {
        let shell = self.shell();
        shell.dispatch.table.check_joined(&self.host.listener().joined_paths())?;
        self.host.serve(Arc::new(shell))
    }

    async fn failed(&mut self) -> Error {
        self.host.failed().await
    }

    async fn stop_intake(&mut self) {
        self.host.stop_intake().await;
    }

    async fn drain(&mut self) {
        self.host.drain().await;
    }

    async fn close(&mut self) -> Result<()> {
        self.host.close(CLOSE_GRACE).await
    }

    fn activity(&self) -> Option<Arc<dyn Activity>> {
        Some(self.host.activity())
    }
}
