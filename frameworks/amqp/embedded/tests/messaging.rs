//! Publishing, consuming and acknowledging, with lapin as the client.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{
    Fixture, bind, confirms, connect, consume, exchange, next, next_body, prefetch, publish,
    publish_with, queue, within,
};
use futures_util::{FutureExt, StreamExt};
use lapin::{
    BasicProperties, Confirmation, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions,
        BasicNackOptions, BasicQosOptions, BasicRecoverOptions, BasicRejectOptions,
        QueueDeclareOptions, QueuePurgeOptions,
    },
    types::{FieldTable, ShortString},
};

#[tokio::test]
async fn a_topic_exchange_routes_by_pattern_and_once_per_queue() {
    let on = Fixture::new().await;
    exchange(&on.channel, "im", ExchangeKind::Topic).await;
    for (name, keys) in [("rooms", ["message.*", "#.lobby"]), ("other", ["call.#", "x"])] {
        queue(&on.channel, name, []).await;
        bind(&on.channel, name, "im", keys[0]).await;
        bind(&on.channel, name, "im", keys[1]).await;
    }
    publish(&on.channel, "im", "message.lobby", "hello").await;
    let delivery = next(&mut consume(&on.channel, "rooms").await).await;
    assert_eq!(delivery.data, b"hello");
    assert_eq!(delivery.exchange.as_str(), "im");
    assert_eq!(delivery.routing_key.as_str(), "message.lobby");
    assert!(!delivery.redelivered);
    assert_eq!(on.depth("rooms"), (0, 1));
    assert_eq!(on.depth("other"), (0, 0));
}

#[tokio::test]
async fn direct_and_fanout_and_predeclared_exchanges_route() {
    let on = Fixture::new().await;
    for name in ["a", "b"] {
        queue(&on.channel, name, []).await;
        bind(&on.channel, name, "amq.direct", name).await;
        bind(&on.channel, name, "amq.fanout", "").await;
    }
    publish(&on.channel, "amq.direct", "a", "1").await;
    publish(&on.channel, "amq.fanout", "whatever", "2").await;
    publish(&on.channel, "", "b", "3").await;
    confirms(&on.channel).await;
    publish(&on.channel, "amq.direct", "b", "4").await;
    assert_eq!((on.depth("a"), on.depth("b")), ((2, 0), (3, 0)));
}

#[tokio::test]
async fn properties_and_headers_arrive_as_they_were_sent() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_message_id("42".into())
        .with_delivery_mode(2)
        .with_headers(common::table([("n", lapin::types::AMQPValue::LongInt(7))]));
    publish_with(&on.channel, "", "q", b"", properties.clone()).await;
    let delivery = next(&mut consume(&on.channel, "q").await).await;
    assert_eq!(delivery.properties, properties);
    assert!(delivery.data.is_empty());
}

#[tokio::test]
async fn every_publish_is_confirmed_in_order() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    confirms(&on.channel).await;
    let mut pending = Vec::new();
    for number in 0..500 {
        let body = format!("{number}");
        let key = ShortString::from("q");
        let options = Default::default();
        let properties = BasicProperties::default();
        let confirm =
            on.channel.basic_publish("".into(), key, options, body.as_bytes(), properties);
        pending.push(confirm.await.unwrap());
    }
    for confirm in pending {
        assert_eq!(within(confirm).await.unwrap(), Confirmation::Ack(None));
    }
    assert_eq!(on.depth("q"), (500, 0));
    let mut consumer = consume(&on.channel, "q").await;
    for number in 0..500 {
        assert_eq!(next_body(&mut consumer).await, number.to_string());
    }
}

#[tokio::test]
async fn an_unroutable_mandatory_message_comes_back_before_its_confirm() {
    let on = Fixture::new().await;
    confirms(&on.channel).await;
    let confirmation =
        publish_with(&on.channel, "", "nowhere", b"lost", BasicProperties::default()).await;
    let Confirmation::Ack(Some(returned)) = confirmation else {
        panic!("not returned: {confirmation:?}");
    };
    assert_eq!(returned.reply_code, 312);
    assert_eq!(returned.reply_text.as_str(), "NO_ROUTE");
    assert_eq!(returned.delivery.data, b"lost");
    assert_eq!(returned.delivery.routing_key.as_str(), "nowhere");
}

#[tokio::test]
async fn prefetch_holds_deliveries_back_until_an_ack() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    for body in ["1", "2", "3"] {
        publish(&on.channel, "", "q", body).await;
    }
    prefetch(&on.channel, 2).await;
    let mut consumer = consume(&on.channel, "q").await;
    let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
    assert_eq!(on.depth("q"), (1, 2));
    assert!(consumer.next().now_or_never().is_none());
    second.ack(BasicAckOptions { multiple: true }).await.unwrap();
    assert_eq!(next(&mut consumer).await.data, b"3");
    assert_eq!(on.depth("q"), (0, 1));
    drop(first);
}

#[tokio::test]
async fn a_global_prefetch_is_shared_by_the_consumers_of_the_channel() {
    let on = Fixture::new().await;
    for name in ["a", "b"] {
        queue(&on.channel, name, []).await;
        publish(&on.channel, "", name, "1").await;
        publish(&on.channel, "", name, "2").await;
    }
    within(on.channel.basic_qos(3, BasicQosOptions { global: true })).await.unwrap();
    let mut a = consume(&on.channel, "a").await;
    let mut b = consume(&on.channel, "b").await;
    let (first, _second, _third) = (next(&mut a).await, next(&mut a).await, next(&mut b).await);
    assert_eq!((on.depth("a"), on.depth("b")), ((0, 2), (1, 1)));
    first.ack(BasicAckOptions::default()).await.unwrap();
    assert_eq!(next_body(&mut b).await, "2");
}

#[tokio::test]
async fn consumers_take_turns() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push(consume(&on.channel, "q").await);
    }
    for number in 0..9 {
        publish(&on.channel, "", "q", &number.to_string()).await;
    }
    for (turn, consumer) in consumers.iter_mut().enumerate() {
        for round in 0..3 {
            assert_eq!(next_body(consumer).await, (round * 3 + turn).to_string());
        }
    }
}

#[tokio::test]
async fn closing_a_channel_requeues_in_the_original_order_and_marks_redelivery() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    for number in 0..6 {
        publish(&on.channel, "", "q", &number.to_string()).await;
    }
    let doomed = on.another_channel().await;
    prefetch(&doomed, 4).await;
    let mut consumer = consume(&doomed, "q").await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(next(&mut consumer).await);
    }
    held[2].ack(BasicAckOptions::default()).await.unwrap();
    within(doomed.close(200, "".into())).await.unwrap();
    let mut consumer = consume(&on.channel, "q").await;
    for (body, redelivered) in [("0", true), ("1", true), ("3", true), ("4", true), ("5", false)] {
        let delivery = next(&mut consumer).await;
        assert_eq!(
            (delivery.data.as_slice(), delivery.redelivered),
            (body.as_bytes(), redelivered)
        );
    }
}

#[tokio::test]
async fn closing_a_connection_requeues_too() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    publish(&on.channel, "", "q", "held").await;
    let doomed = connect(&on.broker).await;
    let channel = doomed.create_channel().await.unwrap();
    let mut consumer = consume(&channel, "q").await;
    next(&mut consumer).await;
    assert_eq!(on.depth("q"), (0, 1));
    within(doomed.close(200, "".into())).await.unwrap();
    assert_eq!(on.depth("q"), (1, 0));
}

#[tokio::test]
async fn nack_and_reject_requeue_to_the_front_and_without_requeue_drop() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    for body in ["1", "2", "3"] {
        publish(&on.channel, "", "q", body).await;
    }
    prefetch(&on.channel, 2).await;
    let mut consumer = consume(&on.channel, "q").await;
    let (_, second) = (next(&mut consumer).await, next(&mut consumer).await);
    let nack = BasicNackOptions { multiple: true, requeue: true };
    second.nack(nack).await.unwrap();
    let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
    assert_eq!((first.data.as_slice(), first.redelivered), (&b"1"[..], true));
    assert_eq!(second.data, b"2");
    first.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    assert_eq!(next_body(&mut consumer).await, "3");
    assert_eq!(on.depth("q"), (0, 2));
}

#[tokio::test]
async fn recover_redelivers_what_is_outstanding() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    publish(&on.channel, "", "q", "again").await;
    let mut consumer = consume(&on.channel, "q").await;
    assert!(!next(&mut consumer).await.redelivered);
    within(on.channel.basic_recover(BasicRecoverOptions { requeue: true })).await.unwrap();
    assert!(next(&mut consumer).await.redelivered);
}

#[tokio::test]
async fn get_takes_one_message_and_says_how_many_remain() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    publish(&on.channel, "", "q", "1").await;
    publish(&on.channel, "", "q", "2").await;
    let get = || on.channel.basic_get("q".into(), BasicGetOptions::default());
    let got = within(get()).await.unwrap().unwrap();
    assert_eq!((got.data.as_slice(), got.message_count), (&b"1"[..], 1));
    got.ack(BasicAckOptions::default()).await.unwrap();
    let no_ack = BasicGetOptions { no_ack: true };
    let got = within(on.channel.basic_get("q".into(), no_ack)).await.unwrap().unwrap();
    assert_eq!((got.data.as_slice(), got.message_count), (&b"2"[..], 0));
    assert!(within(get()).await.unwrap().is_none());
    assert_eq!(on.depth("q"), (0, 0));
}

#[tokio::test]
async fn a_consumer_without_acks_leaves_nothing_outstanding() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    prefetch(&on.channel, 1).await;
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consumer = on.channel.basic_consume("q".into(), "".into(), options, FieldTable::default());
    let mut consumer = within(consumer).await.unwrap();
    for body in ["1", "2", "3"] {
        publish(&on.channel, "", "q", body).await;
    }
    for body in ["1", "2", "3"] {
        assert_eq!(next_body(&mut consumer).await, body);
    }
    assert_eq!(on.depth("q"), (0, 0));
}

#[tokio::test]
async fn a_cancelled_consumer_gets_nothing_more_and_keeps_what_it_holds() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    publish(&on.channel, "", "q", "held").await;
    let mut consumer = consume(&on.channel, "q").await;
    let held = next(&mut consumer).await;
    let cancelled = on.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
    within(cancelled).await.unwrap();
    publish(&on.channel, "", "q", "waits").await;
    confirms(&on.channel).await;
    assert_eq!(on.depth("q"), (1, 1));
    held.ack(BasicAckOptions::default()).await.unwrap();
    within(on.channel.queue_purge("q".into(), QueuePurgeOptions::default())).await.unwrap();
    assert_eq!(on.depth("q"), (0, 0));
}

#[tokio::test]
async fn a_large_body_survives_being_split_over_frames() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    let body: Vec<u8> =
        (0..1_000_003_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    publish_with(&on.channel, "", "q", &body, BasicProperties::default()).await;
    let delivery = next(&mut consume(&on.channel, "q").await).await;
    assert!(delivery.data == body, "the body has changed");
}

#[tokio::test]
async fn virtual_hosts_share_nothing() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    let url = on.broker.url().replace("%2f", "other");
    let other = within(Connection::connect(&url, ConnectionProperties::default())).await.unwrap();
    let channel = other.create_channel().await.unwrap();
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let missing = within(channel.queue_declare("q".into(), passive, FieldTable::default())).await;
    assert_eq!(common::code(missing), 404);
}
