//! The frames that are sent.

use bytes::Bytes;
use polyport_bootstrap::{
    Context, Error, Fault,
    operation::{ReplyBody, RequestId},
    wire::{EXCEPTION_EVENT, Envelope, Frame, begin_frame, done_frame, end_frame},
};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{SendError, gateway::Gateway};

/// Most frames fit without growing.
const USUAL_SIZE: usize = 256;

/// `{"event":…,"data":…}`.
pub(crate) fn event_text(
    event: &str,
    data: &(impl Serialize + ?Sized),
) -> Result<Utf8Bytes, SendError> {
    frame_text(event, None, data)
}

/// `{"event":…,"id":…,"data":…}`; the id is JSON.
pub(crate) fn request_text(
    event: &str,
    id: &str,
    data: &(impl Serialize + ?Sized),
) -> Result<Utf8Bytes, SendError> {
    let id = serde_json::from_str(id).map_err(SendError::NotJson)?;
    frame_text(event, Some(id), data)
}

fn frame_text(
    event: &str,
    id: Option<&RawValue>,
    data: &(impl Serialize + ?Sized),
) -> Result<Utf8Bytes, SendError> {
    let mut out = Vec::with_capacity(USUAL_SIZE);
    begin_frame(&mut out, event, id);
    serde_json::to_writer(&mut out, data).map_err(SendError::NotJson)?;
    end_frame(&mut out);
    text(out).map_err(|error| SendError::NotJson(serde_json::Error::io(error)))
}

/// The frame of a value.
pub(crate) fn value_text(
    gateway: &Gateway,
    context: &Context,
    event: &str,
    id: Option<&RawValue>,
    body: &ReplyBody,
) -> Result<Utf8Bytes, Fault> {
    let mut out = Vec::with_capacity(USUAL_SIZE);
    begin_frame(&mut out, event, id);
    body.write_json(&*gateway.envelope(), context.request_id.as_str(), &mut out)?;
    end_frame(&mut out);
    let not_text = |error| Error::other("the envelope is not UTF-8").caused_by(error);
    text(out).map_err(|error| Fault::internal(not_text(error)))
}

/// The frame behind the last item of a stream: `{"event":…,"id":…,"data":null,"done":true}`.
pub(crate) fn done(event: &str, id: Option<&RawValue>) -> Utf8Bytes {
    let mut out = Vec::with_capacity(USUAL_SIZE);
    done_frame(&mut out, event, id);
    text(out).unwrap_or_default()
}

/// The payload, sharing the message's bytes.
pub(crate) fn data_of(frame: &Frame<'_>, text: &Utf8Bytes) -> Bytes {
    let whole: &Bytes = text.as_ref();
    frame.data.map_or_else(Bytes::new, |data| whole.slice_ref(data.get().as_bytes()))
}

/// The frame of a fault.
pub(crate) fn exception(
    envelope: &dyn Envelope,
    fault: &Fault,
    request_id: &RequestId,
    id: Option<&RawValue>,
) -> Utf8Bytes {
    let mut out = Vec::with_capacity(USUAL_SIZE);
    begin_frame(&mut out, EXCEPTION_EVENT, id);
    envelope.write_fault(&mut out, &fault.view(request_id.as_str()));
    end_frame(&mut out);
    text(out).unwrap_or_else(|_| Utf8Bytes::from_static(r#"{"event":"exception","data":null}"#))
}

fn text(json: Vec<u8>) -> Result<Utf8Bytes, std::io::Error> {
    Utf8Bytes::try_from(json)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_json_is_an_error() {
        let broken = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(matches!(event_text("x", &broken), Err(SendError::NotJson(_))));
        assert_eq!(event_text("x", &[1]).expect("JSON"), r#"{"event":"x","data":[1]}"#);
    }
}
