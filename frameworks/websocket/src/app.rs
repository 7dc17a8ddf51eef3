//! The handle that application code injects.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use polyport_bootstrap::{
    AppCore, AppHandle, Application, Error, Result, framework::reachable, operation::Exposures,
};
use serde::Serialize;

use crate::{SendError, Socket, SocketId, WebSocketRoutes, adapter, hub::Hub};

/// The handle of a WebSocket framework: pushes to rooms, to everybody, to one connection. Nothing
/// here waits for a client; one that reads too slowly is closed (`send_queue` in the settings).
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Fault, operation::App};
/// use polyport_websocket::WebSocketApp;
///
/// /// Served on any protocol; says how many it reached.
/// async fn tick(App(websocket): App<WebSocketApp>) -> Result<usize, Fault> {
///     Ok(websocket.room("clock").emit("tick", &1)?)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct WebSocketApp(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    core: AppCore,
    exposures: Exposures,
    hub: Arc<Hub>,
    path: String,
    address: OnceLock<SocketAddr>,
    /// None once it serves.
    routes: Mutex<Option<WebSocketRoutes>>,
}

impl WebSocketApp {
    pub(crate) fn new(core: AppCore, exposures: Exposures, path: String) -> Self {
        Self(Arc::new(Inner {
            core,
            exposures,
            hub: Arc::new(Hub::new()),
            path,
            address: OnceLock::new(),
            routes: Mutex::new(Some(WebSocketRoutes::default())),
        }))
    }

    /// Adds events, up to and including the `on_ready` hooks; each is checked at once.
    ///
    /// # Errors
    /// Returns an error for each event that is taken, or whose operation injects what nobody
    /// provides; and when the process serves already. What fits is added all the same: let the
    /// error end the start.
    pub fn routes(&self, add: impl FnOnce(WebSocketRoutes) -> WebSocketRoutes) -> Result<()> {
        self.add("the application", add(WebSocketRoutes::default()))
            .map_err(|error| error.context(format!("events of {}", self.core().title())))
    }

    pub(crate) fn add(&self, module: &str, added: WebSocketRoutes) -> Result<()> {
        let mut routes = self.own_routes();
        let Some(known) = routes.as_mut() else {
            return Err(Error::wiring("events cannot be added once the process serves")
                .advise("add them in a module, or in an on_ready hook"));
        };
        let exposures = added.exposures(known, module, self.name());
        known.append(added);
        drop(routes);
        self.0.exposures.add(exposures)
    }

    /// Takes the routes away: nothing can be added any more.
    pub(crate) fn seal(&self) -> WebSocketRoutes {
        self.own_routes().take().unwrap_or_default()
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }

    fn own_routes(&self) -> MutexGuard<'_, Option<WebSocketRoutes>> {
        self.0.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A room, to emit to. It exists as long as somebody is in it; emitting to an empty one
    /// reaches nobody.
    pub fn room<'a>(&'a self, name: &'a str) -> Room<'a> {
        Room { hub: &self.0.hub, name, except: Vec::new() }
    }

    /// Sends `{"event":…,"data":…}` to every connection, and says to how many. It is written as
    /// JSON once.
    ///
    /// # Errors
    /// If `data` cannot be written as JSON.
    pub fn broadcast(
        &self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<usize, SendError> {
        Ok(self.0.hub.push_to_all(&adapter::event_text(event, data)?))
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.hub.connections()
    }

    /// The connection of this id, while it lasts.
    #[must_use]
    pub fn socket(&self, id: SocketId) -> Option<Socket> {
        self.0.hub.socket(id)
    }

    /// The rooms that somebody is in, in alphabetical order.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        self.0.hub.rooms()
    }

    /// Who is in a room.
    #[must_use]
    pub fn members(&self, room: &str) -> Vec<Socket> {
        self.0.hub.members(room)
    }

    /// The address that clients of this machine connect to.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.0.address.get().copied().map(reachable)
    }

    pub(crate) fn set_address(&self, address: SocketAddr) {
        let _ = self.0.address.set(address);
    }
}

impl Application for WebSocketApp {
    fn core(&self) -> &AppCore {
        &self.0.core
    }

    /// `ws://127.0.0.1:7001/ws`. On a joined listener it is known when the process serves, on a
    /// port of its own when that is bound.
    fn url(&self) -> Option<String> {
        self.address().map(|address| format!("ws://{address}{}", self.0.path))
    }
}

impl AppHandle for WebSocketApp {
    const KIND: &'static str = crate::PROTOCOL.as_str();
}

/// The connections in one room, see [`WebSocketApp::room`].
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before `emit`"]
pub struct Room<'a> {
    hub: &'a Hub,
    name: &'a str,
    except: Vec<SocketId>,
}

impl Room<'_> {
    /// Leaves out this connection, usually the sender's own.
    pub fn except(mut self, socket: SocketId) -> Self {
        self.except.push(socket);
        self
    }

    /// Sends `{"event":…,"data":…}` to everybody in the room, and says to how many. It is written
    /// as JSON once.
    ///
    /// # Errors
    /// If `data` cannot be written as JSON.
    pub fn emit(&self, event: &str, data: &(impl Serialize + ?Sized)) -> Result<usize, SendError> {
        let text = adapter::event_text(event, data)?;
        Ok(self.hub.push_to_room(self.name, &text, &self.except))
    }
}
