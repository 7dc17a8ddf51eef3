//! `x-max-length-bytes`, `x-max-length` and what `x-overflow` makes of them.

use lapin::{
    BasicProperties, Confirmation,
    types::{AMQPValue, FieldArray},
};

use crate::{
    common::{confirms, publish_with, text},
    side::{Side, deaths, quorum},
};

on_both_brokers!(
    a_queue_full_of_bytes_drops_its_head,
    a_classic_queue_refuses_what_would_be_too_much,
    a_refused_message_can_be_dead_lettered,
    a_quorum_queue_refuses_when_it_is_too_full,
);

const TEN: (&str, AMQPValue) = ("x-max-length-bytes", AMQPValue::LongInt(10));

/// Publishes 4, 4, 5 and 1 bytes; says which were confirmed.
async fn publish_all(on: &Side, queue: &str) -> Vec<bool> {
    let channel = on.another_channel().await;
    confirms(&channel).await;
    let mut taken = Vec::new();
    for body in ["1234", "5678", "90123", "4"] {
        let properties = BasicProperties::default();
        let confirmation = publish_with(&channel, "", queue, body.as_bytes(), properties).await;
        taken.push(matches!(confirmation, Confirmation::Ack(None)));
    }
    taken
}

async fn all(on: &Side, queue: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    while let Some(message) = on.try_get(queue).await {
        bodies.push(String::from_utf8(message.delivery.data).unwrap());
    }
    bodies
}

async fn dead_letters_to(on: &Side) -> (String, [(&'static str, AMQPValue); 2]) {
    let dead = on.queue("dead", []).await;
    let key = text(&dead);
    (dead, [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", key)])
}

async fn a_queue_full_of_bytes_drops_its_head(on: Side) -> Side {
    let (dead, [exchange, key]) = dead_letters_to(&on).await;
    let queue = on.queue("q", [TEN, exchange, key]).await;
    assert_eq!(publish_all(&on, &queue).await, [true; 4]);
    assert_eq!(all(&on, &queue).await, ["5678", "90123", "4"]);
    let parked = on.get(&dead).await.delivery;
    assert_eq!(parked.data, b"1234");
    assert_eq!(deaths(&parked)[0].inner()["reason"], text("maxlen"));
    on
}

async fn a_classic_queue_refuses_what_would_be_too_much(on: Side) -> Side {
    let queue = on.queue("q", [TEN, ("x-overflow", text("reject-publish"))]).await;
    assert_eq!(publish_all(&on, &queue).await, [true, true, false, true]);
    assert_eq!(all(&on, &queue).await, ["1234", "5678", "4"]);
    on
}

async fn a_refused_message_can_be_dead_lettered(on: Side) -> Side {
    let (dead, [exchange, key]) = dead_letters_to(&on).await;
    let overflow = ("x-overflow", text("reject-publish-dlx"));
    let queue = on.queue("q", [TEN, overflow, exchange, key]).await;
    assert_eq!(publish_all(&on, &queue).await, [true, true, false, true]);
    let parked = on.get(&dead).await.delivery;
    assert_eq!(parked.data, b"90123");
    let death = &deaths(&parked)[0];
    assert_eq!(death.inner()["reason"], text("maxlen"));
    let keys = AMQPValue::FieldArray(FieldArray::from(vec![text(&queue)]));
    assert_eq!(death.inner()["routing-keys"], keys);
    on
}

async fn a_quorum_queue_refuses_when_it_is_too_full(on: Side) -> Side {
    let queue = on.queue("q", [TEN, quorum(), ("x-overflow", text("reject-publish"))]).await;
    assert_eq!(publish_all(&on, &queue).await, [true, true, true, false]);
    on.until_ready(&queue, 3).await;
    on
}
