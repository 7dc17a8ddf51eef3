//! Replies that are not one value.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, StatusCode};
use polyport_amqp::Message;
use polyport_bootstrap::{
    Fault, FaultKind,
    operation::{Answer, ByteStream, Input, Items, Raw},
};
use serde_json::{Value, json};

use crate::support::{Probe, TestBroker, Text, text};

on_both_brokers! {
    items_are_numbered_replies_and_the_last_one_says_so,
    a_fault_among_the_items_is_the_last_reply,
    items_that_nobody_reads_are_not_made,
    bytes_are_sent_with_their_content_type,
    headers_of_an_answer_are_headers_of_the_reply,
    a_reply_that_is_too_large_is_answered_with_a_fault,
    a_message_says_how_long_its_sender_waits,
}

async fn count(Input(input): Input<Text>) -> Result<Items<u32>, Fault> {
    let numbers = stream::iter([1, 2].map(Ok));
    Ok(match input.text.as_str() {
        "fault" => {
            Items::new(numbers.chain(stream::iter([Err(Fault::unavailable("GONE", "gone"))])))
        }
        "panic" => Items::new(numbers.chain(stream::once(async { panic!("on purpose") }))),
        "forever" => Items::new(numbers.chain(stream::pending())),
        _ => Items::new(numbers),
    })
}

fn numbers(replies: &[polyport_amqp::testing::TestMessage]) -> Vec<Option<String>> {
    replies.iter().map(|reply| reply.header("x-polyport-item")).collect()
}

async fn items_are_numbered_replies_and_the_last_one_says_so(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, count));
    let app = app.config("amqp.envelope", "return-code").await.expect("starts");
    let replies = broker.client.request_items(&queue, &text("all")).await;
    assert_eq!(numbers(&replies), ["1", "2", "3"].map(|number| Some(number.to_owned())));
    let value = |data: u32| json!({ "returnCode": "SUC00000", "data": data });
    assert_eq!(replies[0].json::<Value>(), value(1));
    assert_eq!(replies[1].json::<Value>(), value(2));
    assert_eq!(replies[2].json::<Value>(), Value::Null);
    assert_eq!(replies[2].header("x-polyport-last").as_deref(), Some("true"));
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn a_fault_among_the_items_is_the_last_reply(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, count));
    let app = app.config("amqp.timeout", "2s").await.expect("starts");
    let cases = [
        ("fault", FaultKind::Unavailable),
        ("panic", FaultKind::Internal),
        ("forever", FaultKind::DeadlineExceeded),
    ];
    for (input, kind) in cases {
        let replies = broker.client.request_items(&queue, &text(input)).await;
        assert_eq!(replies.len(), 3, "{input}");
        let fault = replies[2].fault().expect("a fault");
        assert_eq!((fault.kind(), replies[1].fault().is_none()), (kind, true), "{input}");
    }
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&format!("{queue}.dead")).await, 0);
    broker.delete(&queue).await;
}

async fn items_that_nobody_reads_are_not_made(broker: Arc<TestBroker>) {
    let (probe, queue, made) = (Probe::new(), broker.name("q"), Arc::new(AtomicUsize::new(0)));
    let (consumed, counter) = (queue.clone(), Arc::clone(&made));
    let counted = move || {
        let numbers = stream::iter([1, 2].map(Ok::<u32, Fault>));
        let items = Items::new(numbers.inspect(move |_| {
            counter.fetch_add(1, SeqCst);
        }));
        std::future::ready(Ok::<_, Fault>(items))
    };
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, counted.clone()));
    // One at a time, so that the first is done when the second is answered.
    let app = app.config("amqp.concurrency", 1).await.expect("starts");
    broker.client.publish("", &queue, &text("nobody")).await;
    assert_eq!(broker.client.request_items(&queue, &text("somebody")).await.len(), 3);
    app.close().await.expect("a clean stop");
    assert_eq!((made.load(SeqCst), broker.client.queue_depth(&queue).await), (2, 0));
    broker.delete(&queue).await;
}

async fn export(Input(input): Input<Text>) -> Result<ByteStream, Fault> {
    let parts = vec![Ok::<_, Fault>(Bytes::from("a,")), Ok(Bytes::from(input.text))];
    Ok(ByteStream::new("text/csv", stream::iter(parts)))
}

async fn bytes_are_sent_with_their_content_type(broker: Arc<TestBroker>) {
    let (probe, queue, other) = (Probe::new(), broker.name("q"), broker.name("raw"));
    let (consumed, raw) = (queue.clone(), other.clone());
    let app = broker.app(&probe, move |routes| {
        let raw_bytes = || async { Ok::<_, Fault>(Raw::new("image/png", vec![0, 255])) };
        routes.consume(&consumed, export).consume(&raw, raw_bytes)
    });
    let app = app.config("amqp.envelope", "return-code").await.expect("starts");
    let reply = broker.client.request(&queue, &text("b")).await;
    assert_eq!((reply.body(), reply.content_type().as_deref()), (&b"a,b"[..], Some("text/csv")));
    let reply = broker.client.request(&other, &text("b")).await;
    assert_eq!((reply.body(), reply.content_type().as_deref()), (&[0, 255][..], Some("image/png")));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
    broker.delete(&other).await;
}

async fn priced(Input(input): Input<Text>) -> Result<Answer<String>, Fault> {
    let cost = HeaderName::from_static("x-cost");
    match input.text.as_str() {
        "busy" => Err(Fault::resource_exhausted("BUSY", "later")
            .with_retry_after(std::time::Duration::from_secs(3))),
        _ => Ok(Answer::new(input.text)
            .status(StatusCode::CREATED)
            .header(cost, HeaderValue::from_static("7"))),
    }
}

async fn headers_of_an_answer_are_headers_of_the_reply(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, priced)).await;
    let app = app.expect("starts");
    let reply = broker.client.request(&queue, &text("b")).await;
    assert_eq!(
        (reply.json::<String>().as_str(), reply.header("x-cost").as_deref()),
        ("b", Some("7"))
    );
    let reply = broker.client.request(&queue, &text("busy")).await;
    assert_eq!(reply.header("retry-after").as_deref(), Some("3"));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn repeat(Input(input): Input<Text>) -> Result<String, Fault> {
    Ok(input.text.repeat(1000))
}

async fn a_reply_that_is_too_large_is_answered_with_a_fault(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, repeat));
    let app = app.config("amqp.max_message_size", 500).await.expect("starts");
    let reply = broker.client.request(&queue, &text("b")).await;
    assert_eq!(reply.fault().expect("a fault").kind(), FaultKind::Internal);
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn never() -> Result<(), Fault> {
    std::future::pending().await
}

async fn a_message_says_how_long_its_sender_waits(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, never)).await;
    let app = app.expect("starts");
    for timeout in [json!("50"), json!(50)] {
        let message = Message::new("", &queue, "").header("x-request-timeout-ms", timeout);
        let reply = broker.client.request_message(message).await;
        assert_eq!(reply.fault().expect("a fault").kind(), FaultKind::DeadlineExceeded);
    }
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}
