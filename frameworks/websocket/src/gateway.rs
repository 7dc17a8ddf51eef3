//! What all connections of one framework have in common.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use http::{Extensions, HeaderMap};
use polyport_bootstrap::{
    Container, Context,
    operation::{Call as ContextCall, JsonEndpoint, OperationInfo, RequestId},
    wire::Envelope,
};
use polyport_listener::SharedListener;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::task::TaskTracker;

use crate::{
    PROTOCOL, Socket, WebSocketSettings,
    calls::Calls,
    hub::Hub,
    routes::{Hook, WebSocketRoutes},
};

/// The table of events and what serving them needs. Held by the transport and by connections; the
/// listener has it weakly, since it holds the container.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) settings: WebSocketSettings,
    pub(crate) hub: Arc<Hub>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) connections: TaskTracker,
    pub(crate) connect: Vec<Hook>,
    pub(crate) disconnect: Vec<Hook>,
    /// Set when the frameworks are linked.
    pub(crate) listener: OnceLock<SharedListener>,
    events: HashMap<Box<str>, JsonEndpoint>,
    envelope: Arc<dyn Envelope>,
    container: Container,
}

impl Gateway {
    pub(crate) fn new(
        settings: WebSocketSettings,
        hub: Arc<Hub>,
        container: Container,
        routes: impl IntoIterator<Item = WebSocketRoutes>,
    ) -> Self {
        let mut gateway = Self {
            envelope: settings.envelope.envelope(),
            settings,
            hub,
            calls: Arc::default(),
            connections: TaskTracker::new(),
            connect: Vec::new(),
            disconnect: Vec::new(),
            listener: OnceLock::new(),
            events: HashMap::new(),
            container,
        };
        routes.into_iter().for_each(|routes| gateway.add(routes));
        gateway
    }

    fn add(&mut self, routes: WebSocketRoutes) {
        let events = routes.events.into_iter();
        self.events.extend(events.map(|(event, endpoint)| (event.into_boxed_str(), endpoint)));
        self.connect.extend(routes.connect);
        self.disconnect.extend(routes.disconnect);
    }

    pub(crate) fn event(&self, name: &str) -> Option<&JsonEndpoint> {
        self.events.get(name)
    }

    pub(crate) fn envelope(&self) -> Arc<dyn Envelope> {
        Arc::clone(&self.envelope)
    }

    /// The context of an event.
    pub(crate) fn context(&self, operation: &Arc<OperationInfo>, socket: &Socket) -> Context {
        let mut extensions = Extensions::new();
        extensions.insert(socket.clone());
        self.context_with(operation, HeaderMap::new(), extensions)
    }

    pub(crate) fn context_with(
        &self,
        operation: &Arc<OperationInfo>,
        metadata: HeaderMap,
        extensions: Extensions,
    ) -> Context {
        let timeout = Some(self.settings.timeout).filter(|timeout| !timeout.is_zero());
        Context::new(ContextCall {
            protocol: PROTOCOL,
            operation: Arc::clone(operation),
            container: self.container.clone(),
            request_id: RequestId::new(),
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            metadata,
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
