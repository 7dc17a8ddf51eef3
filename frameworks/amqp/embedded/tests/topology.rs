//! Declaring, binding and deleting, and the reply codes of what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{
    Fixture, bind, code, confirms, connect, consume, exchange, next, next_body, publish, queue,
    table, text, within,
};
use futures_util::StreamExt;
use lapin::{
    Channel, ExchangeKind, Queue,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, ExchangeBindOptions,
        ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};

const PASSIVE: QueueDeclareOptions = QueueDeclareOptions {
    passive: true,
    durable: false,
    exclusive: false,
    auto_delete: false,
    nowait: false,
};

async fn declare(
    channel: &Channel,
    name: &str,
    options: QueueDeclareOptions,
    arguments: FieldTable,
) -> lapin::Result<Queue> {
    within(channel.queue_declare(name.into(), options, arguments)).await
}

async fn passive(channel: &Channel, name: &str) -> lapin::Result<Queue> {
    declare(channel, name, PASSIVE, FieldTable::default()).await
}

#[tokio::test]
async fn a_passive_declare_of_nothing_closes_its_channel_only() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    let risky = on.another_channel().await;
    assert_eq!(code(passive(&risky, "missing").await), 404);
    assert!(!risky.status().connected());
    publish(&on.channel, "", "q", "still here").await;
    let found = passive(&on.channel, "q").await.unwrap();
    assert_eq!((found.message_count(), found.consumer_count()), (1, 0));
    let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
    let kind = ExchangeKind::Direct;
    let missing = on.channel.exchange_declare("x".into(), kind, options, FieldTable::default());
    assert_eq!(code(within(missing).await), 404);
}

#[tokio::test]
async fn a_closed_channel_number_can_be_opened_again() {
    let on = Fixture::new().await;
    for _ in 0..5 {
        let risky = on.another_channel().await;
        assert_eq!(code(passive(&risky, "missing").await), 404);
    }
    queue(&on.another_channel().await, "q", []).await;
}

#[tokio::test]
async fn the_same_declaration_is_fine_and_another_is_refused() {
    let on = Fixture::new().await;
    let ttl = |ms| table([("x-message-ttl", ms)]);
    let durable = QueueDeclareOptions::durable();
    declare(&on.channel, "q", durable, ttl(AMQPValue::LongInt(1_000))).await.unwrap();
    declare(&on.channel, "q", durable, ttl(AMQPValue::LongLongInt(1_000))).await.unwrap();
    let different = [
        (durable, ttl(AMQPValue::LongInt(2_000)), 406),
        (durable, FieldTable::default(), 406),
        (QueueDeclareOptions::default(), ttl(AMQPValue::LongInt(1_000)), 406),
        (QueueDeclareOptions { auto_delete: true, ..durable }, ttl(AMQPValue::LongInt(1_000)), 406),
        (QueueDeclareOptions { exclusive: true, ..durable }, ttl(AMQPValue::LongInt(1_000)), 405),
    ];
    for (options, arguments, expected) in different {
        let channel = on.another_channel().await;
        let refused = declare(&channel, "q", options, arguments).await;
        assert_eq!(code(refused), expected, "{options:?}");
    }
}

#[tokio::test]
async fn an_inequivalent_exchange_is_refused_and_named() {
    let on = Fixture::new().await;
    exchange(&on.channel, "im", ExchangeKind::Topic).await;
    exchange(&on.channel, "im", ExchangeKind::Topic).await;
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let kind = ExchangeKind::Fanout;
    let refused = on.channel.exchange_declare("im".into(), kind, options, FieldTable::default());
    let message = within(refused).await.unwrap_err().to_string();
    assert!(
        message.contains(
            "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'im' in vhost '/': \
             received 'fanout' but current is 'topic'"
        ),
        "{message}"
    );
}

#[tokio::test]
async fn arguments_that_cannot_be_are_refused() {
    let on = Fixture::new().await;
    let refused = [
        table([("x-message-ttl", AMQPValue::LongInt(-1))]),
        table([("x-message-ttl", text("soon"))]),
        table([("x-dead-letter-routing-key", text("alone"))]),
    ];
    for arguments in refused {
        let channel = on.another_channel().await;
        let result = declare(&channel, "q", QueueDeclareOptions::durable(), arguments).await;
        assert_eq!(code(result), 406);
    }
    let quorum = table([("x-queue-type", text("quorum"))]);
    let channel = on.another_channel().await;
    let transient = declare(&channel, "q", QueueDeclareOptions::default(), quorum.clone()).await;
    assert_eq!(code(transient), 406);
    declare(&on.channel, "q", QueueDeclareOptions::durable(), quorum).await.unwrap();
}

#[tokio::test]
async fn a_server_named_queue_gets_a_name_and_an_empty_name_means_the_last_one() {
    let on = Fixture::new().await;
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let first = declare(&on.channel, "", options, FieldTable::default()).await.unwrap();
    let second = declare(&on.channel, "", options, FieldTable::default()).await.unwrap();
    assert!(first.name().as_str().starts_with("amq.gen-"));
    assert_ne!(first.name(), second.name());
    bind(&on.channel, "", "amq.fanout", "").await;
    publish(&on.channel, "amq.fanout", "", "hello").await;
    let mut consumer = consume(&on.channel, second.name().as_str()).await;
    assert_eq!(next_body(&mut consumer).await, "hello");
    assert_eq!(on.depth(first.name().as_str()), (0, 0));
}

#[tokio::test]
async fn an_exclusive_queue_is_locked_to_its_connection_and_goes_with_it() {
    let on = Fixture::new().await;
    let owner = connect(&on.broker).await;
    let channel = owner.create_channel().await.unwrap();
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    declare(&channel, "mine", options, FieldTable::default()).await.unwrap();
    declare(&channel, "mine", options, FieldTable::default()).await.unwrap();
    assert_eq!(code(passive(&on.channel, "mine").await), 405);
    let stranger = on.another_channel().await;
    let consumed = stranger.basic_consume(
        "mine".into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    assert_eq!(code(within(consumed).await), 405);
    within(owner.close(200, "".into())).await.unwrap();
    assert_eq!(on.broker.queue("mine"), None);
}

#[tokio::test]
async fn auto_delete_takes_the_queue_with_its_last_consumer_and_then_the_exchange() {
    let on = Fixture::new().await;
    let options = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    let kind = ExchangeKind::Fanout;
    let declared = on.channel.exchange_declare("x".into(), kind, options, FieldTable::default());
    within(declared).await.unwrap();
    let options = QueueDeclareOptions { auto_delete: true, ..Default::default() };
    declare(&on.channel, "q", options, FieldTable::default()).await.unwrap();
    bind(&on.channel, "q", "x", "").await;
    let (first, second) = (consume(&on.channel, "q").await, consume(&on.channel, "q").await);
    for (consumer, left) in [(first, true), (second, false)] {
        let cancelled = on.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        within(cancelled).await.unwrap();
        assert_eq!(on.broker.queue("q").is_some(), left);
    }
    confirms(&on.channel).await;
    let sent = on.channel.basic_publish(
        "x".into(),
        "".into(),
        Default::default(),
        b"",
        Default::default(),
    );
    assert_eq!(code(within(within(sent).await.unwrap()).await), 404);
}

#[tokio::test]
async fn deleting_a_queue_cancels_its_consumers_and_leaves_their_channel_usable() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    publish(&on.channel, "", "q", "held").await;
    let consuming = on.another_channel().await;
    let mut consumer = consume(&consuming, "q").await;
    let held = next(&mut consumer).await;
    let deleted = on.channel.queue_delete("q".into(), QueueDeleteOptions::default());
    assert_eq!(within(deleted).await.unwrap(), 0);
    assert!(within(consumer.next()).await.is_none());
    held.ack(BasicAckOptions::default()).await.unwrap();
    queue(&consuming, "q", []).await;
    let mut consumer = consume(&consuming, "q").await;
    publish(&on.channel, "", "q", "new").await;
    assert_eq!(next_body(&mut consumer).await, "new");
}

#[tokio::test]
async fn deleting_with_conditions_keeps_what_is_used_or_not_empty() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    publish(&on.channel, "", "q", "1").await;
    let risky = on.another_channel().await;
    let if_empty = QueueDeleteOptions { if_empty: true, ..Default::default() };
    assert_eq!(code(within(risky.queue_delete("q".into(), if_empty)).await), 406);
    let _consumer = consume(&on.channel, "q").await;
    let risky = on.another_channel().await;
    let if_unused = QueueDeleteOptions { if_unused: true, ..Default::default() };
    assert_eq!(code(within(risky.queue_delete("q".into(), if_unused)).await), 406);
    assert!(on.broker.queue("q").is_some());
    let missing = on.channel.queue_delete("missing".into(), QueueDeleteOptions::default());
    assert_eq!(within(missing).await.unwrap(), 0);
}

#[tokio::test]
async fn system_names_are_refused() {
    let on = Fixture::new().await;
    let channel = on.another_channel().await;
    let queue =
        declare(&channel, "amq.mine", QueueDeclareOptions::durable(), FieldTable::default());
    assert_eq!(code(queue.await), 403);
    for name in ["amq.mine", ""] {
        let channel = on.another_channel().await;
        let (kind, options) = (ExchangeKind::Direct, ExchangeDeclareOptions::default());
        let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
        assert_eq!(code(within(declared).await), 403, "{name}");
    }
    let channel = on.another_channel().await;
    let deleted = channel.exchange_delete("amq.topic".into(), ExchangeDeleteOptions::default());
    assert_eq!(code(within(deleted).await), 403);
    let bound = on.channel.queue_bind(
        "q".into(),
        "".into(),
        "q".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    assert_eq!(code(within(bound).await), 403);
}

#[tokio::test]
async fn publishing_to_an_internal_or_a_missing_exchange_closes_the_channel() {
    let on = Fixture::new().await;
    let options = ExchangeDeclareOptions { internal: true, ..Default::default() };
    let kind = ExchangeKind::Fanout;
    let declared = on.channel.exchange_declare("in".into(), kind, options, FieldTable::default());
    within(declared).await.unwrap();
    for (name, expected) in [("in", 403), ("missing", 404)] {
        let channel = on.another_channel().await;
        confirms(&channel).await;
        let options = Default::default();
        let sent = channel.basic_publish(name.into(), "".into(), options, b"", Default::default());
        assert_eq!(code(within(within(sent).await.unwrap()).await), expected);
    }
}

#[tokio::test]
async fn exchanges_can_be_bound_to_exchanges_even_in_a_circle() {
    let on = Fixture::new().await;
    exchange(&on.channel, "outer", ExchangeKind::Topic).await;
    exchange(&on.channel, "inner", ExchangeKind::Fanout).await;
    for (to, from) in [("inner", "outer"), ("outer", "inner")] {
        let bound = on.channel.exchange_bind(
            to.into(),
            from.into(),
            "a.#".into(),
            ExchangeBindOptions::default(),
            FieldTable::default(),
        );
        within(bound).await.unwrap();
    }
    queue(&on.channel, "q", []).await;
    bind(&on.channel, "q", "inner", "").await;
    publish(&on.channel, "outer", "a.b", "1").await;
    publish(&on.channel, "outer", "b", "2").await;
    confirms(&on.channel).await;
    assert_eq!(on.depth("q"), (1, 0));
}

#[tokio::test]
async fn a_headers_exchange_routes_by_headers() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    let arguments = table([("x-match", text("any")), ("kind", text("a")), ("size", text("l"))]);
    let options = QueueBindOptions::default();
    let bound =
        on.channel.queue_bind("q".into(), "amq.headers".into(), "".into(), options, arguments);
    within(bound).await.unwrap();
    confirms(&on.channel).await;
    for (key, value) in [("kind", "a"), ("kind", "b"), ("size", "l")] {
        let headers = table([(key, text(value))]);
        let properties = lapin::BasicProperties::default().with_headers(headers);
        common::publish_with(&on.channel, "amq.headers", "", b"", properties).await;
    }
    assert_eq!(on.depth("q"), (2, 0));
}

#[tokio::test]
async fn an_unbound_queue_gets_nothing_more_and_unbinding_twice_is_fine() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    bind(&on.channel, "q", "amq.topic", "a").await;
    for _ in 0..2 {
        let arguments = FieldTable::default();
        let unbound =
            on.channel.queue_unbind("q".into(), "amq.topic".into(), "a".into(), arguments);
        within(unbound).await.unwrap();
    }
    confirms(&on.channel).await;
    publish(&on.channel, "amq.topic", "a", "1").await;
    assert_eq!(on.depth("q"), (0, 0));
}

#[tokio::test]
async fn an_exclusive_consumer_stays_alone() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    let exclusive = BasicConsumeOptions { exclusive: true, ..Default::default() };
    let first = on.channel.basic_consume("q".into(), "".into(), exclusive, FieldTable::default());
    let first = within(first).await.unwrap();
    let other = on.another_channel().await;
    let options = BasicConsumeOptions::default();
    let second = other.basic_consume("q".into(), "".into(), options, FieldTable::default());
    assert_eq!(code(within(second).await), 403);
    within(on.channel.basic_cancel(first.tag(), BasicCancelOptions::default())).await.unwrap();
    consume(&on.channel, "q").await;
}
