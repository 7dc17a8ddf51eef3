//! WebSocket for polyport (RFC 6455), on tokio-tungstenite and hyper's upgrades.
//!
//! A client sends events, `{"event":"users.get","data":{…},"id":1}`; each calls the operation that
//! a module registered for it, and the answer carries the event and the id:
//! `{"event":"users.get","id":1,"data":…}`. A fault is the event `exception`. The events of one
//! connection are handled one after the other, and answered in their order; what rooms push comes
//! in between.
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
mod calls;
mod connection;
mod conversation;
mod farewell;
mod framework;
mod gateway;
mod hub;
mod inbox;
mod outbox;
mod pulse;
mod routes;
mod settings;
mod socket;
mod streams;
#[cfg(feature = "testing")]
pub mod testing;
mod upgrade;

pub use self::{
    app::{Room, WebSocketApp},
    framework::WebSocketFramework,
    routes::{PROTOCOL, WebSocketModule, WebSocketRoutes},
    settings::WebSocketSettings,
    socket::{Closed, SendError, Socket, SocketId},
};
