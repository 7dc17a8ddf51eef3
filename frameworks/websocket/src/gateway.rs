//! What all connections of one framework have in common.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use http::HeaderName;
use polyport_bootstrap::{
    Container,
    operation::{Call, Endpoint, RequestId},
    wire::{Envelope, Frame},
};
use polyport_listener::SharedListener;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::task::TaskTracker;

use crate::{
    PROTOCOL, WebSocketApp, WebSocketSettings,
    calls::Calls,
    hub::Hub,
    payload::Payload,
    routes::{Event, WebSocketRoutes},
};

/// The table of events and what serving them needs. Held by the transport and by connections; the
/// listener has it weakly, since it holds the container.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) app: WebSocketApp,
    pub(crate) settings: WebSocketSettings,
    pub(crate) calls: Arc<Calls>,
    pub(crate) connections: TaskTracker,
    /// Called before a client is let in.
    pub(crate) entry: Endpoint,
    /// Called for events that nobody has.
    pub(crate) fallback: Endpoint,
    /// Called for requests that cannot become a connection.
    pub(crate) refusal: Endpoint,
    pub(crate) keep_headers: Box<[HeaderName]>,
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
    /// For text that is no frame.
    pub(crate) text: Option<Endpoint>,
    pub(crate) binary: Option<Endpoint>,
    /// Whether any event is independent: only then events are looked at before it is their turn.
    pub(crate) has_independent: bool,
    events: HashMap<Box<str>, Event>,
}

impl Table {
    pub(crate) fn event(&self, name: &str) -> Option<&Event> {
        self.events.get(name)
    }

    /// Whether a message waits for no other.
    pub(crate) fn is_independent(&self, message: &Payload) -> bool {
        let Payload::Text(text) = message else { return false };
        if !self.has_independent {
            return false;
        }
        let frame = Frame::parse(text).ok();
        let event = frame.and_then(|frame| self.event(&frame.event));
        event.is_some_and(|event| event.independent)
    }
}

impl From<WebSocketRoutes> for Table {
    fn from(routes: WebSocketRoutes) -> Self {
        let WebSocketRoutes { events, mut text, mut binary, connect, disconnect } = routes;
        Self {
            connect,
            disconnect,
            text: text.pop(),
            binary: binary.pop(),
            has_independent: events.iter().any(|event| event.independent),
            events: events.into_iter().map(|event| (event.name.as_str().into(), event)).collect(),
        }
    }
}

impl Gateway {
    pub(crate) fn new(
        app: WebSocketApp,
        settings: WebSocketSettings,
        [entry, fallback, refusal]: [Endpoint; 3],
        container: Container,
    ) -> Self {
        let name = |name: &String| HeaderName::from_bytes(name.as_bytes()).ok();
        Self {
            app,
            entry,
            fallback,
            refusal,
            keep_headers: settings.keep_headers.iter().filter_map(name).collect(),
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

    pub(crate) fn is_fallback(&self, endpoint: &Endpoint) -> bool {
        Arc::ptr_eq(endpoint.info(), self.fallback.info())
    }

    /// A call that may take as long as the settings say.
    pub(crate) fn call(&self, endpoint: &Endpoint, id: RequestId) -> Call {
        let timeout = Some(self.settings.timeout).filter(|timeout| !timeout.is_zero());
        let (operation, container) = (Arc::clone(endpoint.info()), self.container.clone());
        let mut call = Call::known_as(id, PROTOCOL, operation, container);
        call.deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        call
    }

    /// How tungstenite is to speak on each connection.
    pub(crate) fn protocol(&self) -> WebSocketConfig {
        let largest = Some(self.settings.max_message_size);
        WebSocketConfig::default()
            .read_buffer_size(self.settings.read_buffer_size)
            .write_buffer_size(self.settings.write_buffer_size)
            .max_message_size(largest)
            .max_frame_size(Some(self.settings.max_frame_size))
    }
}
