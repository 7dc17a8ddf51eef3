//! Rooms: who of the WebSocket clients hears what.

use garde::Validate;
use polyport::prelude::*;
use serde::{Deserialize, Serialize};

/// A room is one word of a routing key.
pub(crate) fn room_name(name: &str, _: &()) -> garde::Result {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=64).contains(&name.len()) && name.bytes().all(is_word) {
        Ok(())
    } else {
        Err(garde::Error::new("a room's name has 1 to 64 letters, digits, - or _"))
    }
}

#[derive(Debug, Serialize, Deserialize, Validate)]
struct Room {
    #[garde(custom(room_name))]
    room: String,
}

async fn join(socket: Socket, Input(input): Input<Room>) -> Result<Room, Fault> {
    socket.join(&input.room);
    Ok(input)
}

async fn leave(socket: Socket, Input(input): Input<Room>) -> Result<Room, Fault> {
    socket.leave(&input.room);
    Ok(input)
}

pub(crate) struct RoomModule;

impl Module for RoomModule {
    fn name(&self) -> &str {
        "room"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.websocket(|g| g.on("rooms.join", join).on("rooms.leave", leave));
        Ok(())
    }
}
