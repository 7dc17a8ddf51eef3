//! The framework: from its description to its end.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use polyport_bootstrap::{
    AppHandle, Application, Container, DEFAULT_NAME, Error, Framework, Result, Transport,
    framework::{Built, Endpoint, FrameworkContext, SettingsSource},
};
use polyport_listener::{BindError, BoundListener, ListenerSettings, Server, SharedListener};

use crate::{GrpcApp, GrpcRoutes, GrpcSettings, handler::GrpcHandler, shared::Shared};

/// How long open streams may take to end once they were told to.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

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
    settings: Option<SettingsSource<GrpcSettings>>,
}

impl GrpcFramework {
    /// The framework with the settings of section `grpc`.
    pub fn new() -> Self {
        Self::named(DEFAULT_NAME)
    }

    /// One more framework, with a name of its own and the settings of section `grpc_{name}`.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), settings: None }
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

    fn name(&self) -> &str {
        &self.name
    }

    fn build(self, mut context: FrameworkContext<'_>) -> Result<Built<GrpcApp>> {
        let mut settings = context.settings(self.settings)?;
        if context.free_ports() {
            settings.port = 0;
        }
        let app = GrpcApp::new(context.core(), context.exposures().clone());
        let mut errors = Vec::new();
        for registered in context.take::<GrpcRoutes>() {
            let added = app.add(registered.module, registered.routes);
            let place = || format!("module {}", registered.module);
            errors.extend(added.err().map(|error| error.context(place())));
        }
        Error::all("gRPC routes do not fit", errors)?;
        let transport = GrpcTransport::new(app.clone(), settings, context.container().clone());
        Ok(Built { app, transport: Box::new(transport) })
    }
}

/// The running half.
struct GrpcTransport {
    app: GrpcApp,
    settings: GrpcSettings,
    container: Container,
    listener: SharedListener,
    bound: Option<BoundListener>,
    server: Option<Server>,
}

impl GrpcTransport {
    fn new(app: GrpcApp, settings: GrpcSettings, container: Container) -> Self {
        let listener = SharedListener::new(format!("{} ({})", GrpcApp::KIND, app.name()));
        Self { app, settings, container, listener, bound: None, server: None }
    }

    fn handler(&self) -> GrpcHandler {
        let shared =
            Shared::new(self.settings.clone(), self.container.clone(), self.listener.closing());
        GrpcHandler { table: self.app.seal(), shared: Arc::new(shared) }
    }
}

#[async_trait]
impl Transport for GrpcTransport {
    fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint { host: self.settings.host.clone(), port: self.settings.port })
    }

    async fn bind(&mut self) -> Result<()> {
        let GrpcSettings { host, port, .. } = &self.settings;
        let bound = self.listener.bind(host, *port).await.map_err(|error| unbound(&error))?;
        self.app.core().set_local_addr(bound.local_addr());
        self.bound = Some(bound);
        Ok(())
    }

    async fn serve(&mut self) -> Result<()> {
        let bound = self.bound.take().ok_or_else(|| Error::other("the listener is not bound"))?;
        let listening = bound.listen().map_err(|error| unbound(&error))?;
        let handler = Arc::new(self.handler());
        self.server = Some(self.listener.serve(listening, handler, ListenerSettings::default())?);
        Ok(())
    }

    async fn stop_intake(&mut self) {
        if let Some(server) = &self.server {
            server.stop_intake().await;
        }
    }

    async fn drain(&mut self) {
        if let Some(server) = &self.server {
            server.drain().await;
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.bound = None;
        let Some(server) = self.server.take() else { return Ok(()) };
        match server.close(CLOSE_GRACE).await {
            0 => Ok(()),
            cut => Err(Error::deadline(format!(
                "{cut} connections were cut: their calls had not ended {CLOSE_GRACE:?} after they \
                 were told to",
            ))),
        }
    }

    fn active(&self) -> usize {
        self.server.as_ref().map_or(0, Server::active)
    }
}

fn unbound(error: &BindError) -> Error {
    let report = Error::connection(error.to_string());
    match error.advice() {
        Some(advice) => report.advise(advice),
        None => report,
    }
}
