//! The framework and its transport.

use std::{future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use polyport_bootstrap::{
    Application, DEFAULT_NAME, Error, Framework, Result, Transport,
    framework::{Activity, Built, Endpoint, FanOuts, FrameworkContext, SettingsSource, at_home},
    operation::{self, Exposure, Pipeline},
};
use polyport_listener::{ListenerHost, ListenerRegistry, Mount, SharedListener};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    PROTOCOL, WebSocketApp, WebSocketRoutes, WebSocketSettings, adapter, cluster,
    farewell::STOP_GRACE,
    gateway::Gateway,
    refusal,
    upgrade::{self, Entrance},
};

/// The module that the entrance belongs to.
const OWN_MODULE: &str = "polyport";
/// How much longer than its connections may take to end the framework waits for them.
const MARGIN: Duration = Duration::from_millis(300);

/// Serves operations over WebSocket. Reads the section `websocket` of the configuration, or
/// `websocket_{name}` where it has a name.
///
/// # Examples
/// ```
/// use polyport_bootstrap::Bootstrap;
/// use polyport_websocket::{WebSocketFramework, WebSocketSettings};
///
/// let settings = WebSocketSettings { port: Some(7003), ..WebSocketSettings::default() };
/// let bootstrap = Bootstrap::new().load(WebSocketFramework::new().configure(settings));
/// # let _ = bootstrap;
/// ```
#[derive(Debug)]
pub struct WebSocketFramework {
    name: String,
    pipeline: Pipeline,
    settings: Option<SettingsSource<WebSocketSettings>>,
}

impl Default for WebSocketFramework {
    fn default() -> Self {
        Self::new()
    }
}

impl WebSocketFramework {
    /// The framework named `default`.
    #[must_use]
    pub fn new() -> Self {
        Self::named(DEFAULT_NAME)
    }

    /// A further one, with a name of its own.
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

    /// Takes its settings from here instead of its own section: a value, or another section.
    #[must_use]
    pub fn configure(mut self, settings: impl Into<SettingsSource<WebSocketSettings>>) -> Self {
        self.settings = Some(settings.into());
        self
    }
}

impl Framework for WebSocketFramework {
    type App = WebSocketApp;
    type Settings = WebSocketSettings;

    fn name(&self) -> &str {
        &self.name
    }

    fn settings_source(&mut self) -> Option<SettingsSource<WebSocketSettings>> {
        self.settings.take()
    }

    fn build(
        self,
        settings: WebSocketSettings,
        mut context: FrameworkContext<'_>,
    ) -> Result<Built<WebSocketApp>> {
        context.add_pipeline(self.pipeline);
        let exposures = context.exposures().clone();
        let endpoints = [upgrade::entry(), adapter::fallback(), refusal::endpoint()];
        exposures.add(own_exposures(&self.name, &endpoints))?;
        let app = WebSocketApp::new(context.core(), exposures, &settings);
        let registered = context.take::<WebSocketRoutes>().into_iter();
        let added = registered.map(|registered| app.add(&registered.module, registered.routes));
        Error::all("events do not fit", added.filter_map(Result::err).collect())?;
        let own = |port| ListenerHost::new(&context, &settings.host, port, settings.listener());
        let port = settings.port.filter(|_| settings.joined().is_none());
        let host = port.map(own).transpose()?;
        let gateway = Gateway::new(app.clone(), settings, endpoints, context.container().clone());
        let application = context.config().name();
        let transport = WebSocketTransport {
            app: app.clone(),
            gateway: Arc::new(gateway),
            registry: context.shared(),
            fan_outs: context.shared(),
            section: context.section_key().to_owned(),
            application,
            host,
            watcher: None,
        };
        Ok(Built { app, transport: Box::new(transport) })
    }
}

/// What the framework answers by itself, behind what stands around all operations.
fn own_exposures(
    framework: &str,
    [entry, fallback, refusal]: &[operation::Endpoint; 3],
) -> Vec<Exposure> {
    let exposure = |route: &str, endpoint: &operation::Endpoint| Exposure {
        protocol: PROTOCOL,
        framework: framework.to_owned(),
        route: route.to_owned(),
        module: OWN_MODULE.to_owned(),
        endpoint: endpoint.clone(),
    };
    vec![
        exposure("(connect)", entry),
        exposure("(fallback)", fallback),
        exposure("(refusal)", refusal),
    ]
}

struct WebSocketTransport {
    app: WebSocketApp,
    gateway: Arc<Gateway>,
    registry: Arc<ListenerRegistry>,
    fan_outs: Arc<FanOuts>,
    section: String,
    /// What the application is called.
    application: String,
    /// Where it has a port of its own.
    host: Option<ListenerHost>,
    watcher: Option<AbortOnDropHandle<()>>,
}

impl WebSocketTransport {
    fn settings(&self) -> &WebSocketSettings {
        &self.gateway.settings
    }

    fn entrance(&self) -> Arc<Entrance> {
        Arc::new(Entrance(Arc::downgrade(&self.gateway)))
    }

    /// Takes the requests at its path from an HTTP framework's listener.
    fn join(&self) -> Result<SharedListener> {
        let settings = self.settings();
        let mount = Mount::at(self.app.core().title(), &settings.path, self.entrance());
        self.registry.join(settings.joined().unwrap_or(DEFAULT_NAME), &self.section, mount)
    }

    fn listener(&self) -> Option<&SharedListener> {
        self.gateway.listener.get()
    }

    /// How long connections may take to end when the process stops.
    fn grace(&self) -> Duration {
        self.settings().close_jitter + STOP_GRACE + MARGIN
    }

    /// On a joined listener, whose owner closes it.
    async fn wait_for_connections(&self) -> Result<()> {
        let connections = &self.gateway.connections;
        connections.close();
        match tokio::time::timeout(self.grace(), connections.wait()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::deadline(format!(
                "{} connections are cut in the middle of a call",
                connections.len()
            ))),
        }
    }
}

#[async_trait]
impl Transport for WebSocketTransport {
    fn endpoints(&self) -> Vec<Endpoint> {
        self.host.as_ref().map(ListenerHost::endpoints).unwrap_or_default()
    }

    fn link(&mut self) -> Result<()> {
        let listener = match &self.host {
            Some(host) => host.listener().clone(),
            None => self.join()?,
        };
        self.app.set_door(listener.door());
        let _ = self.gateway.listener.set(listener);
        let (hub, settings) = (self.gateway.hub(), self.settings());
        cluster::join(hub, settings, &self.fan_outs, &self.section, &self.application)
    }

    async fn bind(&mut self) -> Result<()> {
        if let Some(host) = &mut self.host {
            host.bind(self.app.core()).await?;
        }
        Ok(())
    }

    async fn serve(&mut self) -> Result<()> {
        self.gateway.table();
        let entrance = self.entrance();
        if let Some(host) = &mut self.host {
            host.serve(entrance)?;
        }
        if let Some(listener) = self.listener().cloned() {
            let hub = Arc::clone(self.gateway.hub());
            self.watcher = Some(AbortOnDropHandle::new(tokio::spawn(at_home(async move {
                listener.closing().cancelled().await;
                hub.go_away();
            }))));
        }
        Ok(())
    }

    async fn failed(&mut self) -> Error {
        match &self.host {
            Some(host) => host.failed().await,
            None => pending().await,
        }
    }

    async fn stop_intake(&mut self) {
        self.gateway.calls.stop();
        if let Some(host) = &self.host {
            host.stop_intake().await;
        }
    }

    async fn drain(&mut self) {
        self.gateway.calls.finished().await;
        if let Some(host) = &self.host {
            host.drain().await;
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.gateway.calls.stop();
        self.gateway.hub().go_away();
        let grace = self.grace();
        match &mut self.host {
            Some(host) => host.close(grace).await,
            None => self.wait_for_connections().await,
        }
    }

    fn activity(&self) -> Option<Arc<dyn Activity>> {
        Some(Arc::clone(&self.gateway.calls) as Arc<dyn Activity>)
    }
}
