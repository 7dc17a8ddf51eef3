//! The handle of one connection.

use std::{
    collections::BTreeSet,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use polyport_bootstrap::{
    Context, Error, Fault,
    operation::{FromContext, InputSlot, NoPayload, OperationInfo},
};
use serde::Serialize;
use tokio_tungstenite::tungstenite::{
    Utf8Bytes,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::{
    PROTOCOL, adapter,
    hub::Hub,
    outbox::{Ending, Outbox},
};

/// The longest reason that fits into a close frame, in bytes (RFC 6455, section 5.5).
const LONGEST_REASON: usize = 123;

/// What a connection is known by in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub(crate) u64);

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One client's connection: a cheap handle that may be kept, and that operations take as an
/// argument. Nothing that it does waits for the client.
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
    id: SocketId,
    peer: SocketAddr,
    outbox: Outbox,
    hub: Arc<Hub>,
    rooms: Mutex<Rooms>,
}

/// The rooms of one connection; locked before the hub's, never after.
struct Rooms {
    connected: bool,
    names: BTreeSet<Arc<str>>,
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
    pub(crate) fn new(id: SocketId, peer: SocketAddr, outbox: Outbox, hub: Arc<Hub>) -> Self {
        let rooms = Mutex::new(Rooms { connected: true, names: BTreeSet::new() });
        Self(Arc::new(Inner { id, peer, outbox, hub, rooms }))
    }

    /// What this connection is known by; never given to another one.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.0.id
    }

    /// The client's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// Sends `{"event":…,"data":…}` to this client. Success means that it is queued; a client that
    /// is too slow for the queue is closed with 1013.
    ///
    /// # Errors
    /// If `data` cannot be written as JSON, or the connection is at its end.
    pub fn send_event(
        &self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<(), SendError> {
        let text = adapter::event_text(event, data)?;
        if self.push(text) { Ok(()) } else { Err(SendError::Closed) }
    }

    /// Enters a room, to get what is emitted to it. Nothing happens where the connection is in it
    /// already, or has ended.
    pub fn join(&self, room: &str) {
        let mut own = self.own_rooms();
        if own.connected && !own.names.contains(room) {
            let name = self.0.hub.enter(room, self);
            own.names.insert(name);
        }
    }

    /// Leaves a room.
    pub fn leave(&self, room: &str) {
        let mut own = self.own_rooms();
        if own.connected && own.names.remove(room) {
            self.0.hub.leave(room, self.id());
        }
    }

    /// The rooms that it is in; once the connection has ended, those that it was in.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        self.own_rooms().names.iter().map(|name| name.as_ref().to_owned()).collect()
    }

    /// Closes the connection, when what has been sent before is written. `code` is one of RFC
    /// 6455, section 7.4 (1000: done), or one of 3000 to 4999; what may not be sent becomes 1000.
    /// Of `reason` the first 123 bytes are sent.
    pub fn close(&self, code: u16, reason: &str) {
        self.0.outbox.end(Ending::Close(close_frame(code, reason)));
    }

    pub(crate) fn push(&self, text: Utf8Bytes) -> bool {
        self.0.outbox.push(text)
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    /// Leaves all rooms for good.
    pub(crate) fn disconnect(&self) {
        let mut own = self.own_rooms();
        if std::mem::replace(&mut own.connected, false) {
            own.names.iter().for_each(|room| self.0.hub.leave(room, self.id()));
            drop(own);
            self.0.hub.disconnect(self.id());
        }
    }

    fn own_rooms(&self) -> MutexGuard<'_, Rooms> {
        self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A close frame that may be sent.
pub(crate) fn close_frame(code: u16, reason: &str) -> CloseFrame {
    let code = CloseCode::from(code);
    let code = if code.is_allowed() { code } else { CloseCode::Normal };
    let end = reason.floor_char_boundary(LONGEST_REASON);
    CloseFrame { code, reason: reason[..end].into() }
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

fn missing(what: &str) -> Fault {
    Error::other(format!("this call carries no {what}")).into()
}

/// How a connection ended: an argument of `on_disconnect` operations.
///
/// # Examples
/// ```
/// use polyport_bootstrap::Fault;
/// use polyport_websocket::{Closed, Socket};
///
/// async fn gone(socket: Socket, closed: Closed) -> Result<(), Fault> {
///     if closed.is_lost() {
///         println!("{} is lost, it was in {:?}", socket.peer(), socket.rooms());
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The code of the close frame, of whoever sent the first; 1005 where it had none, 1006 where
    /// there was no frame (RFC 6455, section 7.1.5).
    pub code: u16,
    /// The text of that frame.
    pub reason: String,
}

impl Closed {
    /// Whether the connection broke without a close frame.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.code == u16::from(CloseCode::Abnormal)
    }

    pub(crate) fn lost() -> Self {
        Self { code: CloseCode::Abnormal.into(), reason: String::new() }
    }
}

impl From<Option<CloseFrame>> for Closed {
    fn from(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self { code: frame.code.into(), reason: frame.reason.to_string() },
            None => Self { code: CloseCode::Status.into(), reason: String::new() },
        }
    }
}

impl FromContext for Closed {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        context.extension::<Self>().cloned().ok_or_else(|| missing("Closed"))
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "Closed");
    }
}

/// Why something could not be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The connection has ended or is being closed.
    Closed,
    /// The value cannot be written as JSON.
    NotJson(serde_json::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the WebSocket connection is closed"),
            Self::NotJson(error) => write!(f, "the value cannot be written as JSON: {error}"),
        }
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::cancelled("SOCKET_CLOSED", error.to_string()),
            SendError::NotJson(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_sent_is_sent() {
        for (given, sent) in [(1000, 1000), (1013, 1013), (4999, 4999), (1005, 1000), (7, 1000)] {
            assert_eq!(u16::from(close_frame(given, "").code), sent);
        }
        let long = close_frame(1000, &"ä".repeat(100)).reason;
        assert_eq!(long.len(), 122);
    }
}
