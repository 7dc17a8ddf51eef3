//! A client for tests, on a connection of its own: `app.amqp()`.

mod fate;
mod message;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Channel, Confirmation,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions,
        BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
        QueuePurgeOptions,
    },
    types::FieldTable,
};
use polyport_bootstrap::{
    DEFAULT_NAME,
    testing::{Recorder, TestApp},
};
use serde::Serialize;
use tokio::{sync::Mutex, time::timeout};

pub use self::message::TestMessage;
use crate::{
    AmqpApp, AmqpSettings, Message, broker::Broker, connection::Link, headers, publisher::Outgoing,
    request::REPLY_TO,
};

/// How long a test waits for the broker, or for a message.
const LIMIT: Duration = Duration::from_secs(15);

/// Clients of the AMQP frameworks of an application under test.
///
/// # Examples
/// ```no_run
/// use polyport_amqp::testing::AmqpTest;
/// use polyport_bootstrap::testing::TestApp;
///
/// async fn parks_what_is_malformed(app: TestApp) {
///     let amqp = app.amqp();
///     let id = amqp.publish_bytes("im", "message.lobby", "not JSON").await;
///     let parked = amqp.expect_dead_lettered("im.messages", &id).await;
///     assert_eq!(parked.reason.as_deref(), Some("INVALID_INPUT"));
///     assert_eq!(amqp.expect_on("im.messages.dead").await.body(), b"not JSON");
/// }
/// ```
pub trait AmqpTest {
    /// A client of the broker of the AMQP framework named `default`.
    ///
    /// # Panics
    /// Panics where no such framework is loaded.
    fn amqp(&self) -> AmqpClient {
        self.amqp_on(DEFAULT_NAME)
    }

    /// A client of the broker of the AMQP framework of this name.
    ///
    /// # Panics
    /// Panics where no such framework is loaded.
    fn amqp_on(&self, name: &str) -> AmqpClient;
}

impl AmqpTest for TestApp {
    fn amqp_on(&self, name: &str) -> AmqpClient {
        let app = must(self.app_named::<AmqpApp>(name), "the AMQP framework");
        let broker = app.broker_address().cloned();
        let broker = must(broker.ok_or("it has not started"), "the broker's address");
        AmqpClient { recorder: Some(self.recorder().clone()), ..AmqpClient::of(broker) }
    }
}

/// A plain AMQP client. Connects when it is first used; whatever fails, or takes longer than 15 s,
/// is a panic that says what was done. A cheap handle.
#[derive(Debug, Clone)]
pub struct AmqpClient {
    broker: Broker,
    link: Arc<Mutex<Option<Arc<Link>>>>,
    /// Of the application under test.
    recorder: Option<Recorder>,
}

impl AmqpClient {
    /// A client of the broker at `url`.
    ///
    /// # Panics
    /// Panics where that is no URL of a broker.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self::of(must(Broker::parse(url, "the URL"), "a client"))
    }

    fn of(broker: Broker) -> Self {
        Self { broker, link: Arc::default(), recorder: None }
    }

    /// Publishes `value` as JSON, and waits for the confirmation. Returns the message's id.
    ///
    /// # Panics
    /// Panics where no queue takes the message.
    pub async fn publish<T: Serialize + ?Sized>(
        &self,
        exchange: &str,
        routing_key: &str,
        value: &T,
    ) -> String {
        self.send(must(Message::json(exchange, routing_key, value), "a message")).await
    }

    /// Publishes bytes as they are, and waits for the confirmation. Returns the message's id.
    ///
    /// # Panics
    /// Panics where no queue takes the message.
    pub async fn publish_bytes(&self, exchange: &str, routing_key: &str, body: &str) -> String {
        self.send(Message::new(exchange, routing_key, body.to_owned())).await
    }

    /// Publishes a message, and waits for the confirmation. Returns the message's id.
    ///
    /// # Panics
    /// Panics where no queue takes the message.
    pub async fn send(&self, message: Message) -> String {
        self.in_pace(async {
            let message = must(message.into_outgoing(), "a message");
            let id = message.properties.message_id().clone().unwrap_or_default().to_string();
            let what = format!("publish to exchange {:?}", message.exchange.as_str());
            let channel = self.channel().await;
            within(channel.confirm_select(ConfirmSelectOptions::default()), "confirm.select").await;
            let confirmation = publish(&channel, message, &what).await;
            let returned = confirmation.take_message().map(|message| message.reply_text);
            assert!(returned.is_none(), "{what}: {}", returned.unwrap_or_default());
            close(&channel).await;
            id
        })
        .await
    }

    /// Sends `value` to a queue and waits for the reply, as any client does over RabbitMQ's direct
    /// reply-to. [`TestMessage::value`] is the value or the fault in it.
    ///
    /// # Panics
    /// Panics where no reply comes, or one to another request.
    pub async fn request<T: Serialize + ?Sized>(&self, queue: &str, value: &T) -> TestMessage {
        let id = uuid::Uuid::now_v7().to_string();
        let message = must(Message::json("", queue, value), "a message");
        self.ask(message.correlation_id(&id).reply_to(REPLY_TO), &id).await
    }

    /// Sends `value` to a queue and waits for all replies to it, up to the one with the header
    /// `x-polyport-last`.
    ///
    /// # Panics
    /// Panics where one does not come.
    pub async fn request_items<T: Serialize + ?Sized>(
        &self,
        queue: &str,
        value: &T,
    ) -> Vec<TestMessage> {
        let id = uuid::Uuid::now_v7().to_string();
        let message = must(Message::json("", queue, value), "a message");
        let message = message.correlation_id(&id).reply_to(REPLY_TO);
        self.ask_until(message, &id, |reply| reply.header(headers::LAST).is_some()).await
    }

    /// Sends a message to its queue and waits for the reply.
    ///
    /// # Panics
    /// Panics where no reply comes, or one to another request.
    pub async fn request_message(&self, message: Message) -> TestMessage {
        let id = uuid::Uuid::now_v7().to_string();
        self.ask(message.correlation_id(&id).reply_to(REPLY_TO), &id).await
    }

    async fn ask(&self, message: Message, id: &str) -> TestMessage {
        self.ask_until(message, id, |_| true).await.remove(0)
    }

    async fn ask_until(
        &self,
        message: Message,
        id: &str,
        is_last: impl Fn(&TestMessage) -> bool,
    ) -> Vec<TestMessage> {
        self.in_pace(async {
            let channel = self.channel().await;
            let mut replies = consume(&channel, REPLY_TO, true).await;
            let message = must(message.into_outgoing(), "a message");
            let what = format!("request to {:?}", message.routing_key.as_str());
            publish(&channel, message, &what).await;
            let mut received = Vec::new();
            while !received.last().is_some_and(&is_last) {
                let reply = next(&mut replies, &format!("a reply to the {what}")).await;
                assert_eq!(
                    reply.correlation_id().as_deref(),
                    Some(id),
                    "the reply to another request"
                );
                received.push(reply);
            }
            close(&channel).await;
            received
        })
        .await
    }

    /// Waits for the next message of a queue, and takes it.
    ///
    /// # Panics
    /// Panics where none comes.
    pub async fn expect_on(&self, queue: &str) -> TestMessage {
        self.in_pace(async {
            let channel = self.channel().await;
            within(channel.basic_qos(1, BasicQosOptions::default()), "basic.qos").await;
            let mut messages = consume(&channel, queue, false).await;
            let message = next(&mut messages, &format!("a message in queue {queue:?}")).await;
            within(channel.basic_ack(message.tag, BasicAckOptions::default()), "basic.ack").await;
            close(&channel).await;
            message
        })
        .await
    }

    /// Takes the next message of a queue, if there is one now.
    ///
    /// # Panics
    /// Panics where there is no such queue.
    pub async fn get(&self, queue: &str) -> Option<TestMessage> {
        self.in_pace(async {
            let channel = self.channel().await;
            let options = BasicGetOptions { no_ack: true };
            let message = within(channel.basic_get(queue.into(), options), queue).await;
            close(&channel).await;
            message.map(|message| TestMessage::new(message.delivery))
        })
        .await
    }

    /// How many messages wait in a queue.
    ///
    /// # Panics
    /// Panics where there is no such queue.
    pub async fn queue_depth(&self, queue: &str) -> u32 {
        self.in_pace(async {
            let channel = self.channel().await;
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
            let depth = within(declared, queue).await.message_count();
            close(&channel).await;
            depth
        })
        .await
    }

    /// Deletes every message of a queue that is with no consumer.
    ///
    /// # Panics
    /// Panics where there is no such queue.
    pub async fn purge(&self, queue: &str) {
        self.in_pace(async {
            let channel = self.channel().await;
            within(channel.queue_purge(queue.into(), QueuePurgeOptions::default()), queue).await;
            close(&channel).await;
        })
        .await
    }

    /// Deletes a queue with what is in it; one that does not exist is fine.
    ///
    /// # Panics
    /// Panics where the broker refuses.
    pub async fn delete(&self, queue: &str) {
        self.in_pace(async {
            let channel = self.channel().await;
            within(channel.queue_delete(queue.into(), QueueDeleteOptions::default()), queue).await;
            close(&channel).await;
        })
        .await
    }

    /// A paused clock stands still while lapin works for this client.
    async fn in_pace<T>(&self, work: impl Future<Output = T>) -> T {
        self.broker.pace().around(work).await
    }

    async fn channel(&self) -> Channel {
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| link.is_up()) {
            return must(link.channel().await, "a channel");
        }
        let opened = Link::open(&self.broker, "test", &AmqpSettings::default()).await;
        let opened = link.insert(Arc::new(must(opened, &format!("connect to {}", self.broker))));
        must(opened.channel().await, "a channel")
    }
}

async fn publish(channel: &Channel, message: Outgoing, what: &str) -> Confirmation {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let Outgoing { exchange, routing_key, properties, body, .. } = message;
    let published = async {
        let sent = channel.basic_publish(exchange, routing_key, options, &body, properties);
        sent.await?.await
    };
    within(published, what).await
}

async fn consume(channel: &Channel, queue: &str, no_ack: bool) -> lapin::Consumer {
    let options = BasicConsumeOptions { no_ack, ..BasicConsumeOptions::default() };
    let consuming = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
    within(consuming, queue).await
}

async fn next(messages: &mut lapin::Consumer, what: &str) -> TestMessage {
    let message = must(timeout(LIMIT, messages.next()).await, what);
    TestMessage::new(must(must(message.ok_or("the consumer was cancelled"), what), what))
}

async fn close(channel: &Channel) {
    within(channel.close(200, "OK".into()), "channel.close").await;
}

async fn within<T>(answer: impl Future<Output = lapin::Result<T>>, what: &str) -> T {
    must(must(timeout(LIMIT, answer).await, what), what)
}

#[track_caller]
#[allow(clippy::panic, reason = "a test ends where it fails")]
fn must<T, E: fmt::Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("AMQP test client, {what}: {error}"))
}
