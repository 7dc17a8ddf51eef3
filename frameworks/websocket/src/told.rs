//! What a test is told of messages to clients.

use polyport_bootstrap::framework::{Leftover, Mark, Recorded, Witness};
use serde::Deserialize;

use crate::payload::Payload;

/// Tells of a message that the application sends of its own accord.
pub(crate) fn push(witness: &Witness, payload: &Payload) -> Mark {
    witness.record(|| {
        let sent = Recorded::sent("websocket", event(payload.bytes())).size(payload.len());
        match std::str::from_utf8(payload.bytes()) {
            Ok(text) => sent.text(text),
            Err(_) => sent,
        }
    });
    message(witness, payload)
}

/// Tells that there is a message to be written.
pub(crate) fn message(witness: &Witness, payload: &Payload) -> Mark {
    witness.mark(Leftover::Message, || format!("{} to a WebSocket client", event(payload.bytes())))
}

/// Tells of a message that a client of a test sends.
#[cfg(feature = "testing")]
pub(crate) fn unread(witness: &Witness, message: &[u8]) -> Mark {
    witness.mark(Leftover::Message, || format!("{} of a WebSocket client", event(message)))
}

/// The event of a frame; a message that is none has no event.
fn event(message: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Frame {
        event: String,
    }
    let frame = serde_json::from_slice::<Frame>(message);
    frame.map_or_else(|_| "message".to_owned(), |frame| frame.event)
}
