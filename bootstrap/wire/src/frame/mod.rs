#[cfg(test)]
mod harmless;
mod metadata;

use std::{borrow::Cow, fmt};

use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::metadata::Metadata;

/// The event of an answer that is a fault.
pub const EXCEPTION_EVENT: &str = "exception";

/// The event by which a client acknowledges what the server has asked it, with the `id` of that
/// frame; a client that refuses sends [`EXCEPTION_EVENT`] instead.
pub const ACK_EVENT: &str = "ack";

/// A WebSocket message: `{"event":"hello","data":…,"id":1}`, a superset of what Nest's `ws`
/// adapter speaks. `"metadata":{"x-user":"tom"}` stands for headers.
///
/// # Examples
/// ```
/// use polyport_wire::Frame;
///
/// let frame = Frame::parse(r#"{"event":"hello","data":{"name":"tom"},"id":1}"#).unwrap();
/// assert_eq!(frame.event, "hello");
/// assert_eq!(frame.data.unwrap().get(), r#"{"name":"tom"}"#);
/// assert_eq!(frame.id.unwrap().get(), "1");
/// ```
#[derive(Debug, Clone, Deserialize)]
pub struct Frame<'a> {
    /// What happens, or which operation is called.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// The payload as it was sent; nothing is decoded yet.
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    /// Any JSON value; the answer carries it as it was given.
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    /// What stands for headers.
    #[serde(borrow, default)]
    pub metadata: Metadata<'a>,
    /// Whether this ends an answer of many items, each of which was a frame with the same event and
    /// id.
    #[serde(default)]
    pub done: bool,
}

/// Why a text is no frame.
#[derive(Debug)]
pub struct FrameError(serde_json::Error);

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"not a message of the form {{"event":"…","data":…}}: {}"#, self.0)
    }
}

impl std::error::Error for FrameError {}

impl<'a> Frame<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// Returns [`FrameError`] where the text is not a JSON object with a string `event`, or its
    /// [`Metadata`] is not of strings or too long.
    pub fn parse(text: &'a str) -> Result<Self, FrameError> {
        serde_json::from_str(text).map_err(FrameError)
    }
}

/// Appends the head of a frame, up to and without its data; the data is to be appended behind it
/// as JSON, and then [`end_frame`].
pub fn begin_frame(out: &mut Vec<u8>, event: &str, id: Option<&RawValue>) {
    begin_frame_with(out, event, id, []);
}

/// The same with metadata, of which a frame has none where there are no entries. A client that
/// sends more than [`Metadata`] takes is refused.
///
/// # Examples
/// ```
/// use polyport_wire::{begin_frame_with, end_frame};
///
/// let mut out = Vec::new();
/// begin_frame_with(&mut out, "hello", None, [("x-user", "tom")]);
/// out.extend_from_slice(b"1");
/// end_frame(&mut out);
/// assert_eq!(out, br#"{"event":"hello","metadata":{"x-user":"tom"},"data":1}"#);
/// ```
pub fn begin_frame_with<'m>(
    out: &mut Vec<u8>,
    event: &str,
    id: Option<&RawValue>,
    metadata: impl IntoIterator<Item = (&'m str, &'m str)>,
) {
    out.extend_from_slice(br#"{"event":"#);
    string(out, event);
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        out.extend_from_slice(id.get().as_bytes());
    }
    let mut start: &[u8] = br#","metadata":{"#;
    for (name, value) in metadata {
        out.extend_from_slice(start);
        string(out, name);
        out.push(b':');
        string(out, value);
        start = b",";
    }
    if start == b"," {
        out.push(b'}');
    }
    out.extend_from_slice(br#","data":"#);
}

fn string(out: &mut Vec<u8>, text: &str) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "a string is always JSON");
}

/// Appends the frame that ends an answer of many items.
///
/// # Examples
/// ```
/// let mut out = Vec::new();
/// polyport_wire::done_frame(&mut out, "count", None);
/// assert_eq!(out, br#"{"event":"count","data":null,"done":true}"#);
/// assert!(polyport_wire::Frame::parse(std::str::from_utf8(&out).unwrap()).unwrap().done);
/// ```
pub fn done_frame(out: &mut Vec<u8>, event: &str, id: Option<&RawValue>) {
    begin_frame(out, event, id);
    out.extend_from_slice(br#"null,"done":true"#);
    end_frame(out);
}

/// Appends the tail of a frame.
pub fn end_frame(out: &mut Vec<u8>) {
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_needs_an_event() {
        for text in ["", "[]", "hello", "{}", r#"{"event":1}"#, r#"{"data":{}}"#] {
            assert!(Frame::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_carries_the_id_as_it_was_given() {
        let frame = Frame::parse(r#"{"event":"a\"b","id":{"x":[1, 2]},"data":null}"#).expect("ok");
        let mut out = Vec::new();
        begin_frame(&mut out, &frame.event, frame.id);
        out.extend_from_slice(b"true");
        end_frame(&mut out);
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            r#"{"event":"a\"b","id":{"x":[1, 2]},"data":true}"#,
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            harmless::check(&text);
        }

        #[test]
        fn nothing_like_a_frame_does_harm(
            event in any::<String>(),
            names in proptest::collection::vec((any::<String>(), any::<String>()), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let metadata = names.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let mut out = Vec::new();
            begin_frame_with(&mut out, &event, None, metadata.clone());
            out.extend_from_slice(b"1}");
            let text = String::from_utf8(out).expect("UTF-8");
            let frame = Frame::parse(&text).expect("our own frame");
            prop_assert!(frame.metadata.iter().eq(metadata));
            harmless::check(&text);
            harmless::check(&text[..text.floor_char_boundary(cut.index(text.len()))]);
        }

        #[test]
        fn what_is_written_is_read_back(event in any::<String>(), id in any::<i64>()) {
            let id = serde_json::value::to_raw_value(&id).expect("a number");
            let mut out = Vec::new();
            begin_frame(&mut out, &event, Some(&id));
            out.extend_from_slice(b"[1]");
            end_frame(&mut out);
            let text = String::from_utf8(out).expect("UTF-8");
            let frame = Frame::parse(&text).expect("our own frame");
            prop_assert_eq!(frame.event, event);
            prop_assert_eq!(frame.id.map(RawValue::get), Some(id.get()));
        }
    }
}
