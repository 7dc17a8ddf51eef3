//! What the tests share: a broker with a lapin client, and shorthands.

#![allow(dead_code, reason = "each test file uses its own part of this module")]

pub(crate) mod raw;

use std::{future::Future, time::Duration};

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    ExchangeKind,
    message::Delivery,
    options::{
        BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use polyport_amqp_embedded::EmbeddedBroker;

/// Fails instead of hanging.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

/// A broker and a client of it.
pub(crate) struct Fixture {
    pub(crate) broker: EmbeddedBroker,
    pub(crate) connection: Connection,
    pub(crate) channel: Channel,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let broker = EmbeddedBroker::start().await.unwrap();
        let connection = connect(&broker).await;
        let channel = connection.create_channel().await.unwrap();
        Self { broker, connection, channel }
    }

    pub(crate) async fn another_channel(&self) -> Channel {
        self.connection.create_channel().await.unwrap()
    }

    /// Ready and unacknowledged messages.
    pub(crate) fn depth(&self, queue: &str) -> (usize, usize) {
        let depth = self.broker.queue(queue).unwrap();
        (depth.ready, depth.unacked)
    }
}

pub(crate) async fn connect(broker: &EmbeddedBroker) -> Connection {
    within(Connection::connect(&broker.url(), ConnectionProperties::default())).await.unwrap()
}

/// A connection that its client gives a name to.
pub(crate) async fn connect_as(broker: &EmbeddedBroker, name: &str) -> Connection {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    within(Connection::connect(&broker.url(), properties)).await.unwrap()
}

pub(crate) fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

pub(crate) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Declares a durable queue.
pub(crate) async fn queue<const N: usize>(
    channel: &Channel,
    name: &str,
    arguments: [(&str, AMQPValue); N],
) {
    let declared =
        channel.queue_declare(name.into(), QueueDeclareOptions::durable(), table(arguments));
    within(declared).await.unwrap();
}

pub(crate) async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    within(channel.exchange_declare(name.into(), kind, options, FieldTable::default()))
        .await
        .unwrap();
}

pub(crate) async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) {
    let options = QueueBindOptions::default();
    let bound = channel.queue_bind(
        queue.into(),
        exchange.into(),
        key.into(),
        options,
        FieldTable::default(),
    );
    within(bound).await.unwrap();
}

pub(crate) async fn confirms(channel: &Channel) {
    within(channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
}

pub(crate) async fn prefetch(channel: &Channel, count: u16) {
    within(channel.basic_qos(count, BasicQosOptions::default())).await.unwrap();
}

/// Publishes and waits for the confirm, where the channel asks for one.
pub(crate) async fn publish_with(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> Confirmation {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let published = channel.basic_publish(exchange.into(), key.into(), options, body, properties);
    within(within(published).await.unwrap()).await.unwrap()
}

pub(crate) async fn publish(channel: &Channel, exchange: &str, key: &str, body: &str) {
    publish_with(channel, exchange, key, body.as_bytes(), BasicProperties::default()).await;
}

pub(crate) async fn consume(channel: &Channel, queue: &str) -> Consumer {
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    within(channel.basic_consume(queue.into(), "".into(), options, arguments)).await.unwrap()
}

pub(crate) async fn next(consumer: &mut Consumer) -> Delivery {
    within(consumer.next()).await.expect("the consumer was cancelled").unwrap()
}

pub(crate) async fn next_body(consumer: &mut Consumer) -> String {
    String::from_utf8(next(consumer).await.data).unwrap()
}

/// The reply code of a channel or connection exception.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, lapin::Error>) -> u16 {
    match result.unwrap_err().kind() {
        lapin::ErrorKind::ProtocolError(error) => error.get_id(),
        other => panic!("no protocol error: {other:?}"),
    }
}
