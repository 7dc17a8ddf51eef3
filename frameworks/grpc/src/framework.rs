//! The framework: from its description to its end.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use polyport_bootstrap::{
    Application, Container, DEFAULT_NAME, Error, Framework, Result, Transport,
    framework::{Activity, Built, Endpoint, FrameworkContext, SettingsSource},
    operation::{self, Exposure, Pipeline},
};
use polyport_listener::BoxError;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::{
    GrpcApp, GrpcRoutes, GrpcSettings, PROTOCOL,
    handler::{Calls, GrpcHandler},
    health::{self, ServiceHealth},
    layers::{self, GrpcLayered, Layers, Wrap},
    place::Place,
    reflection::Reflection,
    shared::Shared,
    unknown,
    web::Web,
};

/// How long open streams may take to end once they were told to.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// The module that methods of the framework's own belong to.
const OWN_MODULE: &str = "polyport";

/// Serves operations and tonic's services over gRPC, on a port of its own (7002, unless the
/// section `grpc` of the configuration says otherwise) or on the listener of an HTTP framework
/// (`grpc.listener = "default"`), whichever of the two is loaded first.
///
/// # Examples
/// ```
/// use polyport_bootstrap::Bootstrap;
/// use polyport_grpc::{GrpcFramework, GrpcSettings};
///
/// let bootstrap = Bootstrap::new()
///     .load(GrpcFramework::new())
///     .load(GrpcFramework::named("admin").configure(GrpcSettings { port: Some(0), ..Default::default() }));
/// # let _ = bootstrap;
/// ```
#[must_use = "a framework does nothing until it is loaded"]
pub struct GrpcFramework {
    name: String,
    pipeline: Pipeline,
    layers: Vec<Wrap>,
    settings: Option<SettingsSource<GrpcSettings>>,
}

impl GrpcFramework {
    /// The framework with the settings of section `grpc`.
    pub fn new() -> Self {
        Self::named(DEFAULT_NAME)
    }

    /// One more framework, with a name of its own and the settings of section `grpc_{name}`.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), pipeline: Pipeline::new(), layers: Vec::new(), settings: None }
    }

    /// Adds guards and whatever else is to stand around all operations that it serves.
    pub fn pipeline(mut self, add: impl FnOnce(Pipeline) -> Pipeline) -> Self {
        self.pipeline = add(self.pipeline);
        self
    }

    /// Adds a tower layer around everything that it serves: operations, services and calls of what
    /// is not there. The one that is added last stands outermost. tonic's interceptors are layers,
    /// too: `layer(tonic::service::InterceptorLayer::new(…))`.
    ///
    /// What is not about gRPC itself should rather be a middleware, which is the same on all
    /// protocols: [`pipeline`](Self::pipeline).
    ///
    /// # Examples
    /// ```
    /// use http::Request;
    /// use polyport_grpc::GrpcFramework;
    /// use tonic::body::Body;
    /// use tower::util::MapRequestLayer;
    ///
    /// let grpc = GrpcFramework::new().layer(MapRequestLayer::new(|mut request: Request<Body>| {
    ///     request.headers_mut().remove("x-internal");
    ///     request
    /// }));
    /// # let _ = grpc;
    /// ```
    pub fn layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<GrpcLayered> + Send + 'static,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
        <L::Service as Service<Request<Body>>>::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.layers.push(layers::wrap(layer));
        self
    }

    /// Takes the settings from here: a [`GrpcSettings`], or a section of the configuration.
    pub fn configure(mut self, settings: impl Into<SettingsSource<GrpcSettings>>) -> Self {
        self.settings = Some(settings.into());
        self
    }
}

impl fmt::Debug for GrpcFramework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcFramework").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Default for GrpcFramework {
    fn default() -> Self {
        Self::new()
    }
}

impl Framework for GrpcFramework {
    type App = GrpcApp;
    type Settings = GrpcSettings;

    fn name(&self) -> &str {
        &self.name
    }

    fn settings_source(&mut self) -> Option<SettingsSource<GrpcSettings>> {
        self.settings.take()
    }

    fn build(
        self,
        settings: GrpcSettings,
        mut context: FrameworkContext<'_>,
    ) -> Result<Built<GrpcApp>> {
        context.add_pipeline(self.pipeline);
        let health = ServiceHealth::new(context.health().clone());
        let app = GrpcApp::new(context.core(), context.exposures().clone(), health.clone());
        let own = if settings.health { health::routes(&health) } else { GrpcRoutes::default() };
        let reflection = Reflection::default();
        let fallback = unknown::endpoint();
        let mut errors = Vec::from_iter(app.add(OWN_MODULE, own).err());
        errors.extend(app.add(OWN_MODULE, reflection.routes(&settings)).err());
        let exposure = Exposure {
            protocol: PROTOCOL,
            framework: self.name.clone(),
            route: "(fallback)".to_owned(),
            module: OWN_MODULE.to_owned(),
            endpoint: fallback.clone(),
        };
        errors.extend(context.exposures().add(vec![exposure]).err());
        let mut taken = context.take::<GrpcRoutes>();
        for registered in &mut taken {
            let place = || format!("module {}", registered.module);
            let described = app.describe(&mut registered.routes);
            errors.extend(described.err().map(|error| error.context(place())));
        }
        for registered in taken {
            let added = app.add(&registered.module, registered.routes);
            let place = || format!("module {}", registered.module);
            errors.extend(added.err().map(|error| error.context(place())));
        }
        Error::all("gRPC routes do not fit", errors)?;
        let (container, place) = (context.container().clone(), Place::new(&context, &settings)?);
        let transport = GrpcTransport {
            app: app.clone(),
            settings,
            reflection,
            fallback,
            layers: self.layers,
            container,
            place,
        };
        Ok(Built { app, transport: Box::new(transport) })
    }
}

/// The running half.
struct GrpcTransport {
    app: GrpcApp,
    settings: GrpcSettings,
    reflection: Reflection,
    fallback: operation::Endpoint,
    layers: Vec<Wrap>,
    container: Container,
    place: Place,
}

impl GrpcTransport {
    fn handler(&mut self) -> Result<GrpcHandler> {
        let shared =
            Shared::new(self.settings.clone(), self.container.clone(), self.place.closing());
        let table = self.app.seal();
        if self.settings.reflection {
            self.reflection.fill(&table)?;
        }
        let calls =
            Arc::new(Calls { table, fallback: self.fallback.clone(), shared: Arc::new(shared) });
        let layers = Layers::around(&calls, std::mem::take(&mut self.layers));
        Ok(GrpcHandler { calls, layers, web: Web::new(&self.settings).map(Arc::new) })
    }
}

#[async_trait]
impl Transport for GrpcTransport {
    fn endpoints(&self) -> Vec<Endpoint> {
        self.place.endpoints()
    }

    fn link(&mut self) -> Result<()> {
        self.place.link(self.app.core())?;
        #[cfg(feature = "testing")]
        if let Some(listener) = self.place.listener() {
            self.app.set_door(listener.door());
        }
        Ok(())
    }

    async fn bind(&mut self) -> Result<()> {
        self.place.bind(self.app.core()).await
    }

    async fn serve(&mut self) -> Result<()> {
        let handler = Arc::new(self.handler()?);
        self.place.serve(self.app.core(), handler)
    }

    async fn failed(&mut self) -> Error {
        self.place.failed().await
    }

    async fn stop_intake(&mut self) {
        self.place.stop_intake().await;
    }

    async fn drain(&mut self) {
        self.place.drain().await;
    }

    async fn close(&mut self) -> Result<()> {
        self.place.close(CLOSE_GRACE).await
    }

    fn activity(&self) -> Option<Arc<dyn Activity>> {
        self.place.activity()
    }
}
