//! The framework and its transport.

use std::{
    collections::BTreeSet,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use http::Request;
use hyper::body::Incoming;
use polyport_bootstrap::{
    Application, DEFAULT_NAME, Error, Framework, Result, Transport,
    framework::{Activity, Built, Endpoint, FanOuts, FrameworkContext, SettingsSource},
    operation::{self, Exposure, Pipeline},
};
use polyport_listener::{ListenerHost, ListenerRegistry, ListenerSettings, Mount, SharedListener};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    PROTOCOL, WebSocketApp, WebSocketRoutes, WebSocketSettings, adapter, cluster,
    farewell::STOP_GRACE,
    gateway::Gateway,
    refusal,
    upgrade::{self, Entrance},
};

/// The kind of framework whose listener is joined.
const HOST_KIND: &str = "http";
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
        mut settings: WebSocketSettings,
        mut context: FrameworkContext<'_>,
    ) -> Result<Built<WebSocketApp>> {
        context.add_pipeline(self.pipeline);
        if context.free_ports() {
            settings.port = settings.port.map(|_| 0);
        }
        let exposures = context.exposures().clone();
        let own = [upgrade::entry(), adapter::fallback(), refusal::endpoint()];
        exposures.add(own_exposures(&self.name, &own))?;
        let app = WebSocketApp::new(context.core(), exposures, &settings);
        let registered = context.take::<WebSocketRoutes>().into_iter();
        let added = registered.map(|registered| app.add(&registered.module, registered.routes));
        Error::all("events do not fit", added.filter_map(Result::err).collect())?;
        let host = settings.port.map(|_| ListenerHost::new(&context));
        let gateway = Gateway::new(app.clone(), settings, own, context.container().clone());
        let application = context.config().name();
        let transport = WebSocketTransport {
            app: app.clone(),
            gateway: Arc::new(gateway),
            registry: context.shared(),
            paths: context.shared(),
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

/// The paths that are joined to each listener: two frameworks on one would hide each other.
#[derive(Debug, Default)]
struct JoinedPaths(Mutex<BTreeSet<(String, String)>>);

impl JoinedPaths {
    fn take(&self, settings: &WebSocketSettings) -> Result<()> {
        let place = (settings.listener.clone(), settings.path.clone());
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place) {
            return Ok(());
        }
        let message = format!("another WebSocket framework joins HTTP at {} too", settings.path);
        Err(Error::wiring(message).advise("give one of them another path, or a port of its own"))
    }
}

struct WebSocketTransport {
    app: WebSocketApp,
    gateway: Arc<Gateway>,
    registry: Arc<ListenerRegistry>,
    paths: Arc<JoinedPaths>,
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
        let listener = self.registry.find(HOST_KIND, &self.settings().listener);
        let listener = listener.ok_or_else(|| self.nothing_to_join())?;
        self.paths.take(self.settings())?;
        let path = self.settings().path.clone();
        let claims = move |request: &Request<Incoming>| request.uri().path() == path;
        let mount = Mount::new(self.app.core().title(), claims, self.entrance());
        listener.mount(mount).map_err(|error| Error::wiring(error.to_string()))?;
        Ok(listener)
    }

    fn nothing_to_join(&self) -> Error {
        let wanted = &self.settings().listener;
        let message =
            format!("there is no HTTP framework named {wanted:?} whose listener it could join");
        let section = match self.app.name() {
            DEFAULT_NAME => PROTOCOL.as_str().to_owned(),
            name => format!("{PROTOCOL}_{name}"),
        };
        let others = match self.registry.offered().as_slice() {
            [] => String::new(),
            offered => format!("; {section}.listener can name one of {}", offered.join(", ")),
        };
        Error::wiring(message).advise(format!(
            "load HttpFramework in the bootstrap, or set {section}.port to give it a port of its own{others}"
        ))
    }

    /// What was joined is bound by its owner, at the latest before anybody serves.
    fn learn_address(&self) {
        if let Some(address) = self.listener().and_then(SharedListener::local_addr) {
            self.app.set_address(address);
        }
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
    fn endpoint(&self) -> Option<Endpoint> {
        let port = self.settings().port?;
        Some(Endpoint { host: self.settings().host.clone(), port })
    }

    fn link(&mut self) -> Result<()> {
        let listener = match &self.host {
            Some(host) => host.listener().clone(),
            None => self.join()?,
        };
        let _ = self.gateway.listener.set(listener);
        let (hub, settings) = (self.gateway.hub(), self.settings());
        cluster::join(hub, settings, &self.fan_outs, &self.section, &self.application)
    }

    async fn bind(&mut self) -> Result<()> {
        let WebSocketSettings { host: address, port, .. } = &self.gateway.settings;
        if let (Some(host), Some(port)) = (&mut self.host, port) {
            host.bind(self.app.core(), address, *port).await?;
        }
        self.learn_address();
        Ok(())
    }

    async fn serve(&mut self) -> Result<()> {
        self.learn_address();
        self.gateway.table();
        let entrance = self.entrance();
        if let Some(host) = &mut self.host {
            host.serve(entrance, ListenerSettings::default())?;
        }
        if let Some(listener) = self.listener().cloned() {
            let hub = Arc::clone(self.gateway.hub());
            self.watcher = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                listener.closing().cancelled().await;
                hub.go_away();
            })));
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
