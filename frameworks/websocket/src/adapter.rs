//! A message ↔ the neutral call, and a fault → the frame `exception`.

use std::{any::Any, borrow::Cow, panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt, future::ready};
use polyport_bootstrap::{
    Fault,
    operation::{Context, Endpoint, Reply, ReplyBody, RequestId},
    wire::{ACK_EVENT, EXCEPTION_EVENT, Frame, Metadata},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{
    conversation::Conversation,
    frames::{data_of, exception, value_text},
    gateway::Gateway,
    payload::Payload,
    routes::{BINARY, TEXT},
    streams::{ItemStream, Streams},
};

/// How much of an unknown event's name is sent back, in bytes.
const LONGEST_NAME: usize = 64;

/// What a message is answered with.
pub(crate) enum Answer {
    Nothing,
    Message(Payload),
    Stream(Box<ItemStream>),
}

impl From<Utf8Bytes> for Answer {
    fn from(text: Utf8Bytes) -> Self {
        Self::Message(text.into())
    }
}

/// What a message asks for.
struct Question<'a> {
    endpoint: &'a Endpoint,
    frame: Frame<'a>,
    data: Bytes,
    /// The message itself, where it is no frame: bytes are answered by a message of its kind.
    raw: Option<&'a Payload>,
}

/// Handles one message, of a client that gets these streams already.
pub(crate) async fn answer(
    connection: &Conversation<'_>,
    message: &Payload,
    streams: &Streams,
) -> Answer {
    match question(connection.gateway, message) {
        Ok(Some(question)) => call(connection, &question, streams).await,
        Ok(None) => Answer::Nothing,
        Err(fault) => refusal(connection.gateway, &fault, id_of(message)).into(),
    }
}

/// None where nothing is to be said to it.
fn question<'a>(gateway: &'a Gateway, message: &'a Payload) -> Result<Option<Question<'a>>, Fault> {
    let Payload::Text(text) = message else {
        return raw(gateway, message).map(Some).ok_or_else(|| {
            let advice = "binary messages are not understood here: send JSON text";
            Fault::invalid_argument("BINARY_MESSAGE", advice)
        });
    };
    match Frame::parse(text) {
        // Of a request that waits no longer; others were taken when they were read.
        Ok(frame) if matches!(&*frame.event, ACK_EVENT | EXCEPTION_EVENT) => Ok(None),
        Ok(frame) => {
            let event = gateway.table().event(&frame.event);
            let endpoint = event.map_or(&gateway.fallback, |event| &event.endpoint);
            let data = data_of(&frame, text);
            Ok(Some(Question { endpoint, frame, data, raw: None }))
        }
        Err(error) => raw(gateway, message)
            .map(Some)
            .ok_or_else(|| Fault::invalid_argument("MALFORMED_MESSAGE", error.to_string())),
    }
}

/// A message that is no frame, where somebody takes such.
fn raw<'a>(gateway: &'a Gateway, message: &'a Payload) -> Option<Question<'a>> {
    let table = gateway.table();
    let (endpoint, event) = match message {
        Payload::Text(_) => (table.text.as_ref()?, TEXT),
        Payload::Binary(_) => (table.binary.as_ref()?, BINARY),
    };
    let frame = Frame {
        event: Cow::Borrowed(event),
        data: None,
        id: None,
        metadata: Metadata::default(),
        done: false,
    };
    Some(Question { endpoint, frame, data: message.bytes().clone(), raw: Some(message) })
}

/// What a message gets that came when nothing new is taken any more.
pub(crate) fn stopping(gateway: &Gateway, message: &Payload) -> Utf8Bytes {
    let fault = Fault::unavailable("STOPPING", "the server is stopping: connect again");
    refusal(gateway, &fault, id_of(message))
}

async fn call(connection: &Conversation<'_>, question: &Question<'_>, streams: &Streams) -> Answer {
    let (gateway, endpoint, frame) = (connection.gateway, question.endpoint, &question.frame);
    let _flight = endpoint.info().enter();
    let (context, patience) = match connection.context(endpoint, frame, question.data.clone()) {
        Ok(context) => context,
        Err(fault) => return refusal(gateway, &fault, frame.id).into(),
    };
    let answer = async {
        let reply = endpoint.call(&context).await?;
        replied(connection, question, &context, patience, reply, streams).await
    };
    // A value that panics when it is dropped must not take the connection along.
    let answer = AssertUnwindSafe(answer).catch_unwind().await;
    let answer = answer.unwrap_or_else(|panic| Err(panicked(&*panic, &context)));
    answer.unwrap_or_else(|fault| {
        exception(&*gateway.envelope(), &fault, &context.request_id, frame.id).into()
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
    Question { frame, raw, .. }: &Question<'_>,
    context: &Context,
    patience: Option<Instant>,
    reply: Reply,
    streams: &Streams,
) -> Result<Answer, Fault> {
    let Conversation { gateway, socket, .. } = *connection;
    let (_, _, body) = reply.into_parts();
    match body.collected(context, gateway.settings.max_message_size).await? {
        ReplyBody::Items(_) if streams.len() >= gateway.settings.max_streams => {
            Err(too_many_streams())
        }
        ReplyBody::Items(items) => Ok(Answer::Stream(Box::new(ItemStream {
            gateway: Arc::clone(gateway),
            socket: socket.clone(),
            context: context.clone(),
            event: frame.event.as_ref().into(),
            id: frame.id.map(ToOwned::to_owned),
            items,
            deadline: patience,
        }))),
        ReplyBody::Raw(answer) if raw.is_some() => Ok(Answer::Message(like(*raw, answer.bytes))),
        body if !body.has_value() && frame.id.is_none() => Ok(Answer::Nothing),
        body => value_text(gateway, context, &frame.event, frame.id, &body).map(Answer::from),
    }
}

/// Bytes as a message of the kind of `asked`, as far as they can be text.
fn like(asked: Option<&Payload>, bytes: Bytes) -> Payload {
    match asked {
        Some(Payload::Text(_)) => {
            Utf8Bytes::try_from(bytes.clone()).map_or(Payload::Binary(bytes), Payload::Text)
        }
        _ => Payload::Binary(bytes),
    }
}

fn too_many_streams() -> Fault {
    let message = "this connection is sent as many streams as it may be: wait for one to end";
    Fault::resource_exhausted("TOO_MANY_STREAMS", message)
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
fn id_of(message: &Payload) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct WithId<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let Payload::Text(text) = message else { return None };
    serde_json::from_str::<WithId<'_>>(text).ok()?.id
}

fn refusal(gateway: &Gateway, fault: &Fault, id: Option<&RawValue>) -> Utf8Bytes {
    let request_id = RequestId::new();
    tracing::debug!(%request_id, %fault, "message refused");
    exception(&*gateway.envelope(), fault, &request_id, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_even_where_the_rest_is_no_frame() {
        let message = Payload::Text(r#"{"event":5,"id":"a"}"#.into());
        assert_eq!(id_of(&message).map(RawValue::get), Some("\"a\""));
        for text in ["", "[]", "{}", r#"{"id":null}"#, r#"{"id":1"#] {
            assert!(id_of(&Payload::Text(text.into())).is_none(), "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_cut_before_it_is_sent_back() {
        let EventName(name) = EventName::new(&"ü".repeat(1000));
        let fault = unknown(&name);
        assert!(fault.message().len() < 100, "{fault}");
    }
}
