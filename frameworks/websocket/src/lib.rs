//! WebSocket for polyport (RFC 6455), on tokio-tungstenite and hyper's upgrades.
//!
//! A client sends events, `{"event":"users.get","data":{…},"id":1}`; each calls the operation that
//! a module registered for it, and the answer carries the event and the id:
//! `{"event":"users.get","id":1,"data":…}`. A fault is the event `exception`. The events of one
//! connection are handled one after the other, and answered in their order; what rooms push comes
//! in between. The server may ask a client, too ([`Socket::request`]), and binary messages have an
//! operation of their own ([`WebSocketRoutes::on_binary`]).
//!
//! Without a port of its own the framework joins the HTTP framework's listener at its path.
//!
//! # Examples
//! ```
//! use polyport_bootstrap::{Fault, Module, ModuleBuilder, Result, operation::Input};
//! use polyport_websocket::{Socket, WebSocketModule};
//!
//! #[derive(serde::Deserialize, garde::Validate)]
//! struct Join {
//!     #[garde(length(min = 1))]
//!     room: String,
//! }
//!
//! async fn join(socket: Socket, Input(join): Input<Join>) -> Result<(), Fault> {
//!     socket.join(&join.room);
//!     Ok(())
//! }
//!
//! struct Chat;
//!
//! impl Module for Chat {
//!     fn name(&self) -> &'static str {
//!         "chat"
//!     }
//!
//!     fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
//!         m.websocket(|g| g.on("rooms.join", join));
//!         Ok(())
//!     }
//! }
//! ```

mod adapter;
mod app;
mod audience;
mod calls;
mod closed;
mod cluster;
mod connection;
mod conversation;
mod duplex;
mod farewell;
mod frames;
mod framework;
mod gateway;
mod groups;
mod handling;
mod hub;
mod id;
mod inbox;
mod origin;
mod outbox;
mod payload;
mod pulse;
mod refusal;
mod requests;
mod routes;
mod settings;
mod socket;
mod state;
mod streams;
mod subprotocol;
#[cfg(feature = "testing")]
pub mod testing;
mod told;
mod unread;
mod upgrade;

pub use self::{
    app::WebSocketApp,
    audience::Audience,
    closed::{Closed, SendError},
    framework::WebSocketFramework,
    id::{SocketId, UnknownSocketId},
    routes::{PROTOCOL, WebSocketModule, WebSocketRoutes},
    settings::{SlowConsumer, WebSocketSettings},
    socket::Socket,
    state::State,
};
