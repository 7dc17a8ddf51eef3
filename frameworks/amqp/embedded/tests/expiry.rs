//! Time to live, length limits and dead letters.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{
    Fixture, bind, code, confirms, consume, exchange, next, next_body, publish, publish_with,
    queue, text, within,
};
use lapin::{
    BasicProperties, Confirmation, ExchangeKind,
    message::Delivery,
    options::{BasicAckOptions, BasicRejectOptions},
    types::{AMQPValue, FieldTable},
};

/// A queue `dead` behind the exchange `dlx`.
async fn graveyard(on: &Fixture) {
    exchange(&on.channel, "dlx", ExchangeKind::Fanout).await;
    queue(&on.channel, "dead", []).await;
    bind(&on.channel, "dead", "dlx", "").await;
}

fn deaths(delivery: &Delivery) -> Vec<FieldTable> {
    let headers = delivery.properties.headers().as_ref().unwrap();
    let deaths = headers.inner().get("x-death").unwrap().as_array().unwrap();
    deaths.as_slice().iter().map(|death| death.as_field_table().unwrap().clone()).collect()
}

fn header<'a>(delivery: &'a Delivery, key: &str) -> &'a AMQPValue {
    delivery.properties.headers().as_ref().unwrap().inner().get(key).unwrap()
}

#[tokio::test]
async fn a_queue_with_ttl_dead_letters_with_x_death() {
    let on = Fixture::new().await;
    graveyard(&on).await;
    let arguments =
        [("x-message-ttl", AMQPValue::LongInt(80)), ("x-dead-letter-exchange", text("dlx"))];
    queue(&on.channel, "wait", arguments).await;
    let started = Instant::now();
    publish(&on.channel, "amq.direct", "unbound", "not routed").await;
    publish(&on.channel, "", "wait", "hello").await;
    let delivery = next(&mut consume(&on.channel, "dead").await).await;
    assert!(started.elapsed() >= Duration::from_millis(80));
    assert_eq!(delivery.data, b"hello");
    assert_eq!((delivery.exchange.as_str(), delivery.routing_key.as_str()), ("dlx", "wait"));
    let death = &deaths(&delivery)[0];
    assert_eq!(death.inner()["reason"], text("expired"));
    assert_eq!(death.inner()["queue"], text("wait"));
    assert_eq!(death.inner()["exchange"], text(""));
    assert_eq!(death.inner()["count"], AMQPValue::LongLongInt(1));
    assert_eq!(death.inner()["routing-keys"].as_array().unwrap().as_slice(), [text("wait")]);
    assert!(death.inner()["time"].as_timestamp().unwrap() > 1_600_000_000);
    assert_eq!(*header(&delivery, "x-first-death-reason"), text("expired"));
    assert_eq!(*header(&delivery, "x-first-death-queue"), text("wait"));
    assert_eq!(*header(&delivery, "x-first-death-exchange"), text(""));
    assert_eq!(on.depth("wait"), (0, 0));
}

#[tokio::test]
async fn a_rejected_message_goes_to_the_dead_letter_routing_key() {
    let on = Fixture::new().await;
    queue(&on.channel, "parked", []).await;
    let arguments =
        [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text("parked"))];
    queue(&on.channel, "work", arguments).await;
    publish(&on.channel, "", "work", "poison").await;
    let rejected = next(&mut consume(&on.channel, "work").await).await;
    rejected.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    let parked = next(&mut consume(&on.channel, "parked").await).await;
    assert_eq!(parked.routing_key.as_str(), "parked");
    assert_eq!(deaths(&parked)[0].inner()["reason"], text("rejected"));
    assert_eq!(on.depth("work"), (0, 0));
}

#[tokio::test]
async fn the_retry_pattern_goes_round_and_counts() {
    let on = Fixture::new().await;
    let retry =
        [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text("retry"))];
    queue(&on.channel, "work", retry).await;
    let back = [
        ("x-message-ttl", AMQPValue::LongInt(20)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("work")),
    ];
    queue(&on.channel, "retry", back).await;
    publish(&on.channel, "", "work", "job").await;
    let mut consumer = consume(&on.channel, "work").await;
    for _ in 0..3 {
        let delivery = next(&mut consumer).await;
        delivery.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    }
    let last = next(&mut consumer).await;
    let deaths = deaths(&last);
    assert_eq!(deaths.len(), 2);
    for (death, queue) in deaths.iter().zip(["retry", "work"]) {
        assert_eq!(death.inner()["queue"], text(queue));
        assert_eq!(death.inner()["count"], AMQPValue::LongLongInt(3));
    }
}

#[tokio::test]
async fn an_expiration_waits_for_its_turn_at_the_head_of_the_queue() {
    let on = Fixture::new().await;
    graveyard(&on).await;
    queue(&on.channel, "q", [("x-dead-letter-exchange", text("dlx"))]).await;
    let expiring = |ms: &str| BasicProperties::default().with_expiration(ms.into());
    publish_with(&on.channel, "", "q", b"slow", expiring("120")).await;
    publish_with(&on.channel, "", "q", b"fast", expiring("1")).await;
    publish(&on.channel, "", "q", "for ever").await;
    let mut dead = consume(&on.channel, "dead").await;
    let first = next(&mut dead).await;
    assert_eq!(first.data, b"slow");
    assert_eq!(first.properties.expiration(), &None);
    assert_eq!(deaths(&first)[0].inner()["original-expiration"], text("120"));
    assert_eq!(next_body(&mut dead).await, "fast");
    assert_eq!(on.depth("q"), (1, 0));
}

#[tokio::test]
async fn a_message_with_a_consumer_does_not_expire_and_after_requeue_does() {
    let on = Fixture::new().await;
    graveyard(&on).await;
    let arguments =
        [("x-message-ttl", AMQPValue::LongInt(50)), ("x-dead-letter-exchange", text("dlx"))];
    queue(&on.channel, "q", arguments).await;
    publish(&on.channel, "", "q", "1").await;
    let held = next(&mut consume(&on.channel, "q").await).await;
    let mut dead = consume(&on.channel, "dead").await;
    let waited = tokio::time::timeout(Duration::from_millis(120), next(&mut dead)).await;
    assert!(waited.is_err());
    assert_eq!(on.depth("q"), (0, 1));
    held.reject(BasicRejectOptions { requeue: true }).await.unwrap();
    assert_eq!(next_body(&mut dead).await, "1");
}

#[tokio::test]
async fn no_time_to_live_means_straight_to_a_consumer_or_gone() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", [("x-message-ttl", AMQPValue::LongInt(0))]).await;
    confirms(&on.channel).await;
    publish(&on.channel, "", "q", "gone").await;
    assert_eq!(on.depth("q"), (0, 0));
    let mut consumer = consume(&on.channel, "q").await;
    publish(&on.channel, "", "q", "taken").await;
    assert_eq!(next_body(&mut consumer).await, "taken");
}

#[tokio::test]
async fn a_cycle_of_expiry_alone_is_broken() {
    let on = Fixture::new().await;
    let arguments = [
        ("x-message-ttl", AMQPValue::LongInt(5)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("q")),
    ];
    queue(&on.channel, "q", arguments).await;
    queue(
        &on.channel,
        "later",
        [
            ("x-message-ttl", AMQPValue::LongInt(60)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("end")),
        ],
    )
    .await;
    queue(&on.channel, "end", []).await;
    publish(&on.channel, "", "q", "round").await;
    publish(&on.channel, "", "later", "tick").await;
    assert_eq!(next_body(&mut consume(&on.channel, "end").await).await, "tick");
    assert_eq!(on.depth("q"), (0, 0));
}

#[tokio::test]
async fn a_full_queue_drops_its_head_into_the_dead_letter_exchange() {
    let on = Fixture::new().await;
    graveyard(&on).await;
    let arguments =
        [("x-max-length", AMQPValue::LongInt(2)), ("x-dead-letter-exchange", text("dlx"))];
    queue(&on.channel, "q", arguments).await;
    for body in ["1", "2", "3"] {
        publish(&on.channel, "", "q", body).await;
    }
    let dead = next(&mut consume(&on.channel, "dead").await).await;
    assert_eq!(dead.data, b"1");
    assert_eq!(deaths(&dead)[0].inner()["reason"], text("maxlen"));
    assert_eq!(next_body(&mut consume(&on.channel, "q").await).await, "2");
}

#[tokio::test]
async fn a_full_queue_that_rejects_nacks_the_publish() {
    let on = Fixture::new().await;
    let arguments =
        [("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", text("reject-publish"))];
    queue(&on.channel, "q", arguments).await;
    confirms(&on.channel).await;
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        outcomes.push(publish_with(&on.channel, "", "q", b"", BasicProperties::default()).await);
    }
    assert_eq!(outcomes, [Confirmation::Ack(None), Confirmation::Nack(None)]);
    let mut consumer = consume(&on.channel, "q").await;
    next(&mut consumer).await.ack(BasicAckOptions::default()).await.unwrap();
}

#[tokio::test]
async fn an_expiration_that_is_no_number_closes_the_channel() {
    let on = Fixture::new().await;
    confirms(&on.channel).await;
    let properties = BasicProperties::default().with_expiration("soon".into());
    let options = Default::default();
    let sent = on.channel.basic_publish("".into(), "q".into(), options, b"", properties);
    assert_eq!(code(within(within(sent).await.unwrap()).await), 406);
}
