//! The protocol itself, with bare frames: limits, exceptions, malformed input.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{
    panic,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use amq_protocol::{
    frame::{AMQPContentHeader, AMQPFrame},
    protocol::{
        AMQPClass, BasicProperties, basic, channel,
        connection::{self, AMQPMethod as Connection},
        queue, tx,
    },
    types::AMQPValue,
};
use common::{
    Fixture, confirms, connect, publish, raw,
    raw::{Raw, encoded},
    within,
};
use polyport_amqp_embedded::EmbeddedBroker;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn broker() -> EmbeddedBroker {
    EmbeddedBroker::start().await.unwrap()
}

fn declare(name: &str) -> AMQPClass {
    let declare = queue::Declare { queue: name.into(), ..Default::default() };
    AMQPClass::Queue(queue::AMQPMethod::Declare(declare))
}

fn consume(queue: &str) -> AMQPClass {
    let consume = basic::Consume { queue: queue.into(), ..Default::default() };
    AMQPClass::Basic(basic::AMQPMethod::Consume(consume))
}

fn flow(active: bool) -> AMQPClass {
    AMQPClass::Channel(channel::AMQPMethod::Flow(channel::Flow { active }))
}

fn is_basic(frame: &AMQPFrame, wanted: impl Fn(&basic::AMQPMethod) -> bool) -> bool {
    matches!(frame, AMQPFrame::Method(1, AMQPClass::Basic(method)) if wanted(method))
}

#[tokio::test]
async fn a_wrong_protocol_header_is_answered_with_the_right_one() {
    let broker = broker().await;
    let mut raw = Raw::dial(&broker).await;
    raw.bytes(b"AMQP\x00\x01\x00\x00").await;
    let mut answer = Vec::new();
    within(raw.stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"AMQP\0\0\x09\x01");
}

#[tokio::test]
async fn the_server_says_what_it_can_do() {
    let broker = broker().await;
    let mut raw = Raw::dial(&broker).await;
    raw.bytes(b"AMQP\0\0\x09\x01").await;
    let Connection::Start(start) = raw.control().await else { panic!("no start") };
    let capabilities = start.server_properties.inner()["capabilities"].as_field_table().unwrap();
    for name in [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ] {
        assert_eq!(capabilities.inner()[name], AMQPValue::Boolean(true), "{name}");
    }
}

#[tokio::test]
async fn a_handshake_that_breaks_the_rules_is_closed_with_a_code() {
    let broker = broker().await;
    let malformed = connection::StartOk { response: "guest".into(), ..raw::start_ok("PLAIN") };
    for (answer, expected) in [(raw::start_ok("EXTERNAL"), 503), (malformed, 403)] {
        let mut raw = Raw::dial(&broker).await;
        raw.bytes(b"AMQP\0\0\x09\x01").await;
        raw.control().await;
        raw.say(Connection::StartOk(answer)).await;
        assert_eq!(raw.closed_with().await, expected);
    }
    for frame_max in [0, 100, 1_000_000] {
        let mut raw = Raw::dial(&broker).await;
        raw.bytes(b"AMQP\0\0\x09\x01").await;
        raw.control().await;
        raw.say(Connection::StartOk(raw::start_ok("PLAIN"))).await;
        raw.control().await;
        raw.say(Connection::TuneOk(raw::tune_ok(frame_max, 0))).await;
        assert_eq!(raw.closed_with().await, 530, "{frame_max}");
    }
}

#[tokio::test]
async fn bodies_are_split_by_the_negotiated_frame_size_and_joined_again() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    raw.method(1, declare("q")).await;
    raw.frame().await;
    let body: Vec<u8> = (0..20_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    raw.publish(
        "q",
        20_000,
        &[
            &body[..1],
            &[],
            &body[1..4_000],
            &body[4_000..8_000],
            &body[8_000..12_000],
            &body[12_000..16_000],
            &body[16_000..],
        ],
    )
    .await;
    raw.method(1, consume("q")).await;
    let mut received = Vec::new();
    while received.len() < body.len() {
        if let Some(AMQPFrame::Body(1, piece)) = raw.frame().await {
            received.extend(piece);
        }
    }
    assert!(received == body);
    assert_eq!(raw.largest, raw::FRAME_MAX as usize);
}

#[tokio::test]
async fn a_frame_above_the_negotiated_size_is_a_frame_error() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    raw.publish("q", 5_000, &[&[0; 5_000]]).await;
    assert_eq!(raw.closed_with().await, 501);
}

#[tokio::test]
async fn frames_that_make_no_sense_are_closed_with_their_code() {
    let header =
        AMQPContentHeader { class_id: 60, body_size: 3, properties: BasicProperties::default() };
    let header = encoded(&AMQPFrame::Header(1, header));
    let transaction = AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {}));
    let open = AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}));
    let publish = AMQPClass::Basic(basic::AMQPMethod::Publish(basic::Publish::default()));
    let publish = encoded(&AMQPFrame::Method(1, publish));
    let cases: Vec<(u16, Vec<u8>)> = vec![
        (501, b"\x05\0\0\0\0\0\0\xce".to_vec()),
        (501, b"\x08\0\0\0\0\0\0\xcd".to_vec()),
        (501, b"\x08\0\x01\0\0\0\0\xce".to_vec()),
        (501, [publish.clone(), header.clone(), encoded(&AMQPFrame::Body(1, vec![0; 4]))].concat()),
        (502, b"\x01\0\x01\0\0\0\x04\0\x63\0\x63\xce".to_vec()),
        (503, encoded(&AMQPFrame::Method(0, declare("q")))),
        (504, encoded(&AMQPFrame::Method(9, declare("q")))),
        (504, encoded(&AMQPFrame::Method(1, open.clone()))),
        (504, encoded(&AMQPFrame::Method(101, open))),
        (505, header),
        (505, [publish.clone(), publish].concat()),
        (540, encoded(&AMQPFrame::Method(1, transaction))),
        (540, encoded(&AMQPFrame::Method(1, flow(false)))),
    ];
    let broker = broker().await;
    for (expected, bytes) in cases {
        let mut raw = Raw::open(&broker, 0).await;
        raw.bytes(&bytes).await;
        assert_eq!(raw.closed_with().await, expected, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_know_cancel_notifications_gets_none() {
    let on = Fixture::new().await;
    let mut raw = Raw::open(&on.broker, 0).await;
    raw.method(1, declare("q")).await;
    raw.frame().await;
    raw.method(1, consume("q")).await;
    raw.frame().await;
    within(on.channel.queue_delete("q".into(), Default::default())).await.unwrap();
    raw.method(1, flow(true)).await;
    let flowing = channel::AMQPMethod::FlowOk(channel::FlowOk { active: true });
    assert_eq!(raw.frame().await, Some(AMQPFrame::Method(1, AMQPClass::Channel(flowing))));
}

#[tokio::test]
async fn an_unknown_delivery_tag_closes_the_channel_and_what_follows_on_it_is_discarded() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    let ack = basic::Ack { delivery_tag: 5, multiple: false };
    raw.basic(basic::AMQPMethod::Ack(ack)).await;
    raw.publish("q", 1, &[b"x"]).await;
    raw.method(1, declare("discarded")).await;
    assert_eq!(raw.channel_closed_with().await, 406);
    let closed = channel::AMQPMethod::CloseOk(channel::CloseOk {});
    raw.method(1, AMQPClass::Channel(closed)).await;
    raw.method(1, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await;
    raw.method(1, declare("after")).await;
    raw.frame().await;
    raw.frame().await;
    assert_eq!(broker.queue("discarded"), None);
    assert!(broker.queue("after").is_some());
}

#[tokio::test]
async fn a_message_too_large_is_refused_by_its_header() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    raw.publish("q", u64::MAX, &[]).await;
    assert_eq!(raw.channel_closed_with().await, 406);
}

#[tokio::test]
async fn tables_nested_to_break_the_parser_are_a_syntax_error() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    let mut table: Vec<u8> = Vec::new();
    for _ in 0..550 {
        let mut outer = b"\x01kF".to_vec();
        outer.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
        outer.append(&mut table);
        table = outer;
    }
    let mut payload = b"\0\x32\0\x0a\0\0\x01q\0".to_vec();
    payload.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
    payload.extend(table);
    let mut frame = b"\x01\0\x01".to_vec();
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(payload);
    frame.push(0xce);
    raw.bytes(&frame).await;
    assert_eq!(raw.closed_with().await, 502);
}

#[tokio::test]
async fn heartbeats_are_sent_and_expected() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 1).await;
    assert_eq!(raw.frame().await, Some(AMQPFrame::Heartbeat));
    let started = std::time::Instant::now();
    while raw.frame().await.is_some() {}
    assert!(started.elapsed() < Duration::from_secs(10), "a silent client is still served");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody() {
    let on = Fixture::new().await;
    let mut deaf = Raw::open(&on.broker, 0).await;
    deaf.method(1, declare("q")).await;
    deaf.frame().await;
    deaf.method(1, consume("q")).await;
    assert!(is_basic(&deaf.frame().await.unwrap(), |it| matches!(
        it,
        basic::AMQPMethod::ConsumeOk(_)
    )));
    confirms(&on.channel).await;
    let body = "x".repeat(100_000);
    for _ in 0..300 {
        publish(&on.channel, "", "q", &body).await;
    }
    assert_eq!(on.depth("q"), (0, 300));
    drop(deaf);
    let other = connect(&on.broker).await;
    let channel = other.create_channel().await.unwrap();
    let mut consumer = common::consume(&channel, "q").await;
    for _ in 0..300 {
        assert!(common::next(&mut consumer).await.redelivered);
    }
}

#[tokio::test]
async fn a_client_that_closes_is_answered_after_its_messages_are_back() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    raw.method(1, declare("q")).await;
    raw.publish("q", 1, &[b"x"]).await;
    raw.method(1, consume("q")).await;
    let close = connection::Close { reply_code: 200, ..Default::default() };
    raw.say(Connection::Close(close)).await;
    loop {
        let frame = raw.frame().await.expect("closed without an answer");
        if matches!(frame, AMQPFrame::Method(0, AMQPClass::Connection(Connection::CloseOk(_)))) {
            break;
        }
    }
    assert_eq!(broker.queue("q").unwrap().ready, 1);
    assert_eq!(raw.frame().await, None);
}

/// Bytes as a broken or hostile client sends them: noise, and frames whose head is right.
fn malformed() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..300);
    let payload = prop::collection::vec(any::<u8>(), 0..200);
    let ids = (prop::sample::select(vec![10_u8, 20, 30, 40, 50, 60, 85, 90]), 0..130_u8);
    let framed = (1..4_u8, 0..3_u8, ids, payload).prop_map(|(kind, channel, ids, payload)| {
        let payload = [vec![0, ids.0, 0, ids.1], payload].concat();
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [vec![kind, 0, channel], size.to_vec(), payload, vec![0xce]].concat()
    });
    prop::collection::vec(prop_oneof![1 => noise, 4 => framed], 1..6).prop_map(|all| all.concat())
}

/// Runs `attack` with many malformed inputs; afterwards nothing may have panicked, not even in a
/// task whose panic only ends its own connection.
fn survives(cases: u32, attack: impl AsyncFn(&EmbeddedBroker, Vec<u8>)) {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::SeqCst);
        report(info);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let on = runtime.block_on(Fixture::new());
    let mut runner = TestRunner::new(Config { cases, ..Config::default() });
    let outcome = runner.run(&malformed(), |bytes| {
        runtime.block_on(async {
            attack(&on.broker, bytes).await;
            common::queue(&on.channel, "alive", []).await;
        });
        prop_assert!(!PANICKED.load(Ordering::SeqCst), "the broker has panicked");
        Ok(())
    });
    outcome.unwrap();
}

/// Sends `bytes`, which may fail when the broker has closed already, and reads to the end.
async fn exhaust(mut raw: Raw, bytes: &[u8]) {
    let _ = raw.stream.write_all(bytes).await;
    let _ = raw.stream.shutdown().await;
    while raw.frame().await.is_some() {}
}

#[test]
fn whatever_a_client_sends_the_broker_goes_on_serving_others() {
    survives(500, async |broker: &EmbeddedBroker, bytes: Vec<u8>| {
        exhaust(Raw::open(broker, 0).await, &bytes).await;
    });
}

#[test]
fn the_handshake_survives_noise_too() {
    survives(200, async |broker: &EmbeddedBroker, bytes: Vec<u8>| {
        exhaust(Raw::dial(broker).await, &bytes).await;
        let greeted = [b"AMQP\0\0\x09\x01".as_slice(), &bytes].concat();
        exhaust(Raw::dial(broker).await, &greeted).await;
    });
}
