//! An event with its ack, by several servers.

mod axum;
mod polyport;
mod talk;
mod tungstenite;

use std::sync::Arc;

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
