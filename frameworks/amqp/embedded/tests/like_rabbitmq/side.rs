//! A broker of either kind, with names of one's own on it.

use std::{
    env,
    future::Future,
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lapin::{
    Channel, Connection, ConnectionProperties, Queue,
    message::{BasicGetMessage, Delivery},
    options::{BasicGetOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use polyport_amqp_embedded::EmbeddedBroker;
use tokio::{sync::Mutex, time::sleep};

use crate::common::{code, table, within};

/// One side of the comparison.
pub(crate) struct Side {
    url: String,
    prefix: String,
    pub(crate) connection: Connection,
    pub(crate) channel: Channel,
    queues: Mutex<Vec<String>>,
}

pub(crate) async fn with_embedded<F: Future<Output = Side>>(test: impl FnOnce(Side) -> F) {
    let broker = EmbeddedBroker::start().await.unwrap();
    test(Side::at(&broker.url()).await).await;
}

pub(crate) async fn with_rabbitmq<F: Future<Output = Side>>(test: impl FnOnce(Side) -> F) {
    let Ok(url) = env::var("POLYPORT_TEST_AMQP_URL") else {
        return; // Nothing to compare with.
    };
    test(Side::at(&url).await).await.clean_up().await;
}

impl Side {
    async fn at(url: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let connection = connected(url).await;
        let channel = connection.create_channel().await.unwrap();
        let prefix = format!("like.{}.{now}.{count}", process::id());
        Self { url: url.to_owned(), prefix, connection, channel, queues: Mutex::default() }
    }

    /// A name that no other test uses.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    pub(crate) async fn another_connection(&self) -> Connection {
        connected(&self.url).await
    }

    pub(crate) async fn another_channel(&self) -> Channel {
        within(self.connection.create_channel()).await.unwrap()
    }

    /// A durable queue that is deleted in the end; returns its name.
    pub(crate) async fn queue<const N: usize>(
        &self,
        name: &str,
        arguments: [(&str, AMQPValue); N],
    ) -> String {
        let name = self.name(name);
        self.queues.lock().await.push(name.clone());
        declare(&self.channel, &name, table(arguments)).await.unwrap();
        name
    }

    /// The code and the text with which a declaration of a queue is refused, if it is.
    pub(crate) async fn refusal<const N: usize>(
        &self,
        name: &str,
        arguments: [(&str, AMQPValue); N],
    ) -> Option<u16> {
        let channel = self.another_channel().await;
        let declared = declare(&channel, &self.name(name), table(arguments)).await;
        declared.is_err().then(|| code(declared))
    }

    /// Whether a queue exists, by a passive declaration on a channel of its own.
    pub(crate) async fn exists(&self, queue: &str) -> bool {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let channel = self.another_channel().await;
        let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
        within(declared).await.is_ok()
    }

    /// Gets a message, which RabbitMQ may show a little later.
    pub(crate) async fn get(&self, queue: &str) -> BasicGetMessage {
        let looked = async {
            loop {
                if let Some(message) = self.try_get(queue).await {
                    return message;
                }
                // Nothing tells when a message without a consumer has come.
                sleep(Duration::from_millis(10)).await;
            }
        };
        within(looked).await
    }

    pub(crate) async fn try_get(&self, queue: &str) -> Option<BasicGetMessage> {
        let got = self.channel.basic_get(queue.into(), BasicGetOptions::default());
        within(got).await.unwrap()
    }

    /// Waits until so many messages are ready in a queue.
    pub(crate) async fn until_ready(&self, queue: &str, count: u32) {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let looked = async {
            loop {
                let declared =
                    self.channel.queue_declare(queue.into(), options, FieldTable::default());
                if declared.await.unwrap().message_count() == count {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        within(looked).await;
    }

    async fn clean_up(self) {
        let channel = self.another_channel().await;
        for queue in self.queues.lock().await.iter() {
            let deleted =
                channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
            let _ = within(deleted).await;
        }
    }
}

async fn connected(url: &str) -> Connection {
    within(Connection::connect(url, ConnectionProperties::default())).await.unwrap()
}

pub(crate) async fn declare(
    channel: &Channel,
    name: &str,
    arguments: FieldTable,
) -> lapin::Result<Queue> {
    within(channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments)).await
}

pub(crate) fn quorum() -> (&'static str, AMQPValue) {
    ("x-queue-type", AMQPValue::LongString("quorum".into()))
}

pub(crate) fn header<'a>(delivery: &'a Delivery, key: &str) -> Option<&'a AMQPValue> {
    delivery.properties.headers().as_ref()?.inner().get(key)
}

/// What a message has in `x-death`, without the times.
pub(crate) fn deaths(delivery: &Delivery) -> Vec<FieldTable> {
    let deaths = header(delivery, "x-death").unwrap().as_array().unwrap();
    let tables = deaths.as_slice().iter().map(|death| death.as_field_table().unwrap());
    let without_time = |death: &FieldTable| {
        let mut entries = death.inner().clone();
        assert!(matches!(entries.remove("time"), Some(AMQPValue::Timestamp(_))));
        FieldTable::from(entries)
    };
    tables.map(without_time).collect()
}
