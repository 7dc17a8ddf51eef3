//! Messages: posted by any protocol, carried by the broker, stored, and pushed.

mod operations;
mod repo;
mod subscribers;

use std::{sync::Arc, time::SystemTime};

use polyport::{amqp, prelude::*};
use polyport_proto::im::v1 as pb;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use repo::MessageRepo;

/// The exchange that messages are published to, with the key `message.{room}`.
pub(crate) const EXCHANGE: &str = "im";
const QUEUE: &str = "im.messages";
const KEY_PREFIX: &str = "message.";

/// A message in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// What the message is known by.
    pub id: String,
    /// Where it was said.
    pub room: String,
    /// Who said it.
    #[sqlx(rename = "sender")]
    pub from: String,
    /// What was said.
    pub text: String,
    /// When (RFC 3339).
    pub sent_at: String,
}

impl Message {
    fn new(room: String, from: String, text: String) -> Self {
        let sent_at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        Self { id: Uuid::now_v7().to_string(), room, from, text, sent_at }
    }
}

/// What becomes of a message on its way.
#[derive(Provide)]
struct Chat {
    #[app]
    amqp: AmqpApp,
    #[app]
    websocket: WebSocketApp,
    #[inject]
    messages: Arc<dyn MessageRepo>,
    #[inject]
    subscribers: Arc<subscribers::Subscribers>,
}

impl Chat {
    /// Publishes a message; it is safe with the broker when this returns.
    async fn post(&self, message: &Message) -> Result<(), Fault> {
        let key = format!("{KEY_PREFIX}{}", message.room);
        let outgoing = amqp::Message::json(EXCHANGE, key, message)?;
        let outgoing = outgoing.message_id(&message.id).mandatory();
        Ok(self.amqp.publish_message(outgoing).await?)
    }

    /// Stores a message that came from the broker and pushes it to its room. One that was
    /// delivered before is neither stored nor pushed again.
    async fn deliver(&self, message: Message) -> Result<(), Fault> {
        if self.messages.insert(&message).await? {
            self.websocket.room(&message.room).emit("message", &message)?;
            self.subscribers.push(message);
        }
        Ok(())
    }
}

pub(crate) struct MessageModule;

impl Module for MessageModule {
    fn name(&self) -> &str {
        "message"
    }

    fn depends_on(&self) -> Vec<&str> {
        vec!["store"]
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        use operations::{deliver_message, list_messages, send_message, subscribe};
        const MESSAGES: &str = "/rooms/{room}/messages";
        m.bind::<dyn MessageRepo, repo::SqlMessageRepo>(|repo| repo)
            .provide::<subscribers::Subscribers>()
            .provide::<Chat>()
            .http(|r| {
                r.post(MESSAGES, send_message)
                    .status(StatusCode::ACCEPTED)
                    .get(MESSAGES, list_messages)
            })
            .websocket(|g| g.on("messages.send", send_message).on("messages.list", list_messages))
            .grpc(|s| {
                s.unary::<pb::SendMessageRequest, pb::SendMessageResponse>(
                    "im.v1.ChatService/SendMessage",
                    send_message,
                )
                .unary::<pb::ListMessagesRequest, pb::ListMessagesResponse>(
                    "im.v1.ChatService/ListMessages",
                    list_messages,
                )
                .server_streaming::<pb::SubscribeRequest, pb::Message>(
                    "im.v1.ChatService/Subscribe",
                    subscribe,
                )
            })
            .amqp(|q| {
                q.exchange(Exchange::topic(EXCHANGE))
                    .queue(Queue::new(QUEUE).bind(EXCHANGE, "message.*"))
                    .consume(QUEUE, deliver_message)
            });
        Ok(())
    }
}
