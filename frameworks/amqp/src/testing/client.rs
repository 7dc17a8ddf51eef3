//! The client.

use std::{fmt::Display, future::Future, sync::Arc};

use polyport_bootstrap::testing::{Recorder, or_panic};
use serde::Serialize;
use tokio::sync::Mutex;

use super::{
    TestMessage,
    channel::{TestChannel, next},
    must,
};
use crate::{
    AmqpSettings, Message, PublishError, broker::Broker, connection::Link, headers,
    request::REPLY_TO,
};

/// A plain AMQP client. Connects when it is first used; whatever fails, or takes longer than 10 s,
/// is a panic that says what was done, and at which line of the test. A cheap handle.
#[derive(Debug, Clone)]
pub struct AmqpClient {
    broker: Broker,
    link: Arc<Mutex<Option<Arc<Link>>>>,
    /// Of the application under test.
    pub(super) recorder: Option<Recorder>,
}

impl AmqpClient {
    /// A client of the broker at `url`.
    ///
    /// # Panics
    /// Panics where that is no URL of a broker.
    #[must_use]
    #[track_caller]
    pub fn new(url: &str) -> Self {
        Self::of(must(Broker::parse(url, "the URL"), "an AMQP client"), None)
    }

    pub(super) fn of(broker: Broker, recorder: Option<Recorder>) -> Self {
        Self { broker, link: Arc::default(), recorder }
    }

    /// Publishes `value` as JSON, and waits for the confirmation. Returns the message's id.
    ///
    /// # Panics
    /// Panics where no queue takes the message, and where the broker refuses it.
    #[track_caller]
    pub fn publish<T: Serialize + ?Sized>(
        &self,
        exchange: &str,
        routing_key: &str,
        value: &T,
    ) -> impl Future<Output = String> {
        let message = Message::json(exchange, routing_key, value);
        self.done(self.try_send(message))
    }

    /// Publishes bytes as they are, and waits for the confirmation. Returns the message's id.
    ///
    /// # Panics
    /// Panics where no queue takes the message, and where the broker refuses it.
    #[track_caller]
    pub fn publish_bytes(
        &self,
        exchange: &str,
        routing_key: &str,
        body: &str,
    ) -> impl Future<Output = String> {
        self.send(Message::new(exchange, routing_key, body.to_owned()))
    }

    /// Publishes a message, and waits for the confirmation. Returns the message's id.
    ///
    /// # Panics
    /// Panics where no queue takes the message, and where the broker refuses it.
    #[track_caller]
    pub fn send(&self, message: Message) -> impl Future<Output = String> {
        self.done(self.try_send(Ok(message)))
    }

    async fn try_send(&self, message: Result<Message, PublishError>) -> Result<String, String> {
        let message = message.and_then(Message::into_outgoing).map_err(in_words)?;
        let id = message.properties.message_id().clone().unwrap_or_default().to_string();
        let channel = self.channel().await?;
        channel.publish(message).await?;
        channel.close().await?;
        Ok(id)
    }

    /// Sends `value` to a queue and waits for the reply, as any client does over RabbitMQ's direct
    /// reply-to. [`TestMessage::value`] is the value or the fault in it.
    ///
    /// # Panics
    /// Panics where there is no such queue, no reply comes, or one to another request.
    #[track_caller]
    pub fn request<T: Serialize + ?Sized>(
        &self,
        queue: &str,
        value: &T,
    ) -> impl Future<Output = TestMessage> {
        let message = Message::json("", queue, value);
        self.done(self.ask(message))
    }

    /// Sends a message to its queue and waits for the reply.
    ///
    /// # Panics
    /// Panics where there is no such queue, no reply comes, or one to another request.
    #[track_caller]
    pub fn request_message(&self, message: Message) -> impl Future<Output = TestMessage> {
        self.done(self.ask(Ok(message)))
    }

    /// Sends `value` to a queue and waits for all replies to it, up to the one with the header
    /// `x-polyport-last`.
    ///
    /// # Panics
    /// Panics where there is no such queue, or a reply does not come.
    #[track_caller]
    pub fn request_items<T: Serialize + ?Sized>(
        &self,
        queue: &str,
        value: &T,
    ) -> impl Future<Output = Vec<TestMessage>> {
        let message = Message::json("", queue, value);
        let is_last = |reply: &TestMessage| reply.header(headers::LAST).is_some();
        self.done(self.ask_until(message, is_last))
    }

    async fn ask(&self, message: Result<Message, PublishError>) -> Result<TestMessage, String> {
        Ok(self.ask_until(message, |_| true).await?.remove(0))
    }

    async fn ask_until(
        &self,
        message: Result<Message, PublishError>,
        is_last: impl Fn(&TestMessage) -> bool,
    ) -> Result<Vec<TestMessage>, String> {
        let id = uuid::Uuid::now_v7().to_string();
        let message = message.map(|message| message.correlation_id(&id).reply_to(REPLY_TO));
        let message = message.and_then(Message::into_outgoing).map_err(in_words)?;
        let what = format!("a reply of queue {:?}", message.routing_key.as_str());
        let channel = self.channel().await?;
        let mut replies = channel.consume(REPLY_TO, true).await?;
        channel.publish(message).await?;
        let mut received = Vec::new();
        while !received.last().is_some_and(&is_last) {
            let reply = next(&mut replies, &what).await?;
            if reply.correlation_id().as_ref() != Some(&id) {
                return Err(format!("{what}: it is to another request, {reply:?}"));
            }
            received.push(reply);
        }
        channel.close().await?;
        Ok(received)
    }

    /// Waits for the next message of a queue, and takes it.
    ///
    /// # Panics
    /// Panics where none comes.
    #[track_caller]
    pub fn expect_on(&self, queue: &str) -> impl Future<Output = TestMessage> {
        self.done(async move {
            let channel = self.channel().await?;
            let message = channel.first(queue).await?;
            channel.close().await.map(|()| message)
        })
    }

    /// Takes the next message of a queue, if there is one now.
    ///
    /// # Panics
    /// Panics where there is no such queue.
    #[track_caller]
    pub fn get(&self, queue: &str) -> impl Future<Output = Option<TestMessage>> {
        self.done(async move {
            let channel = self.channel().await?;
            let message = channel.get(queue).await?;
            channel.close().await.map(|()| message)
        })
    }

    /// How many messages wait in a queue.
    ///
    /// # Panics
    /// Panics where there is no such queue.
    #[track_caller]
    pub fn queue_depth(&self, queue: &str) -> impl Future<Output = u32> {
        self.done(async move {
            let channel = self.channel().await?;
            let depth = channel.depth(queue).await?;
            channel.close().await.map(|()| depth)
        })
    }

    /// Deletes every message of a queue that is with no consumer.
    ///
    /// # Panics
    /// Panics where there is no such queue.
    #[track_caller]
    pub fn purge(&self, queue: &str) -> impl Future<Output = ()> {
        self.done(async move {
            let channel = self.channel().await?;
            channel.purge(queue).await?;
            channel.close().await
        })
    }

    /// Deletes a queue with what is in it; one that does not exist is fine.
    ///
    /// # Panics
    /// Panics where the broker refuses.
    #[track_caller]
    pub fn delete(&self, queue: &str) -> impl Future<Output = ()> {
        self.done(async move {
            let channel = self.channel().await?;
            channel.delete(queue).await?;
            channel.close().await
        })
    }

    /// What every method of the client is. A paused clock stands still while lapin works for it.
    #[track_caller]
    pub(super) fn done<T>(
        &self,
        work: impl Future<Output = Result<T, String>>,
    ) -> impl Future<Output = T> {
        or_panic(self.broker.pace().around(work))
    }

    async fn channel(&self) -> Result<TestChannel, String> {
        let mut link = self.link.lock().await;
        let link = match &*link {
            Some(link) if link.is_up() => link,
            _ => link.insert(self.connect().await?),
        };
        let channel = link.channel().await;
        channel.map(TestChannel).map_err(|error| format!("a channel: {error}"))
    }

    async fn connect(&self) -> Result<Arc<Link>, String> {
        let opened = Link::open(&self.broker, "test", &AmqpSettings::default()).await;
        opened.map(Arc::new).map_err(|error| format!("connect to {}: {error}", self.broker))
    }
}

fn in_words(error: impl Display) -> String {
    format!("a message: {error}")
}
