//! The framework: from its description to its end.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use polyport_bootstrap::{
    Application, Container, DEFAULT_NAME, Error, Framework, Result, Transport,
    framework::{Activity, Built, Endpoint, FrameworkContext, SettingsSource},
    operation::{self, Exposure, Pipeline},
};
use polyport_listener::{ListenerHost, ListenerSettings};

use crate::{
    GrpcApp, GrpcRoutes, GrpcSettings, PROTOCOL,
    handler::GrpcHandler,
    health::{self, ServiceHealth},
    shared::Shared,
    unknown,
};

/// How long open streams may take to end once they were told to.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// The module that methods of the framework's own belong to.
const OWN_MODULE: &str = "polyport";

/// Serves operations and tonic's services over gRPC, on a port of its own (7002, unless the
/// section `grpc` of the configuration says otherwise).
///
/// # Examples
/// ```
/// use polyport_bootstrap::Bootstrap;
/// use polyport_grpc::{GrpcFramework, GrpcSettings};
///
/// let bootstrap = Bootstrap::new()
///     .load(GrpcFramework::new())
///     .load(GrpcFramework::named("admin").configure(GrpcSettings { port: 0, ..Default::default() }));
/// # let _ = bootstrap;
/// ```
#[derive(Debug)]
#[must_use = "a framework does nothing until it is loaded"]
pub struct GrpcFramework {
    name: String,
    pipeline: Pipeline,
    settings: Option<SettingsSource<GrpcSettings>>,
}

impl GrpcFramework {
    /// The framework with the settings of section `grpc`.
    pub fn new() -> Self {
        Self::named(DEFAULT_NAME)
    }

    /// One more framework, with a name of its own and the settings of section `grpc_{name}`.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), pipeline: Pipeline::new(), settings: None }
    }

    /// Adds guards and whatever else is to stand around all operations that it serves.
    pub fn pipeline(mut self, add: impl FnOnce(Pipeline) -> Pipeline) -> Self {
        self.pipeline = add(self.pipeline);
        self
    }

    /// Takes the settings from here: a [`GrpcSettings`], or a section of the configuration.
    pub fn configure(mut self, settings: impl Into<SettingsSource<GrpcSettings>>) -> Self {
        self.settings = Some(settings.into());
        self
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
        mut settings: GrpcSettings,
        mut context: FrameworkContext<'_>,
    ) -> Result<Built<GrpcApp>> {
        context.add_pipeline(self.pipeline);
        if context.free_ports() {
            settings.port = 0;
        }
        let health = ServiceHealth::new(context.health().clone());
        let app = GrpcApp::new(context.core(), context.exposures().clone(), health.clone());
        let own = if settings.health { health::routes(&health) } else { GrpcRoutes::default() };
        let fallback = unknown::endpoint();
        let mut errors = Vec::from_iter(app.add(OWN_MODULE, own).err());
        let exposure = Exposure {
            protocol: PROTOCOL,
            framework: self.name.clone(),
            route: "(fallback)".to_owned(),
            module: OWN_MODULE.to_owned(),
            endpoint: fallback.clone(),
        };
        errors.extend(context.exposures().add(vec![exposure]).err());
        for registered in context.take::<GrpcRoutes>() {
            let added = app.add(&registered.module, registered.routes);
            let place = || format!("module {}", registered.module);
            errors.extend(added.err().map(|error| error.context(place())));
        }
        Error::all("gRPC routes do not fit", errors)?;
        let (container, host) = (context.container().clone(), ListenerHost::new(&context));
        let transport = GrpcTransport { app: app.clone(), settings, fallback, container, host };
        Ok(Built { app, transport: Box::new(transport) })
    }
}

/// The running half.
struct GrpcTransport {
    app: GrpcApp,
    settings: GrpcSettings,
    fallback: operation::Endpoint,
    container: Container,
    host: ListenerHost,
}

impl GrpcTransport {
    fn handler(&self) -> GrpcHandler {
        let shared = Shared::new(
            self.settings.clone(),
            self.container.clone(),
            self.host.listener().closing(),
        );
        GrpcHandler {
            table: self.app.seal(),
            fallback: self.fallback.clone(),
            shared: Arc::new(shared),
        }
    }
}

#[async_trait]
impl Transport for GrpcTransport {
    fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint { host: self.settings.host.clone(), port: self.settings.port })
    }

    async fn bind(&mut self) -> Result<()> {
        let GrpcSettings { host, port, .. } = &self.settings;
        self.host.bind(self.app.core(), host, *port).await
    }

    async fn serve(&mut self) -> Result<()> {
        self.host.serve(Arc::new(self.handler()), ListenerSettings::default())
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
