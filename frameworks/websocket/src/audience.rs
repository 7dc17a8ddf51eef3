//! Who is emitted to.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    SendError, SocketId, frames,
    hub::{Hub, Target},
    payload::Payload,
};

/// Some of the connections: [everybody](crate::WebSocketApp::everybody), a
/// [room](crate::WebSocketApp::room), a [user](crate::WebSocketApp::user),
/// [one](crate::WebSocketApp::to). In a cluster those of the other instances are among them.
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Fault, operation::App};
/// use polyport_websocket::{Socket, WebSocketApp};
///
/// async fn wave(socket: Socket, App(websocket): App<WebSocketApp>) -> Result<(), Fault> {
///     websocket.room("lobby").except(socket.id()).emit("wave", &"hello")?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before `emit`"]
pub struct Audience<'a> {
    hub: &'a Hub,
    target: Target<'a>,
    except: Vec<SocketId>,
}

impl<'a> Audience<'a> {
    pub(crate) fn new(hub: &'a Hub, target: Target<'a>) -> Self {
        Self { hub, target, except: Vec::new() }
    }

    /// Leaves out this connection, usually the sender's own; whichever instance it is of.
    pub fn except(mut self, socket: SocketId) -> Self {
        self.except.push(socket);
        self
    }

    /// Sends `{"event":…,"data":…}`, and says to how many connections of this process. It is
    /// written as JSON once.
    ///
    /// # Errors
    /// If `data` cannot be written as JSON.
    pub fn emit(&self, event: &str, data: &(impl Serialize + ?Sized)) -> Result<usize, SendError> {
        let text = frames::event_text(event, data)?;
        Ok(self.hub.emit(self.target, text.into(), &self.except))
    }

    /// Sends a binary message, and says to how many connections of this process.
    pub fn emit_binary(&self, bytes: impl Into<Bytes>) -> usize {
        self.hub.emit(self.target, Payload::Binary(bytes.into()), &self.except)
    }
}
