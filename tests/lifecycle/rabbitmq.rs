//! Queues of a RabbitMQ, as any client sees them.

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, QueueDeclareOptions},
    types::FieldTable,
};
use polyport::testing::AmqpClient;
use polyport_proto::helloworld::HelloRequest;

use crate::program::{unique, within};

/// A queue that no other test uses, as any client sees it.
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) client: AmqpClient,
    url: String,
}

impl Queue {
    pub(crate) fn on(url: &str) -> Self {
        Self { name: unique(), client: AmqpClient::new(url), url: url.to_owned() }
    }

    /// What the name of a queue that belongs to it ends in.
    pub(crate) fn beside(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name)
    }

    /// Sends what operations of the fixtures take.
    pub(crate) async fn send(&self, queue: &str, name: &str) {
        self.client.publish("", queue, &HelloRequest { name: name.to_owned() }).await;
    }

    /// Declares the queue as polyport does, and publishes bare bodies: no header and no property.
    pub(crate) async fn fill(&self, body: &str, count: usize) {
        let connection = Connection::connect(&self.url, ConnectionProperties::default());
        let connection = within(connection).await.expect("connects");
        let channel = connection.create_channel().await.expect("opens");
        self.declare(&channel).await;
        for _ in 0..count {
            let (name, options) = (self.name.as_str().into(), BasicPublishOptions::default());
            let properties = BasicProperties::default();
            let sent = channel.basic_publish("".into(), name, options, body.as_bytes(), properties);
            sent.await.expect("is sent").await.expect("needs no confirmation");
        }
        // What was sent before it has arrived when this is answered.
        self.declare(&channel).await;
        connection.close(200, "done".into()).await.expect("closes");
    }

    async fn declare(&self, channel: &Channel) {
        let (name, options) = (self.name.as_str().into(), QueueDeclareOptions::durable());
        channel.queue_declare(name, options, FieldTable::default()).await.expect("is declared");
    }

    /// How many messages wait with the broker.
    pub(crate) async fn depth(&self) -> usize {
        self.client.queue_depth(&self.name).await as usize
    }

    pub(crate) async fn delete(self, suffixes: &[&str]) {
        self.client.delete(&self.name).await;
        for suffix in suffixes {
            self.client.delete(&self.beside(suffix)).await;
        }
    }
}
