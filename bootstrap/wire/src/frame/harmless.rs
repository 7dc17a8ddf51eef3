//! What must hold whatever a text says: the decoder does not panic, and what it has read can be
//! written and read again. The fuzzer (`fuzz/`) and the property tests share this file.

use super::{Frame, begin_frame_with, end_frame};

/// Checks `text`.
///
/// # Panics
/// It does harm.
pub(crate) fn check(text: &str) {
    let Ok(frame) = Frame::parse(text) else { return };
    let mut out = Vec::new();
    begin_frame_with(&mut out, &frame.event, frame.id, frame.metadata.iter());
    out.extend_from_slice(frame.data.map_or("null", |data| data.get()).as_bytes());
    end_frame(&mut out);
    let written = String::from_utf8(out).expect("a frame is UTF-8");
    let again = Frame::parse(&written).expect("what is written is a frame");
    assert_eq!(again.event, frame.event);
    assert_eq!(again.metadata, frame.metadata);
    assert_eq!(again.id.map(|id| id.get()), frame.id.map(|id| id.get()));
}
