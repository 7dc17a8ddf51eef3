//! A frame ↔ the neutral call, and a fault → the frame `exception`.

use bytes::Bytes;
use polyport_bootstrap::{
    Error, Fault,
    operation::{Context, RawInput, Reply, RequestId},
    wire::{EXCEPTION_EVENT, Envelope, Frame, begin_frame, end_frame},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{SendError, Socket, gateway::Gateway, inbox::Inbound};

/// Most answers fit without growing.
const USUAL_SIZE: usize = 256;
/// How much of an unknown event's name is sent back, in bytes.
const LONGEST_NAME: usize = 64;

/// `{"event":…,"data":…}`.
pub(crate) fn event_text(
    event: &str,
    data: &(impl Serialize + ?Sized),
) -> Result<Utf8Bytes, SendError> {
    let mut out = Vec::with_capacity(USUAL_SIZE);
    begin_frame(&mut out, event, None);
    serde_json::to_writer(&mut out, data).map_err(SendError::NotJson)?;
    end_frame(&mut out);
    text(out).map_err(|error| SendError::NotJson(serde_json::Error::io(error)))
}

/// Handles one message, and gives what is to be sent back.
pub(crate) async fn answer(
    gateway: &Gateway,
    socket: &Socket,
    message: &Inbound,
) -> Option<Utf8Bytes> {
    let Inbound::Text(text) = message else {
        let fault = Fault::invalid_argument(
            "BINARY_MESSAGE",
            "binary messages are not understood here: send JSON text",
        );
        return Some(refusal(gateway, &fault, None));
    };
    match Frame::parse(text) {
        Ok(frame) => call(gateway, socket, &frame, text).await,
        Err(error) => {
            let fault = Fault::invalid_argument("MALFORMED_MESSAGE", error.to_string());
            Some(refusal(gateway, &fault, id_of(text)))
        }
    }
}

/// What a message gets that came when nothing new is taken any more.
pub(crate) fn stopping(gateway: &Gateway, message: &Inbound) -> Utf8Bytes {
    let id = match message {
        Inbound::Text(text) => id_of(text),
        Inbound::Binary => None,
    };
    let fault = Fault::unavailable("STOPPING", "the server is stopping: connect again");
    refusal(gateway, &fault, id)
}

async fn call(
    gateway: &Gateway,
    socket: &Socket,
    frame: &Frame<'_>,
    text: &Utf8Bytes,
) -> Option<Utf8Bytes> {
    let Some(endpoint) = gateway.table().event(&frame.event) else {
        return Some(refusal(gateway, &unknown(&frame.event), frame.id));
    };
    let _flight = endpoint.info().enter();
    let context = gateway.context(endpoint, socket, RawInput::json(data_of(frame, text)));
    let answer = match endpoint.call(&context).await {
        Ok(reply) => written(gateway, frame, &context, reply),
        Err(fault) => Err(fault),
    };
    answer.unwrap_or_else(|fault| {
        Some(exception(&*gateway.envelope(), &fault, &context.request_id, frame.id))
    })
}

/// The frame of a reply, where one is wanted.
fn written(
    gateway: &Gateway,
    frame: &Frame<'_>,
    context: &Context,
    reply: Reply,
) -> Result<Option<Utf8Bytes>, Fault> {
    let (_, _, body) = reply.into_parts();
    if !body.has_value() && frame.id.is_none() {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(USUAL_SIZE);
    begin_frame(&mut out, &frame.event, frame.id);
    body.write_json(&*gateway.envelope(), context.request_id.as_str(), &mut out)?;
    end_frame(&mut out);
    let not_text = |error| Error::other("the envelope is not UTF-8").caused_by(error);
    Ok(Some(text(out).map_err(|error| Fault::internal(not_text(error)))?))
}

/// The payload, sharing the message's bytes.
fn data_of(frame: &Frame<'_>, text: &Utf8Bytes) -> Bytes {
    let whole: &Bytes = text.as_ref();
    frame.data.map_or_else(Bytes::new, |data| whole.slice_ref(data.get().as_bytes()))
}

fn unknown(event: &str) -> Fault {
    let name = &event[..event.floor_char_boundary(LONGEST_NAME)];
    Fault::not_found("UNKNOWN_EVENT", format!("there is no event {name:?}"))
}

/// The id of something that is not a frame but might have one.
fn id_of(text: &str) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct WithId<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    serde_json::from_str::<WithId<'_>>(text).ok()?.id
}

fn refusal(gateway: &Gateway, fault: &Fault, id: Option<&RawValue>) -> Utf8Bytes {
    let request_id = RequestId::new();
    tracing::debug!(%request_id, %fault, "message refused");
    exception(&*gateway.envelope(), fault, &request_id, id)
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
    fn an_id_is_found_even_where_the_rest_is_no_frame() {
        assert_eq!(id_of(r#"{"event":5,"id":"a"}"#).map(RawValue::get), Some("\"a\""));
        for text in ["", "[]", "{}", r#"{"id":null}"#, r#"{"id":1"#] {
            assert!(id_of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_value_that_is_not_json_is_an_error() {
        let broken = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(matches!(event_text("x", &broken), Err(SendError::NotJson(_))));
        assert_eq!(event_text("x", &[1]).expect("JSON"), r#"{"event":"x","data":[1]}"#);
    }

    #[test]
    fn an_unknown_name_is_cut_before_it_is_sent_back() {
        let fault = unknown(&"ü".repeat(1000));
        assert!(fault.message().len() < 100, "{fault}");
    }
}
