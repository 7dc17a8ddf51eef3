//! What all connections of one framework have in common.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use http::{Extensions, HeaderMap};
use polyport_bootstrap::{
    Container, Context,
    operation::{Call as ContextCall, Endpoint, RawInput, RequestId},
    wire::Envelope,
};
use polyport_listener::SharedListener;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::task::TaskTracker;

use crate::{
    PROTOCOL, Socket, WebSocketApp, WebSocketSettings, calls::Calls, hub::Hub,
    routes::WebSocketRoutes,
};

/// The table of events and what serving them needs. Held by the transport and by connections; the
/// listener has it weakly, since it holds the container.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) app: WebSocketApp,
    pub(crate) settings: WebSocketSettings,
    pub(crate) calls: Arc<Calls>,
    pub(crate) connections: TaskTracker,
    /// Set when the frameworks are linked.
    pub(crate) listener: OnceLock<SharedListener>,
    /// Set when the first of the frameworks on the listener serves.
    table: OnceLock<Table>,
    envelope: Arc<dyn Envelope>,
    container: Container,
}

/// What is called when. Fixed once it serves.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) connect: Vec<Endpoint>,
    pub(crate) disconnect: Vec<Endpoint>,
    events: HashMap<Box<str>, Endpoint>,
}

impl Table {
    pub(crate) fn event(&self, name: &str) -> Option<&Endpoint> {
        self.events.get(name)
    }
}

impl From<WebSocketRoutes> for Table {
    fn from(WebSocketRoutes { events, connect, disconnect }: WebSocketRoutes) -> Self {
        let events = events.into_iter().map(|(event, endpoint)| (event.into_boxed_str(), endpoint));
        Self { connect, disconnect, events: events.collect() }
    }
}

impl Gateway {
    pub(crate) fn new(
        app: WebSocketApp,
        settings: WebSocketSettings,
        container: Container,
    ) -> Self {
        Self {
            app,
            envelope: settings.envelope.envelope(),
            settings,
            calls: Arc::default(),
            connections: TaskTracker::new(),
            listener: OnceLock::new(),
            table: OnceLock::new(),
            container,
        }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        self.app.hub()
    }

    /// The table; nothing can be added to it from the first look on.
    pub(crate) fn table(&self) -> &Table {
        self.table.get_or_init(|| self.app.seal().into())
    }

    pub(crate) fn envelope(&self) -> Arc<dyn Envelope> {
        Arc::clone(&self.envelope)
    }

    /// The context of an event.
    pub(crate) fn context(&self, endpoint: &Endpoint, socket: &Socket, input: RawInput) -> Context {
        let mut extensions = Extensions::new();
        extensions.insert(socket.clone());
        self.context_with(endpoint, HeaderMap::new(), input, extensions)
    }

    pub(crate) fn context_with(
        &self,
        endpoint: &Endpoint,
        metadata: HeaderMap,
        input: RawInput,
        extensions: Extensions,
    ) -> Context {
        let timeout = Some(self.settings.timeout).filter(|timeout| !timeout.is_zero());
        Context::new(ContextCall {
            protocol: PROTOCOL,
            operation: Arc::clone(endpoint.info()),
            container: self.container.clone(),
            request_id: RequestId::new(),
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            metadata,
            input,
            extensions,
        })
    }

    /// How tungstenite is to speak on each connection.
    pub(crate) fn protocol(&self) -> WebSocketConfig {
        let largest = Some(self.settings.max_message_size);
        WebSocketConfig::default()
            .read_buffer_size(self.settings.read_buffer_size)
            .write_buffer_size(self.settings.write_buffer_size)
            .max_message_size(largest)
            .max_frame_size(largest)
    }
}
