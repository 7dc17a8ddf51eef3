//! A chat server whose messages cross four protocols. A message posted by any of them is published
//! to the broker, consumed from there, stored, and pushed to every WebSocket client and every gRPC
//! subscriber of its room.

mod greeter;
mod messages;
mod rooms;
mod store;
mod users;

use polyport::prelude::*;

pub use messages::{Message, MessageRepo};
pub use users::{User, UserRepo};

/// The whole application; `main` runs it, and tests start it with `create_bootstrap`.
#[must_use]
pub fn bootstrap() -> Bootstrap {
    Bootstrap::new()
        .load(HttpFramework::new())
        .load(WebSocketFramework::new())
        .load(GrpcFramework::new())
        .load(AmqpFramework::new())
        .module(store::StoreModule)
        .module(users::UserModule)
        .module(messages::MessageModule)
        .module(rooms::RoomModule)
        .module(greeter::GreeterModule)
}
