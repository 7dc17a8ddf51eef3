//! An event with its ack, by several servers.

mod axum;
mod polyport;
mod tungstenite;

use std::sync::Arc;

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::Serving;
use crate::load;
pub(super) use polyport::module;
pub(super) use tungstenite::accept;

/// What an ack holds.
pub(crate) const ACK: &str = r#""id":1"#;

/// The frame of an event.
pub(crate) fn event() -> Arc<[u8]> {
    load::frame(r#"{"event":"say","data":{"room":"lobby","text":"hello"},"id":1}"#)
}

#[derive(Deserialize, Validate)]
struct Say {
    #[garde(length(min = 1, max = 64))]
    room: String,
    #[garde(length(max = 2000))]
    text: String,
}

#[derive(Serialize)]
struct Said {
    room: String,
    characters: usize,
}

fn said(say: Say) -> Said {
    Said { characters: say.text.len(), room: say.room }
}

/// A frame, by hand.
#[derive(Serialize, Deserialize)]
struct Frame<'a, T> {
    event: &'a str,
    data: T,
    id: u64,
}

/// What somebody writes who knows the one event that there is.
fn answer(text: &str) -> serde_json::Result<String> {
    let frame: Frame<'_, Say> = serde_json::from_str(text)?;
    let Frame { event, data, id } = frame;
    serde_json::to_string(&Frame { event, id, data: said(data) })
}

/// The server of that name.
pub(super) fn find(name: &str) -> Option<Serving> {
    Some(match name {
        "websocket-tungstenite" => Box::pin(tungstenite::serve(tungstenite::as_it_comes())),
        "websocket-tungstenite-small" => Box::pin(tungstenite::serve(tungstenite::small())),
        "websocket-axum" => Box::pin(axum::serve()),
        "websocket-polyport" => Box::pin(polyport::serve()),
        _ => return None,
    })
}
