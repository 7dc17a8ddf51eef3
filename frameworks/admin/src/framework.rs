//! The framework: from its description to its end.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use polyport_bootstrap::{
    Application, Container, DEFAULT_NAME, Error, Framework, Result, Transport,
    framework::{Built, Endpoint, FrameworkContext, SettingsSource},
};
use polyport_listener::{ListenerHost, ListenerSettings};

use crate::{AdminApp, AdminSettings, answers::Sources, handler::AdminHandler};

/// How long connections have to end by themselves at the close.
const CLOSE_GRACE: Duration = Duration::from_millis(500);

/// Tells how the process is, on a port of its own; reads the section `admin`.
#[derive(Debug)]
#[must_use = "a framework does nothing until it is loaded"]
pub struct AdminFramework {
    name: String,
    settings: Option<SettingsSource<AdminSettings>>,
}

impl AdminFramework {
    /// The framework with the settings of section `admin`.
    pub fn new() -> Self {
        Self::named(DEFAULT_NAME)
    }

    /// A further one; `internal` reads the section `admin_internal`.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), settings: None }
    }

    /// Takes its settings from code or from another section of the configuration.
    pub fn configure(mut self, settings: impl Into<SettingsSource<AdminSettings>>) -> Self {
        self.settings = Some(settings.into());
        self
    }
}

impl Default for AdminFramework {
    fn default() -> Self {
        Self::new()
    }
}

impl Framework for AdminFramework {
    type App = AdminApp;
    type Settings = AdminSettings;

    fn name(&self) -> &str {
        &self.name
    }

    fn settings_source(&mut self) -> Option<SettingsSource<AdminSettings>> {
        self.settings.take()
    }

    fn build(
        self,
        settings: AdminSettings,
        context: FrameworkContext<'_>,
    ) -> Result<Built<AdminApp>> {
        settings.check(context.section_key())?;
        let sources = Sources {
            config: context.config().clone(),
            health: context.health().clone(),
            lifecycle: own(context.container())?,
            tasks: own(context.container())?,
        };
        let app = AdminApp::new(context.core());
        let listener = ListenerSettings::default();
        let host = ListenerHost::new(&context, &settings.host, settings.port, listener)?;
        let transport = AdminTransport { app: app.clone(), settings, sources, host };
        Ok(Built { app, transport: Box::new(transport) })
    }
}

/// What the kernel itself provides.
fn own<T: Clone + Send + Sync + 'static>(container: &Container) -> Result<T> {
    let value = container.try_get::<T>().map(|value| T::clone(&value));
    value.ok_or_else(|| Error::wiring("the container is not that of a bootstrap"))
}

struct AdminTransport {
    app: AdminApp,
    settings: AdminSettings,
    sources: Sources,
    host: ListenerHost,
}

#[async_trait]
impl Transport for AdminTransport {
    fn endpoints(&self) -> Vec<Endpoint> {
        self.host.endpoints()
    }

    fn serves_throughout(&self) -> bool {
        true
    }

    async fn bind(&mut self) -> Result<()> {
        self.host.bind(self.app.core()).await
    }

    async fn serve(&mut self) -> Result<()> {
        let (settings, sources) = (self.settings.clone(), self.sources.clone());
        let handler = AdminHandler { settings, sources };
        self.host.serve(Arc::new(handler))
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
}
