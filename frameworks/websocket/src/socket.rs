//! The handle of one connection.

use std::{
    collections::BTreeSet,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use polyport_bootstrap::{
    Context, Error, Fault,
    operation::{FromContext, InputSlot, NoPayload, OperationInfo},
};
use serde::Serialize;

use crate::{
    PROTOCOL, SendError, SocketId,
    calls::Call,
    closed::close_frame,
    frames,
    hub::{Hub, Subprotocol},
    outbox::{Ending, Outbox, Queued},
    payload::Payload,
    requests::Requests,
    state::States,
};

/// One client's connection: a cheap handle that may be kept, and that operations take as an
/// argument. Only [`request`](Self::request) waits for the client.
///
/// # Examples
/// ```
/// use polyport_bootstrap::Fault;
/// use polyport_websocket::Socket;
///
/// async fn subscribe(socket: Socket) -> Result<(), Fault> {
///     socket.join("news");
///     socket.send_event("welcome", &"you will hear from us")?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Socket(Arc<Inner>);

struct Inner {
    number: u64,
    peer: SocketAddr,
    subprotocol: Option<Subprotocol>,
    outbox: Outbox,
    hub: Arc<Hub>,
    places: Mutex<Places>,
    /// Made when it is first needed, so that idle connections stay small.
    extra: OnceLock<Box<Extra>>,
}

/// Where a connection is found; locked before the hub's groups, never after.
struct Places {
    connected: bool,
    rooms: BTreeSet<Arc<str>>,
    user: Option<Arc<str>>,
}

/// What few connections have.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) requests: Requests,
    pub(crate) states: States,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id())
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}

impl Socket {
    pub(crate) fn new(
        number: u64,
        peer: SocketAddr,
        subprotocol: Option<Subprotocol>,
        outbox: Outbox,
        hub: Arc<Hub>,
    ) -> Self {
        let places = Places { connected: true, rooms: BTreeSet::new(), user: None };
        let (places, extra) = (Mutex::new(places), OnceLock::new());
        Self(Arc::new(Inner { number, peer, subprotocol, outbox, hub, places, extra }))
    }

    /// What this connection is known by; never given to another one.
    #[must_use]
    pub fn id(&self) -> SocketId {
        SocketId { instance: self.0.hub.instance, number: self.0.number }
    }

    /// The client's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// The subprotocol that was agreed on when the client connected (RFC 6455, section 1.9).
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.hub.subprotocol(self.0.subprotocol?)
    }

    /// Sends `{"event":…,"data":…}` to this client. Success means that it is queued; what becomes
    /// of a client that is too slow for the queue, `slow_consumer` in the settings says.
    ///
    /// # Errors
    /// If `data` cannot be written as JSON, or the connection is at its end.
    pub fn send_event(
        &self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<(), SendError> {
        self.send(frames::event_text(event, data)?.into())
    }

    /// Sends a binary message to this client, as [`send_event`](Self::send_event) does an event.
    ///
    /// # Errors
    /// If the connection is at its end.
    pub fn send_binary(&self, bytes: impl Into<Bytes>) -> Result<(), SendError> {
        self.send(Payload::Binary(bytes.into()))
    }

    fn send(&self, payload: Payload) -> Result<(), SendError> {
        if self.push(payload) { Ok(()) } else { Err(SendError::Closed) }
    }

    /// Enters a room, to get what is emitted to it. Nothing happens where the connection is in it
    /// already, or has ended.
    pub fn join(&self, room: &str) {
        let mut places = self.places();
        if places.connected && !places.rooms.contains(room) {
            let name = self.0.hub.rooms.enter(room, self);
            places.rooms.insert(name);
        }
    }

    /// Leaves a room.
    pub fn leave(&self, room: &str) {
        let mut places = self.places();
        if places.connected && places.rooms.remove(room) {
            self.0.hub.rooms.leave(room, self.0.number);
        }
    }

    /// The rooms that it is in; once the connection has ended, those that it was in.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        self.places().rooms.iter().map(|name| name.as_ref().to_owned()).collect()
    }

    /// Says whose connection this is, so that [`WebSocketApp::user`](crate::WebSocketApp::user)
    /// reaches it; in the place of whom it was before. Nothing happens where it has ended.
    pub fn identify(&self, user: &str) {
        let mut places = self.places();
        if places.connected && places.user.as_deref() != Some(user) {
            self.leave_user(&places);
            places.user = Some(self.0.hub.users.enter(user, self));
        }
    }

    /// Says that this connection is nobody's any more.
    pub fn forget_user(&self) {
        let mut places = self.places();
        if places.connected {
            self.leave_user(&places);
            places.user = None;
        }
    }

    /// Whose connection this is; once it has ended, whose it was.
    #[must_use]
    pub fn user(&self) -> Option<Arc<str>> {
        self.places().user.clone()
    }

    fn leave_user(&self, places: &Places) {
        if let Some(user) = &places.user {
            self.0.hub.users.leave(user, self.0.number);
        }
    }

    /// How many messages it was too slow for; `slow_consumer` in the settings.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.outbox.dropped()
    }

    /// Closes the connection, when what has been sent before is written. `code` is one of RFC
    /// 6455, section 7.4 (1000: done), or one of 3000 to 4999; what may not be sent becomes 1000.
    /// Of `reason` the first 123 bytes are sent.
    pub fn close(&self, code: u16, reason: &str) {
        self.0.outbox.end(Ending::Close(close_frame(code, reason)));
    }

    /// Queues a message; false where the connection is at its end.
    pub(crate) fn push(&self, payload: Payload) -> bool {
        self.counted(self.0.outbox.push(payload))
    }

    /// Queues an answer, for which there was room.
    pub(crate) fn answer(&self, payload: impl Into<Payload>, call: Option<Call>) {
        self.counted(self.0.outbox.answer(payload.into(), call));
    }

    fn counted(&self, queued: Queued) -> bool {
        if let Queued::Dropped { first } = queued {
            self.0.hub.count_dropped();
            if first {
                let (socket, peer) = (self.id(), self.peer());
                tracing::warn!(%socket, %peer, "a client reads too slowly; its oldest messages are dropped");
            }
        }
        !matches!(queued, Queued::Refused)
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    pub(crate) fn max_requests(&self) -> usize {
        self.0.hub.max_requests
    }

    /// Made now, if it is not there yet.
    pub(crate) fn extra(&self) -> &Extra {
        self.0.extra.get_or_init(Box::default)
    }

    pub(crate) fn known_extra(&self) -> Option<&Extra> {
        self.0.extra.get().map(|extra| &**extra)
    }

    /// Leaves all rooms and its user for good.
    pub(crate) fn disconnect(&self) {
        let mut places = self.places();
        if std::mem::replace(&mut places.connected, false) {
            places.rooms.iter().for_each(|room| self.0.hub.rooms.leave(room, self.0.number));
            self.leave_user(&places);
            drop(places);
            self.0.hub.disconnect(self.0.number);
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FromContext for Socket {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        context.extension::<Self>().cloned().ok_or_else(|| missing("Socket"))
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "Socket");
    }
}

pub(crate) fn missing(what: &str) -> Fault {
    Error::other(format!("this call carries no {what}")).into()
}
