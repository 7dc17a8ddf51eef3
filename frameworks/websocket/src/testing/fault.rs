//! A frame as the fault that it is.

use polyport_bootstrap::{
    Fault,
    wire::{EXCEPTION_EVENT, EnvelopeStyle},
};
use serde_json::Value;

/// The fault that a frame is, in whichever envelope; none where its event is not `exception`.
///
/// # Examples
/// ```
/// use polyport_websocket::testing::frame_fault;
/// use serde_json::json;
///
/// let problem = json!({ "title": "NOT_FOUND", "status": 404, "reason": "NO_ROOM" });
/// let fault = frame_fault(&json!({ "event": "exception", "id": 1, "data": problem })).unwrap();
/// assert_eq!((fault.status(), fault.reason()), (404, "NO_ROOM"));
/// assert!(frame_fault(&json!({ "event": "hello", "data": problem })).is_none());
/// ```
#[must_use]
pub fn frame_fault(frame: &Value) -> Option<Fault> {
    if frame["event"] != EXCEPTION_EVENT {
        return None;
    }
    let data = frame["data"].to_string();
    let style = EnvelopeStyle::of_fault(data.as_bytes());
    Some(Fault::from_received(style.read_fault(data.as_bytes(), None)))
}
