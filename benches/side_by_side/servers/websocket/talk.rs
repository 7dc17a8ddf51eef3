//! What an event says, and how it is answered by hand.

use garde::Validate;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Validate)]
pub(super) struct Say {
    #[garde(length(min = 1, max = 64))]
    room: String,
    #[garde(length(max = 2000))]
    text: String,
}

#[derive(Serialize)]
pub(super) struct Said {
    room: String,
    characters: usize,
}

pub(super) fn said(say: Say) -> Said {
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
pub(super) fn answer(text: &str) -> serde_json::Result<String> {
    let frame: Frame<'_, Say> = serde_json::from_str(text)?;
    let Frame { event, data, id } = frame;
    serde_json::to_string(&Frame { event, id, data: said(data) })
}
