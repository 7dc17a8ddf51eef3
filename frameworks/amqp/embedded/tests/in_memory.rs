//! A broker without a port, and with a clock that a test turns.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{future::Future, time::Duration};

use amq_protocol::{
    frame::AMQPFrame,
    protocol::{AMQPClass, basic, connection::AMQPMethod as Connection, queue},
    types::{AMQPValue, FieldTable},
};
use common::{Fixture, raw::Raw, table, text, within};
use polyport_amqp_embedded::EmbeddedBroker;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, timeout},
};

async fn in_memory() -> EmbeddedBroker {
    EmbeddedBroker::builder().in_memory().start().await.unwrap()
}

/// Fails instead of hanging, by a clock that is turned on whenever nothing happens.
async fn within_a_month<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(30 * 86_400), future).await.expect("it takes too long")
}

fn declare(name: &str, arguments: FieldTable) -> AMQPClass {
    let declare = queue::Declare { queue: name.into(), arguments, ..Default::default() };
    AMQPClass::Queue(queue::AMQPMethod::Declare(declare))
}

#[tokio::test]
async fn a_broker_without_a_port_is_reached_by_a_pipe_and_has_no_address() {
    let broker = in_memory().await;
    assert_eq!(broker.local_addr(), None);
    assert_eq!(broker.url(), "amqp://guest:guest@in-memory.invalid/%2f");
    let mut raw = Raw::open_over(broker.connect().unwrap(), 0, &[]).await;
    raw.method(1, declare("q", FieldTable::default())).await;
    raw.frame().await;
    raw.publish("q", 5, &[b"hello"]).await;
    within(broker.until(|now| now.queue("q").ready == 1 && now.connections == 1)).await;
    raw.basic(basic::AMQPMethod::Get(basic::Get { queue: "q".into(), no_ack: true })).await;
    raw.frame().await;
    raw.frame().await;
    assert_eq!(raw.frame().await, Some(AMQPFrame::Body(1, b"hello".to_vec())));
}

#[tokio::test]
async fn a_broker_with_a_port_takes_pipes_too() {
    let on = Fixture::new().await;
    let mut raw = Raw::open_over(on.broker.connect().unwrap(), 0, &[]).await;
    raw.method(1, declare("q", FieldTable::default())).await;
    raw.frame().await;
    common::publish(&on.channel, "", "q", "by TCP").await;
    within(on.broker.until(|now| now.queue("q").ready == 1 && now.connections == 2)).await;
}

#[tokio::test]
async fn a_pipe_ends_when_either_side_does() {
    let broker = in_memory().await;
    let mut raw = Raw::open_over(broker.connect().unwrap(), 0, &[]).await;
    raw.stream.shutdown().await.unwrap();
    assert_eq!(raw.frame().await, None);
    within(broker.until(|now| now.connections == 0)).await;
    let mut raw = Raw::open_over(broker.connect().unwrap(), 0, &[]).await;
    let told = tokio::spawn(async move { raw.closed_with().await });
    within(broker.restart()).await.unwrap();
    assert_eq!(told.await.unwrap(), 320);
    let mut raw = Raw::open_over(broker.connect().unwrap(), 0, &[]).await;
    broker.faults().cut();
    assert_eq!(raw.frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn time_to_live_follows_the_clock_of_the_test() {
    let (broker, started) = (in_memory().await, Instant::now());
    let mut raw = Raw::open_over(broker.connect().unwrap(), 0, &[]).await;
    let day = Duration::from_secs(86_400);
    let waiting = table([
        ("x-message-ttl", AMQPValue::LongInt(86_400_000)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
        ("x-expires", AMQPValue::LongInt(3 * 86_400_000)),
    ]);
    for (name, arguments) in [("wait", waiting), ("dead", FieldTable::default())] {
        raw.method(1, declare(name, arguments)).await;
        raw.frame().await;
    }
    raw.publish("wait", 1, &[b"1"]).await;
    within_a_month(broker.until(|now| now.queue("wait").ready == 1)).await;
    within_a_month(broker.until(|now| now.queue("dead").ready == 1)).await;
    assert!((day..day + Duration::from_secs(1)).contains(&started.elapsed()));
    within_a_month(broker.until(|now| !now.queues.contains_key("wait"))).await;
    assert!((3 * day..3 * day + Duration::from_secs(1)).contains(&started.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn heartbeats_follow_the_clock_of_the_test() {
    let (broker, started) = (in_memory().await, Instant::now());
    let mut raw = Raw::open_over(broker.connect().unwrap(), 60, &[]).await;
    let mut heartbeats = 0;
    while let Some(frame) = within_a_month(raw.read_frame()).await {
        assert_eq!(frame, AMQPFrame::Heartbeat);
        heartbeats += 1;
    }
    assert!(heartbeats >= 3, "{heartbeats}");
    assert_eq!(started.elapsed().as_secs(), 120, "a silent client is given up");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_broker_misses_no_heartbeat_by_itself() {
    let broker = in_memory().await;
    let mut raw = Raw::open_over(broker.connect().unwrap(), 60, &[]).await;
    broker.faults().freeze();
    let hour = Duration::from_secs(3_600);
    assert!(timeout(hour, raw.read_frame()).await.is_err());
    broker.faults().thaw();
    assert!(!matches!(
        within_a_month(raw.read_frame()).await,
        Some(AMQPFrame::Method(0, AMQPClass::Connection(Connection::Close(_))))
    ));
}
