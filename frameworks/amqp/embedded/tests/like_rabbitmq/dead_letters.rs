//! What a dead letter carries.

use lapin::{
    BasicProperties,
    options::BasicRejectOptions,
    types::{AMQPValue, FieldTable},
};

use crate::{
    common::{consume, next, publish_with, table, text, within},
    side::{Side, deaths, header, quorum},
};

on_both_brokers!(
    deaths_are_listed_latest_first_and_counted,
    an_expiration_of_its_own_is_kept_in_the_header_only,
    a_quorum_queue_passes_its_dead_letters_on_at_least_once,
);

fn death(count: i64, reason: &str, queue: &str, exchange: &str, key: &str) -> FieldTable {
    table([
        ("count", AMQPValue::LongLongInt(count)),
        ("reason", text(reason)),
        ("queue", text(queue)),
        ("exchange", text(exchange)),
        ("routing-keys", AMQPValue::FieldArray(vec![text(key)].into())),
    ])
}

async fn deaths_are_listed_latest_first_and_counted(on: Side) -> Side {
    let (work, wait) = (on.name("work"), on.name("wait"));
    let to_wait =
        [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&wait))];
    on.queue("work", to_wait).await;
    let back = [
        ("x-message-ttl", AMQPValue::LongInt(20)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&work)),
    ];
    on.queue("wait", back).await;
    let properties = BasicProperties::default().with_headers(table([("mine", text("stays"))]));
    publish_with(&on.channel, "", &work, b"job", properties).await;
    let mut consumer = consume(&on.channel, &work).await;
    for _ in 0..2 {
        let rejected = next(&mut consumer).await;
        within(rejected.reject(BasicRejectOptions { requeue: false })).await.unwrap();
    }
    let third = next(&mut consumer).await;
    let expected = [death(2, "expired", &wait, "", &wait), death(2, "rejected", &work, "", &work)];
    assert_eq!(deaths(&third), expected);
    assert!(!third.redelivered);
    for (key, value) in [
        ("mine", "stays"),
        ("x-first-death-reason", "rejected"),
        ("x-first-death-queue", &work),
        ("x-first-death-exchange", ""),
    ] {
        assert_eq!(header(&third, key), Some(&text(value)), "{key}");
    }
    on
}

async fn an_expiration_of_its_own_is_kept_in_the_header_only(on: Side) -> Side {
    let dead = on.queue("dead", []).await;
    let to_dead =
        [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead))];
    let queue = on.queue("q", to_dead).await;
    let properties = BasicProperties::default().with_expiration("30".into());
    publish_with(&on.channel, "", &queue, b"brief", properties).await;
    let parked = on.get(&dead).await.delivery;
    assert_eq!(parked.properties.expiration(), &None);
    let mut expected = death(1, "expired", &queue, "", &queue);
    expected.insert("original-expiration".into(), text("30"));
    assert_eq!(deaths(&parked), [expected]);
    assert_eq!(parked.routing_key.as_str(), dead);
    on
}

async fn a_quorum_queue_passes_its_dead_letters_on_at_least_once(on: Side) -> Side {
    let dead = on.queue("dead", []).await;
    let arguments = [
        quorum(),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&dead)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ];
    let queue = on.queue("q", arguments).await;
    publish_with(&on.channel, "", &queue, b"poison", BasicProperties::default()).await;
    let rejected = next(&mut consume(&on.channel, &queue).await).await;
    within(rejected.reject(BasicRejectOptions { requeue: false })).await.unwrap();
    let parked = on.get(&dead).await.delivery;
    assert_eq!(deaths(&parked), [death(1, "rejected", &queue, "", &queue)]);
    on
}
