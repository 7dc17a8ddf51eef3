//! The reply codes of what is refused.

use lapin::{
    BasicProperties, Channel, ExchangeKind,
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ExchangeDeclareOptions,
        QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};

use crate::{
    common::{code, confirms, consume, text, within},
    side::{Side, declare, quorum},
};

on_both_brokers!(
    what_does_not_exist_is_404,
    what_belongs_to_another_connection_is_405,
    arguments_that_cannot_be_are_406,
    another_declaration_of_the_same_queue_is_406,
    a_queue_with_one_active_consumer_has_rules_of_its_own,
);

fn none() -> FieldTable {
    FieldTable::default()
}

async fn passive(channel: &Channel, queue: &str) -> lapin::Result<lapin::Queue> {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    within(channel.queue_declare(queue.into(), options, none())).await
}

async fn what_does_not_exist_is_404(on: Side) -> Side {
    let (missing, queue) = (on.name("missing"), on.queue("q", []).await);
    assert_eq!(code(passive(&on.another_channel().await, &missing).await), 404);
    let channel = on.another_channel().await;
    let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
    let kind = ExchangeKind::Direct;
    let declared = channel.exchange_declare(missing.as_str().into(), kind, options, none());
    assert_eq!(code(within(declared).await), 404);
    let channel = on.another_channel().await;
    let options = BasicConsumeOptions::default();
    let consumed = channel.basic_consume(missing.as_str().into(), "".into(), options, none());
    assert_eq!(code(within(consumed).await), 404);
    let channel = on.another_channel().await;
    let got = channel.basic_get(missing.as_str().into(), BasicGetOptions::default());
    assert_eq!(code(within(got).await), 404);
    let channel = on.another_channel().await;
    let (to, options) = (missing.as_str().into(), QueueBindOptions::default());
    let bound = channel.queue_bind(queue.as_str().into(), to, "".into(), options, none());
    assert_eq!(code(within(bound).await), 404);
    let channel = on.another_channel().await;
    confirms(&channel).await;
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    let sent = channel.basic_publish(missing.into(), "".into(), options, b"", properties);
    assert_eq!(code(within(within(sent).await.unwrap()).await), 404);
    on
}

async fn what_belongs_to_another_connection_is_405(on: Side) -> Side {
    let name = on.name("mine");
    let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
    within(on.channel.queue_declare(name.as_str().into(), exclusive, none())).await.unwrap();
    let other = on.another_connection().await;
    let channel = || async { other.create_channel().await.unwrap() };
    assert_eq!(code(passive(&channel().await, &name).await), 405);
    assert_eq!(code(declare(&channel().await, &name, none()).await), 405);
    let got = channel().await.basic_get(name.as_str().into(), BasicGetOptions::default()).await;
    assert_eq!(code(got), 405);
    let options = BasicConsumeOptions::default();
    let consumed = channel().await;
    let consumed = consumed.basic_consume(name.as_str().into(), "".into(), options, none());
    assert_eq!(code(within(consumed).await), 405);
    let deleting = channel().await;
    let deleted = deleting.queue_delete(name.into(), QueueDeleteOptions::default());
    assert_eq!(code(within(deleted).await), 405);
    on
}

async fn arguments_that_cannot_be_are_406(on: Side) -> Side {
    let number = AMQPValue::LongInt;
    for (argument, value) in [
        ("x-delivery-limit", number(2)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-expires", number(0)),
        ("x-max-priority", number(256)),
        ("x-single-active-consumer", text("yes")),
        ("x-overflow", text("bogus")),
        ("x-max-length-bytes", number(-1)),
        ("x-message-ttl", text("5")),
        ("x-dead-letter-routing-key", text("key")),
        ("x-queue-type", text("bogus")),
    ] {
        assert_eq!(on.refusal("q", [(argument, value)]).await, Some(406), "{argument}");
    }
    for (argument, value) in [
        ("x-max-priority", number(5)),
        ("x-dead-letter-strategy", text("bogus")),
        ("x-queue-mode", text("lazy")),
    ] {
        assert_eq!(on.refusal("q", [quorum(), (argument, value)]).await, Some(406), "{argument}");
    }
    on.queue("classic", [("x-unknown", number(1)), ("x-max-priority", number(0))]).await;
    on.queue("quorum", [quorum(), ("x-overflow", text("reject-publish-dlx"))]).await;
    on.queue("long", [("x-message-ttl", AMQPValue::LongLongInt(315_360_000_000))]).await;
    let longer = AMQPValue::LongLongInt(315_360_000_001);
    assert_eq!(on.refusal("longer", [("x-message-ttl", longer)]).await, Some(406));
    on
}

async fn another_declaration_of_the_same_queue_is_406(on: Side) -> Side {
    let number = AMQPValue::LongInt;
    let arguments = [
        ("x-expires", number(60_000)),
        ("x-max-length-bytes", number(10)),
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-unknown", number(1)),
    ];
    on.queue("q", arguments.clone()).await;
    assert_eq!(on.refusal("q", arguments.clone()).await, None);
    for (place, value) in [number(60_001), number(11), AMQPValue::Boolean(false)].iter().enumerate()
    {
        let mut other = arguments.clone();
        other[place].1 = value.clone();
        assert_eq!(on.refusal("q", other).await, Some(406), "{}", arguments[place].0);
    }
    let mut other = arguments;
    other[3].1 = number(2);
    assert_eq!(on.refusal("q", other).await, None, "nobody knows the argument");
    on
}

async fn a_queue_with_one_active_consumer_has_rules_of_its_own(on: Side) -> Side {
    let single = ("x-single-active-consumer", AMQPValue::Boolean(true));
    let classic = on.queue("classic", [single.clone()]).await;
    let quorum = on.queue("quorum", [single, quorum()]).await;
    let exclusive = BasicConsumeOptions { exclusive: true, ..Default::default() };
    for (queue, refused) in [(&classic, Some(403)), (&quorum, None)] {
        let channel = on.another_channel().await;
        let consumed = channel.basic_consume(queue.as_str().into(), "".into(), exclusive, none());
        let consumed = within(consumed).await;
        assert_eq!(consumed.is_err().then(|| code(consumed)), refused, "{queue}");
    }
    let _second = consume(&on.another_channel().await, &quorum).await;
    assert!(on.try_get(&classic).await.is_none());
    let channel = on.another_channel().await;
    let got = channel.basic_get(quorum.as_str().into(), BasicGetOptions::default());
    assert_eq!(code(within(got).await), 405);
    on
}
