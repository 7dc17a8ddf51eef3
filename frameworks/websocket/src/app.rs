//! The handle that application code injects.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

#[cfg(feature = "testing")]
use polyport_bootstrap::wire::EnvelopeStyle;
use polyport_bootstrap::{
    AppCore, AppHandle, Application, Error, Result, framework::reachable, operation::Exposures,
};
use polyport_listener::Door;

use crate::{
    Audience, Socket, SocketId, WebSocketRoutes, WebSocketSettings,
    hub::{Hub, Target},
};

/// The handle of a WebSocket framework: pushes to rooms, to users, to everybody, to one connection.
/// Nothing here waits for a client; what happens to one that reads too slowly, `slow_consumer` in
/// the settings says. With `cluster` in the settings what is emitted reaches the other instances of
/// the application, too; what is asked (who is connected, who is in a room) is always of this one.
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
    /// Of the listener that it is on.
    door: OnceLock<Door>,
    #[cfg(feature = "testing")]
    envelope: EnvelopeStyle,
    /// None once it serves.
    routes: Mutex<Option<WebSocketRoutes>>,
}

impl WebSocketApp {
    pub(crate) fn new(core: AppCore, exposures: Exposures, settings: &WebSocketSettings) -> Self {
        Self(Arc::new(Inner {
            core,
            exposures,
            hub: Arc::new(Hub::new(settings)),
            path: settings.path.clone(),
            door: OnceLock::new(),
            #[cfg(feature = "testing")]
            envelope: settings.envelope,
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
        Error::all("events do not fit", added.reserved(module))?;
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

    /// Everybody, to emit to.
    pub fn everybody(&self) -> Audience<'_> {
        self.audience(Target::All)
    }

    /// A room, to emit to. It exists as long as somebody is in it; emitting to an empty one
    /// reaches nobody.
    pub fn room<'a>(&'a self, name: &'a str) -> Audience<'a> {
        self.audience(Target::Room(name))
    }

    /// All connections of a user ([`Socket::identify`]), to emit to.
    pub fn user<'a>(&'a self, name: &'a str) -> Audience<'a> {
        self.audience(Target::User(name))
    }

    /// One connection, to emit to; of whichever instance it is.
    pub fn to(&self, socket: SocketId) -> Audience<'_> {
        self.audience(Target::Socket(socket))
    }

    fn audience<'a>(&'a self, target: Target<'a>) -> Audience<'a> {
        Audience::new(&self.0.hub, target)
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.hub.connections()
    }

    /// How many messages were dropped since the start, for clients that were too slow for them;
    /// `slow_consumer` in the settings.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.hub.dropped()
    }

    /// All connections of this process.
    #[must_use]
    pub fn sockets(&self) -> Vec<Socket> {
        self.0.hub.sockets()
    }

    /// The connection of this id, while it lasts; none of another instance's.
    #[must_use]
    pub fn socket(&self, id: SocketId) -> Option<Socket> {
        self.0.hub.socket(id)
    }

    /// The rooms that somebody is in, in alphabetical order.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        self.0.hub.rooms.names()
    }

    /// Who is in a room.
    #[must_use]
    pub fn members(&self, room: &str) -> Vec<Socket> {
        self.0.hub.rooms.members(room)
    }

    /// The connections of a user.
    #[must_use]
    pub fn sockets_of(&self, user: &str) -> Vec<Socket> {
        self.0.hub.users.members(user)
    }

    /// The address that clients of this machine connect to.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.door()?.local_addr().map(reachable)
    }

    /// How clients get in; none before the frameworks have found each other.
    pub(crate) fn door(&self) -> Option<&Door> {
        self.0.door.get()
    }

    pub(crate) fn set_door(&self, door: &Door) {
        let _ = self.0.door.set(door.clone());
    }

    #[cfg(feature = "testing")]
    pub(crate) fn path(&self) -> &str {
        &self.0.path
    }

    #[cfg(feature = "testing")]
    pub(crate) fn envelope(&self) -> EnvelopeStyle {
        self.0.envelope
    }
}

impl Application for WebSocketApp {
    fn core(&self) -> &AppCore {
        &self.0.core
    }

    /// `ws://127.0.0.1:7001/ws`, once the listener is bound that it is on.
    fn url(&self) -> Option<String> {
        let is_encrypted = self.door().is_some_and(Door::is_encrypted);
        let scheme = if is_encrypted { "wss" } else { "ws" };
        self.address().map(|address| format!("{scheme}://{address}{}", self.0.path))
    }
}

impl AppHandle for WebSocketApp {
    const KIND: &'static str = crate::PROTOCOL.as_str();
}
