//! What a test can do to a broker, and what its clients see then.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use amq_protocol::{
    frame::AMQPFrame,
    protocol::{
        AMQPClass, basic, channel,
        connection::{AMQPMethod as Connection, Blocked, Unblocked},
        queue,
    },
};
use common::{
    Fixture, code, confirms, connect_as, consume, next_body, publish, publish_with, raw::Raw,
    within,
};
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Confirmation,
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use polyport_amqp_embedded::EmbeddedBroker;
use tokio::time::timeout;

/// Long enough to notice an answer that must not come.
const SILENCE: Duration = Duration::from_millis(100);

async fn broker() -> EmbeddedBroker {
    EmbeddedBroker::start().await.unwrap()
}

fn declare(name: &str) -> AMQPClass {
    let declare = queue::Declare { queue: name.into(), ..Default::default() };
    AMQPClass::Queue(queue::AMQPMethod::Declare(declare))
}

fn is_declare_ok(frame: Option<AMQPFrame>) -> bool {
    let Some(AMQPFrame::Method(_, AMQPClass::Queue(method))) = frame else {
        return false;
    };
    matches!(method, queue::AMQPMethod::DeclareOk(_))
}

#[tokio::test]
async fn a_cut_ends_all_connections_without_a_word_and_requeues() {
    let on = Fixture::new().await;
    common::queue(&on.channel, "q", []).await;
    publish(&on.channel, "", "q", "1").await;
    let mut consumer = consume(&on.channel, "q").await;
    next_body(&mut consumer).await;
    let mut open = Raw::open(&on.broker, 0).await;
    let mut greeting = Raw::dial(&on.broker).await;
    greeting.bytes(b"AMQP\0\0\x09\x01").await;
    greeting.control().await;
    assert_eq!(on.broker.faults().cut(), 3);
    assert_eq!(open.frame().await, None);
    assert_eq!(greeting.frame().await, None);
    let now = within(on.broker.until(|now| now.connections == 0)).await;
    assert_eq!((now.queue("q").ready, now.queue("q").consumers), (1, 0));
    Raw::open(&on.broker, 0).await;
}

#[tokio::test]
async fn connections_are_chosen_by_the_name_that_their_client_gives() {
    let broker = broker().await;
    let publisher = connect_as(&broker, "orders: publish").await;
    let consumer = connect_as(&broker, "orders: consume").await;
    let channel = publisher.create_channel().await.unwrap();
    let cut = consumer.create_channel().await.unwrap();
    assert_eq!(broker.faults().cut_named("consume"), 1);
    within(broker.until(|now| now.connections == 1)).await;
    common::queue(&channel, "q", []).await;
    let declared =
        cut.queue_declare("r".into(), QueueDeclareOptions::durable(), FieldTable::default());
    assert!(within(declared).await.is_err());
    assert_eq!(broker.faults().close_channels_named("nobody", "because"), 0);
    assert_eq!(broker.faults().close_connections_named("publish", "because"), 1);
    within(broker.until(|now| now.connections == 0)).await;
}

#[tokio::test]
async fn a_forced_close_says_320_and_its_reason() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    assert_eq!(broker.faults().close_connections("maintenance"), 1);
    let Connection::Close(close) = raw.control().await else { panic!("no close") };
    assert_eq!(close.reply_code, 320);
    assert_eq!(close.reply_text.as_str(), "CONNECTION_FORCED - maintenance");
}

#[tokio::test]
async fn closed_channels_leave_their_connection_usable() {
    let on = Fixture::new().await;
    common::queue(&on.channel, "q", []).await;
    let mut consumer = consume(&on.channel, "q").await;
    assert_eq!(on.broker.faults().close_channels("no acknowledgement for too long"), 1);
    let error = within(consumer.next()).await.expect("it ends with the error");
    assert_eq!(code(error), 406);
    assert_eq!(on.broker.queue("q").unwrap().consumers, 0);
    publish(&on.another_channel().await, "", "q", "1").await;
}

#[tokio::test]
async fn a_frozen_broker_is_silent_with_all_connections_open_and_goes_on_afterwards() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 1).await;
    let faults = broker.faults();
    faults.freeze();
    raw.method(1, declare("q")).await;
    let mut fresh = Raw::dial(&broker).await;
    fresh.bytes(b"AMQP\0\0\x09\x01").await;
    // Longer than the heartbeat that was agreed on, by both sides.
    assert!(timeout(Duration::from_millis(2_500), raw.frame()).await.is_err());
    assert!(timeout(SILENCE, fresh.control()).await.is_err());
    assert_eq!(broker.queue("q"), None);
    faults.thaw();
    assert!(matches!(fresh.control().await, Connection::Start(_)));
    loop {
        match raw.frame().await {
            Some(AMQPFrame::Heartbeat) => {}
            frame => break assert!(is_declare_ok(frame)),
        }
    }
}

#[tokio::test]
async fn a_frozen_broker_can_be_cut_and_stopped() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    let faults = broker.faults();
    faults.freeze();
    assert_eq!(faults.cut(), 1);
    assert_eq!(raw.frame().await, None);
    faults.thaw();
    let mut raw = Raw::open(&broker, 0).await;
    faults.freeze();
    let told = tokio::spawn(async move { raw.closed_with().await });
    within(broker.stop()).await;
    assert_eq!(told.await.unwrap(), 320);
}

#[tokio::test]
async fn an_alarm_holds_publishers_up_and_nobody_else() {
    let broker = broker().await;
    let mut publisher = Raw::open_with(&broker, 0, &["connection.blocked"]).await;
    publisher.method(1, declare("q")).await;
    assert!(is_declare_ok(publisher.frame().await));
    publisher.publish("q", 1, &[b"1"]).await;
    within(broker.until(|now| now.queue("q").ready == 1)).await;
    let mut quiet = Raw::open_with(&broker, 0, &["connection.blocked"]).await;
    broker.faults().block("low on memory");
    let blocked = Connection::Blocked(Blocked { reason: "low on memory".into() });
    publisher.publish("q", 1, &[b"2"]).await;
    assert_eq!(publisher.control().await, blocked);
    quiet.method(1, declare("r")).await;
    assert!(is_declare_ok(quiet.frame().await), "who has not published is served");
    assert!(timeout(SILENCE, publisher.frame()).await.is_err());
    assert_eq!(broker.queue("q").unwrap().ready, 1);
    quiet.publish("q", 1, &[b"3"]).await;
    assert_eq!(quiet.control().await, blocked);
    assert_eq!(broker.queue("q").unwrap().ready, 1, "not even the first message is taken");
    broker.faults().unblock();
    for raw in [&mut publisher, &mut quiet] {
        assert_eq!(raw.control().await, Connection::Unblocked(Unblocked {}));
    }
    within(broker.until(|now| now.queue("q").ready == 3)).await;
}

#[tokio::test]
async fn a_client_that_does_not_know_alarms_is_held_up_without_a_word() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    raw.method(1, declare("q")).await;
    assert!(is_declare_ok(raw.frame().await));
    raw.publish("q", 1, &[b"1"]).await;
    within(broker.until(|now| now.queue("q").ready == 1)).await;
    broker.faults().block("low on disk");
    raw.publish("q", 1, &[b"2"]).await;
    raw.method(1, declare("r")).await;
    assert!(timeout(SILENCE, raw.frame()).await.is_err());
    broker.faults().unblock();
    assert!(is_declare_ok(raw.frame().await));
}

#[tokio::test]
async fn the_next_confirms_can_be_negative() {
    let on = Fixture::new().await;
    confirms(&on.channel).await;
    for queue in ["q", "r"] {
        common::queue(&on.channel, queue, []).await;
    }
    on.broker.faults().nack_next(1);
    on.broker.faults().nack_next_to("r", 1);
    let mut outcomes = Vec::new();
    for queue in ["q", "q", "r", "r"] {
        let properties = BasicProperties::default();
        let outcome = publish_with(&on.channel, "", queue, b"", properties).await;
        outcomes.push(matches!(outcome, Confirmation::Ack(None)));
    }
    assert_eq!(outcomes, [false, true, false, true]);
    assert_eq!((on.depth("q"), on.depth("r")), ((1, 0), (1, 0)));
}

#[tokio::test]
async fn a_message_that_wants_no_confirm_is_not_refused() {
    let on = Fixture::new().await;
    common::queue(&on.channel, "q", []).await;
    on.broker.faults().nack_next(1);
    publish(&on.channel, "", "q", "1").await;
    within(on.broker.until(|now| now.queue("q").ready == 1)).await;
}

#[tokio::test]
async fn a_queue_deleted_under_its_consumer_cancels_it() {
    let on = Fixture::new().await;
    common::queue(&on.channel, "q", []).await;
    let mut consumer = consume(&on.channel, "q").await;
    assert!(on.broker.faults().delete_queue("q"));
    assert!(within(consumer.next()).await.is_none());
    assert!(!on.broker.faults().delete_queue("q"));
}

#[tokio::test]
async fn waiting_sees_every_change() {
    let on = Fixture::new().await;
    common::queue(&on.channel, "q", []).await;
    let settled = on.broker.until(|now| now.queues.contains_key("q") && now.is_settled());
    within(settled).await;
    publish(&on.channel, "", "q", "1").await;
    let filled = within(on.broker.until(|now| !now.is_settled())).await;
    assert_eq!((filled.connections, filled.queue("q").ready), (1, 1));
    let mut consumer = consume(&on.channel, "q").await;
    let delivery = common::next(&mut consumer).await;
    assert_eq!(on.depth("q"), (0, 1));
    let waiting = on.broker.until(|now| now.is_settled());
    let acking = async { delivery.ack(Default::default()).await.unwrap() };
    within(async { tokio::join!(waiting, acking) }).await;
    let deleting = on.channel.queue_delete("q".into(), QueueDeleteOptions::default());
    within(deleting).await.unwrap();
    within(on.broker.until(|now| now.queues.is_empty())).await;
}

#[tokio::test]
async fn a_client_may_close_a_channel_that_is_being_closed() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    broker.faults().close_channels("because");
    assert_eq!(raw.channel_closed_with().await, 406);
    let close = channel::Close { reply_code: 200, ..Default::default() };
    raw.method(1, AMQPClass::Channel(channel::AMQPMethod::Close(close))).await;
    let closed = AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {}));
    assert_eq!(raw.frame().await, Some(AMQPFrame::Method(1, closed.clone())));
    raw.method(1, closed).await;
    raw.method(1, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await;
    raw.frame().await;
    raw.basic(basic::AMQPMethod::Qos(basic::Qos::default())).await;
    assert!(matches!(raw.frame().await, Some(AMQPFrame::Method(1, AMQPClass::Basic(_)))));
}
