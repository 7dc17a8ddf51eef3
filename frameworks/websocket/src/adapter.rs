//! A frame ↔ the neutral call, and a fault → the frame `exception`.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt, future::ready};
use polyport_bootstrap::{
    Error, Fault,
    operation::{Context, Endpoint, Reply, ReplyBody, RequestId},
    wire::{EXCEPTION_EVENT, Envelope, Frame, begin_frame, done_frame, end_frame},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{
    SendError, conversation::Conversation, gateway::Gateway, inbox::Inbound, streams::ItemStream,
};

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

/// What an event is answered with.
pub(crate) enum Answer {
    Nothing,
    Text(Utf8Bytes),
    Stream(Box<ItemStream>),
}

/// Handles one message, of a client that gets so many streams already.
pub(crate) async fn answer(
    connection: &Conversation<'_>,
    message: &Inbound,
    streams: usize,
) -> Answer {
    let gateway = connection.gateway;
    let Inbound::Text(text) = message else {
        let fault = Fault::invalid_argument(
            "BINARY_MESSAGE",
            "binary messages are not understood here: send JSON text",
        );
        return Answer::Text(refusal(gateway, &fault, None));
    };
    match Frame::parse(text) {
        Ok(frame) => call(connection, &frame, text, streams).await,
        Err(error) => {
            let fault = Fault::invalid_argument("MALFORMED_MESSAGE", error.to_string());
            Answer::Text(refusal(gateway, &fault, id_of(text)))
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
    connection: &Conversation<'_>,
    frame: &Frame<'_>,
    text: &Utf8Bytes,
    streams: usize,
) -> Answer {
    let gateway = connection.gateway;
    let endpoint = gateway.table().event(&frame.event).unwrap_or(&gateway.fallback);
    let _flight = endpoint.info().enter();
    let (context, patience) = match connection.context(endpoint, frame, data_of(frame, text)) {
        Ok(context) => context,
        Err(fault) => return Answer::Text(refusal(gateway, &fault, frame.id)),
    };
    let answer = async {
        let reply = endpoint.call(&context).await?;
        replied(connection, frame, &context, patience, reply, streams).await
    };
    // A value that panics when it is dropped must not take the connection along.
    let answer = AssertUnwindSafe(answer).catch_unwind().await;
    let answer = answer.unwrap_or_else(|panic| Err(panicked(&*panic, &context)));
    answer.unwrap_or_else(|fault| {
        Answer::Text(exception(&*gateway.envelope(), &fault, &context.request_id, frame.id))
    })
}

fn panicked(panic: &(dyn Any + Send), context: &Context) -> Fault {
    let fault = Fault::panicked(panic);
    let (operation, request_id) = (context.operation.name(), context.request_id.as_str());
    let source = fault.source_text();
    tracing::error!(protocol = "websocket", operation, request_id, source, "answer failed");
    fault
}

/// What a reply becomes: its headers and its status have no place in a frame.
async fn replied(
    connection: &Conversation<'_>,
    frame: &Frame<'_>,
    context: &Context,
    patience: Option<Instant>,
    reply: Reply,
    streams: usize,
) -> Result<Answer, Fault> {
    let Conversation { gateway, socket, .. } = *connection;
    let (_, _, body) = reply.into_parts();
    match body.collected(context, gateway.settings.max_message_size).await? {
        ReplyBody::Items(_) if streams >= gateway.settings.max_streams => Err(too_many_streams()),
        ReplyBody::Items(items) => Ok(Answer::Stream(Box::new(ItemStream {
            gateway: Arc::clone(gateway),
            socket: socket.clone(),
            context: context.clone(),
            event: frame.event.as_ref().into(),
            id: frame.id.map(ToOwned::to_owned),
            items,
            deadline: patience,
        }))),
        body if !body.has_value() && frame.id.is_none() => Ok(Answer::Nothing),
        body => value_text(gateway, context, &frame.event, frame.id, &body).map(Answer::Text),
    }
}

fn too_many_streams() -> Fault {
    let message = "this connection is sent as many streams as it may be: wait for one to end";
    Fault::resource_exhausted("TOO_MANY_STREAMS", message)
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
fn data_of(frame: &Frame<'_>, text: &Utf8Bytes) -> Bytes {
    let whole: &Bytes = text.as_ref();
    frame.data.map_or_else(Bytes::new, |data| whole.slice_ref(data.get().as_bytes()))
}

/// What stands at the end of the chain for events that nobody has: the middleware of the application
/// and of the framework stands around their refusal.
pub(crate) fn fallback() -> Endpoint {
    Endpoint::fallback("fallback", |context| {
        let event = context.extension::<EventName>().map(|EventName(event)| &**event);
        ready(Err(unknown(event.unwrap_or_default()))).boxed()
    })
}

/// The event that a frame names, in the extensions of its call.
#[derive(Debug, Clone)]
pub(crate) struct EventName(Arc<str>);

impl EventName {
    /// As much of a name as is ever sent back.
    pub(crate) fn new(event: &str) -> Self {
        Self(event[..event.floor_char_boundary(LONGEST_NAME)].into())
    }
}

fn unknown(event: &str) -> Fault {
    Fault::not_found("UNKNOWN_EVENT", format!("there is no event {event:?}"))
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
        let EventName(name) = EventName::new(&"ü".repeat(1000));
        let fault = unknown(&name);
        assert!(fault.message().len() < 100, "{fault}");
    }
}
