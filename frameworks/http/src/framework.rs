//! The framework: from its description to its stop.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use polyport_bootstrap::{
    Application, DEFAULT_NAME, Error, Framework, Result, RouteSet, Transport,
    container::Container,
    framework::{Activity, Built, Endpoint, FrameworkContext, SettingsSource},
    operation::{Codecs, Pipeline},
};
use polyport_listener::{ListenerHost, ListenerRegistry, ListenerSettings};

use crate::{HttpApp, HttpRoutes, HttpSettings, health, shell::Shell};

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
#[derive(Debug)]
pub struct HttpFramework {
    name: String,
    pipeline: Pipeline,
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
        Self { name: name.into(), pipeline: Pipeline::new(), settings: None }
    }

    /// Adds guards and whatever else is to stand around all operations that it serves.
    #[must_use]
    pub fn pipeline(mut self, add: impl FnOnce(Pipeline) -> Pipeline) -> Self {
        self.pipeline = add(self.pipeline);
        self
    }

    /// Takes its settings from code or from another section of the configuration.
    #[must_use]
    pub fn configure(mut self, settings: impl Into<SettingsSource<HttpSettings>>) -> Self {
        self.settings = Some(settings.into());
        self
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
        mut settings: HttpSettings,
        mut context: FrameworkContext<'_>,
    ) -> Result<Built<HttpApp>> {
        context.add_pipeline(self.pipeline);
        if context.free_ports() {
            settings.port = 0;
        }
        let app = HttpApp::new(context.core(), context.exposures().clone());
        add_routes(&app, &settings, &mut context)?;
        let host = ListenerHost::new(&context);
        let registry = context.shared::<ListenerRegistry>();
        registry.offer(HttpRoutes::KIND, &self.name, host.listener().clone());
        let transport = HttpTransport {
            app: app.clone(),
            container: context.container().clone(),
            codecs: context.codecs(),
            settings,
            host,
        };
        Ok(Built { app, transport: Box::new(transport) })
    }
}

fn add_routes(
    app: &HttpApp,
    settings: &HttpSettings,
    context: &mut FrameworkContext<'_>,
) -> Result<()> {
    let mut errors = Vec::from_iter(app.add(OWN_MODULE, health::routes(&settings.health)).err());
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
    host: ListenerHost,
}

impl HttpTransport {
    fn shell(&self) -> Shell {
        Shell {
            table: self.app.seal(),
            container: self.container.clone(),
            envelope: self.settings.envelope.envelope(),
            timeout: (!self.settings.timeout.is_zero()).then_some(self.settings.timeout),
            body_limit: self.settings.body_limit,
            codecs: Arc::clone(&self.codecs),
        }
    }
}

#[async_trait]
impl Transport for HttpTransport {
    fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint { host: self.settings.host.clone(), port: self.settings.port })
    }

    async fn bind(&mut self) -> Result<()> {
        let HttpSettings { host, port, .. } = &self.settings;
        self.host.bind(self.app.core(), host, *port).await
    }

    async fn serve(&mut self) -> Result<()> {
        let settings = ListenerSettings {
            header_read_timeout: self.settings.header_read_timeout,
            ..ListenerSettings::default()
        };
        self.host.serve(Arc::new(self.shell()), settings)
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
