//! What can be done with messages, and their shapes on gRPC.

use futures_util::Stream;
use garde::Validate;
use polyport::prelude::*;
use polyport_proto::im::v1 as pb;
use serde::{Deserialize, Serialize};

use super::{Chat, KEY_PREFIX, Message, MessageRepo, subscribers::Subscribers};
use crate::rooms::room_name;

const DEFAULT_LIMIT: u32 = 50;

#[derive(Debug, Deserialize, Validate)]
pub(super) struct SendMessage {
    #[garde(custom(room_name))]
    room: String,
    #[garde(length(min = 1, max = 64))]
    from: String,
    #[garde(length(min = 1, max = 10_000))]
    text: String,
}

/// The answer to a message that was taken.
#[derive(Debug, Serialize)]
pub(super) struct Sent {
    id: String,
}

/// Takes a message: it is safe with the broker when the answer arrives.
pub(super) async fn send_message(
    Inject(chat): Inject<Chat>,
    Input(input): Input<SendMessage>,
) -> Result<Sent, Fault> {
    let message = Message::new(input.room, input.from, input.text);
    chat.post(&message).await?;
    Ok(Sent { id: message.id })
}

#[derive(Debug, Deserialize, Validate)]
pub(super) struct ListMessages {
    #[garde(custom(room_name))]
    room: String,
    #[garde(range(min = 1, max = 500))]
    #[serde(default = "default_limit")]
    limit: u32,
}

const fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

/// Messages of one room, newest last.
#[derive(Debug, Serialize)]
pub(super) struct Messages(Vec<Message>);

/// The last messages of a room, newest last.
pub(super) async fn list_messages(
    Inject(messages): Inject<dyn MessageRepo>,
    Input(input): Input<ListMessages>,
) -> Result<Messages, Fault> {
    Ok(Messages(messages.last(&input.room, input.limit).await?))
}

#[derive(Debug, Deserialize, Validate)]
pub(super) struct Subscribe {
    #[garde(custom(room_name))]
    room: String,
}

/// Every message of a room from now on.
pub(super) async fn subscribe(
    Inject(subscribers): Inject<Subscribers>,
    Input(input): Input<Subscribe>,
) -> Result<impl Stream<Item = Result<Message, Fault>> + Send + 'static, Fault> {
    Ok(subscribers.subscribe(input.room))
}

/// A message as it comes from the broker. Whoever publishes it may leave out what we add.
#[derive(Debug, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub(super) struct Incoming {
    #[garde(inner(length(min = 1, max = 64)))]
    id: Option<String>,
    #[garde(length(min = 1, max = 64))]
    from: String,
    #[garde(length(min = 1, max = 10_000))]
    text: String,
    #[garde(inner(length(min = 1, max = 64)))]
    sent_at: Option<String>,
}

/// Stores a message and pushes it to its room, which its routing key names.
pub(super) async fn deliver_message(
    Inject(chat): Inject<Chat>,
    delivery: Delivery,
    Input(input): Input<Incoming>,
) -> Result<(), Fault> {
    let room = delivery.routing_key().strip_prefix(KEY_PREFIX).unwrap_or_default();
    room_name(room, &()).map_err(|error| {
        Fault::invalid_argument("INVALID_ROOM", format!("routing key: {error}"))
    })?;
    let mut message = Message::new(room.to_owned(), input.from, input.text);
    if let Some(id) = input.id.or_else(|| delivery.message_id().map(str::to_owned)) {
        message.id = id;
    }
    if let Some(sent_at) = input.sent_at {
        message.sent_at = sent_at;
    }
    chat.deliver(message).await
}

impl From<pb::SendMessageRequest> for SendMessage {
    fn from(request: pb::SendMessageRequest) -> Self {
        Self { room: request.room, from: request.from, text: request.text }
    }
}

impl From<Sent> for pb::SendMessageResponse {
    fn from(sent: Sent) -> Self {
        Self { id: sent.id }
    }
}

/// Protobuf cannot tell an absent limit from 0.
impl From<pb::ListMessagesRequest> for ListMessages {
    fn from(request: pb::ListMessagesRequest) -> Self {
        let limit = if request.limit == 0 { DEFAULT_LIMIT } else { request.limit };
        Self { room: request.room, limit }
    }
}

impl From<Messages> for pb::ListMessagesResponse {
    fn from(Messages(messages): Messages) -> Self {
        Self { messages: messages.into_iter().map(Into::into).collect() }
    }
}

impl From<pb::SubscribeRequest> for Subscribe {
    fn from(request: pb::SubscribeRequest) -> Self {
        Self { room: request.room }
    }
}

impl From<Message> for pb::Message {
    fn from(message: Message) -> Self {
        let Message { id, room, from, text, sent_at } = message;
        Self { id, room, from, text, sent_at }
    }
}
