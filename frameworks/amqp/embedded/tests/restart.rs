//! Going down and coming back: what is kept, what is lost, what clients see.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::ErrorKind;

use common::{
    Fixture, bind, confirms, connect, consume, exchange, next, publish, publish_with, queue,
    raw::Raw, table, text, within,
};
use lapin::{
    BasicProperties, ExchangeKind,
    options::{BasicGetOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use polyport_amqp_embedded::{EmbeddedBroker, QueueState};
use tokio::net::TcpStream;

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

/// The bodies in a queue, in order, and whether each was delivered before.
async fn content(broker: &EmbeddedBroker, queue: &str) -> Vec<(String, bool)> {
    let channel = connect(broker).await.create_channel().await.unwrap();
    let mut all = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(got) = within(channel.basic_get(queue.into(), options)).await.unwrap() {
        let delivery = got.delivery;
        all.push((String::from_utf8(delivery.data).unwrap(), delivery.redelivered));
    }
    all
}

#[tokio::test]
async fn persistent_messages_of_durable_queues_are_kept_and_the_rest_is_lost() {
    let on = Fixture::new().await;
    confirms(&on.channel).await;
    let transient = QueueDeclareOptions::default();
    let declared = on.channel.queue_declare("transient".into(), transient, FieldTable::default());
    within(declared).await.unwrap();
    queue(&on.channel, "durable", []).await;
    queue(&on.channel, "quorum", [("x-queue-type", text("quorum"))]).await;
    for name in ["transient", "durable", "quorum"] {
        publish_with(&on.channel, "", name, b"kept", persistent()).await;
        publish(&on.channel, "", name, "light").await;
    }
    within(on.broker.restart()).await.unwrap();
    assert_eq!(on.broker.queue("transient"), None);
    assert_eq!(content(&on.broker, "durable").await, [("kept".to_owned(), false)]);
    let both = [("kept".to_owned(), false), ("light".to_owned(), false)];
    assert_eq!(content(&on.broker, "quorum").await, both, "a quorum queue stores everything");
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_back_as_redelivered() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    for body in ["held", "waiting"] {
        publish_with(&on.channel, "", "q", body.as_bytes(), persistent()).await;
    }
    common::prefetch(&on.channel, 1).await;
    let mut consumer = consume(&on.channel, "q").await;
    assert_eq!(next(&mut consumer).await.data, b"held");
    within(on.broker.kill()).await.unwrap();
    let expected = [("held".to_owned(), true), ("waiting".to_owned(), false)];
    assert_eq!(content(&on.broker, "q").await, expected);
}

#[tokio::test]
async fn bindings_between_what_is_durable_are_kept() {
    let on = Fixture::new().await;
    exchange(&on.channel, "kept", ExchangeKind::Topic).await;
    let options = ExchangeDeclareOptions::default();
    let (kind, none) = (ExchangeKind::Fanout, FieldTable::default());
    within(on.channel.exchange_declare("lost".into(), kind, options, none)).await.unwrap();
    queue(&on.channel, "q", []).await;
    bind(&on.channel, "q", "kept", "a.*").await;
    bind(&on.channel, "q", "lost", "").await;
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::durable() };
    let mine = on.channel.queue_declare("".into(), exclusive, FieldTable::default());
    let mine = within(mine).await.unwrap().name().to_string();
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let key = "a.b".into();
    let bound = on.channel.queue_bind(mine.as_str().into(), "kept".into(), key, options, none);
    within(bound).await.unwrap();
    within(on.broker.restart()).await.unwrap();
    assert_eq!(on.broker.queue(&mine), None, "an exclusive queue goes with its connection");
    let connection = connect(&on.broker).await;
    let channel = connection.create_channel().await.unwrap();
    confirms(&channel).await;
    publish(&channel, "kept", "a.b", "1").await;
    assert_eq!(on.broker.queue("q").unwrap().ready, 1);
    let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
    let (kind, none) = (ExchangeKind::Fanout, FieldTable::default());
    let found = channel.exchange_declare("lost".into(), kind, options, none);
    assert_eq!(common::code(within(found).await), 404);
}

#[tokio::test]
async fn an_orderly_stop_says_320_and_a_crash_says_nothing() {
    let broker = EmbeddedBroker::start().await.unwrap();
    let mut raw = Raw::open(&broker, 0).await;
    let told = tokio::spawn(async move { raw.closed_with().await });
    within(broker.restart()).await.unwrap();
    assert_eq!(told.await.unwrap(), 320);
    let mut raw = Raw::open(&broker, 0).await;
    within(broker.kill()).await.unwrap();
    assert_eq!(raw.frame().await, None);
}

#[tokio::test]
async fn while_it_is_down_clients_are_refused_and_afterwards_the_address_is_the_same() {
    let broker = EmbeddedBroker::start().await.unwrap();
    let (address, url) = (broker.local_addr().unwrap(), broker.url());
    for orderly in [true, false] {
        if orderly {
            within(broker.go_down()).await
        } else {
            within(broker.crash()).await
        }
        let refused = TcpStream::connect(address).await.expect_err("it still listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let refused = broker.connect().expect_err("it still serves");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        within(broker.come_back()).await.unwrap();
        within(broker.come_back()).await.unwrap();
        assert_eq!(broker.url(), url);
        within(connect(&broker)).await;
    }
}

#[tokio::test]
async fn a_message_that_expires_meanwhile_is_dead_lettered() {
    let on = Fixture::new().await;
    confirms(&on.channel).await;
    queue(&on.channel, "dead", []).await;
    let arguments = table([
        ("x-message-ttl", AMQPValue::LongInt(50)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
    ]);
    let declared = QueueDeclareOptions::durable();
    within(on.channel.queue_declare("q".into(), declared, arguments)).await.unwrap();
    publish_with(&on.channel, "", "q", b"brief", persistent()).await;
    within(on.broker.restart()).await.unwrap();
    let now = within(on.broker.until(|now| now.queue("dead").ready == 1)).await;
    assert_eq!(now.queue("q"), QueueState::default());
}
