use std::sync::Arc;

use polyport_amqp::{Delivery, Message};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};
use serde_json::{Value, json};

use crate::support::{Probe, TestBroker, Text, text};

on_both_brokers! {
    a_request_is_answered_with_the_value,
    a_request_that_fails_is_answered_with_the_fault_and_not_parked,
    a_reply_goes_to_a_queue_by_name_too,
}

async fn shout(Inject(_): Inject<Probe>, Input(input): Input<Text>) -> Result<String, Fault> {
    match input.text.as_str() {
        "missing" => Err(Fault::not_found("NO_USER", "no such user")),
        "down" => Err(Fault::unavailable("DOWN", "the database is away")),
        text => Ok(text.to_uppercase()),
    }
}

async fn a_request_is_answered_with_the_value(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, shout));
    let app = app.config("amqp.envelope", "return-code").await.expect("starts");
    let reply = broker.client.request(&queue, &text("hi")).await;
    assert_eq!(reply.json::<Value>(), json!({ "returnCode": "SUC00000", "data": "HI" }));
    assert_eq!(reply.content_type().as_deref(), Some("application/json"));
    assert!(reply.fault().is_none());
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn a_request_that_fails_is_answered_with_the_fault_and_not_parked(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, shout));
    let app = app.config("amqp.envelope", "return-code").await.expect("starts");
    for (input, code, reason) in [
        ("missing", "ERR40400", "NO_USER"),
        ("down", "ERR50300", "DOWN"),
        ("", "ERR40000", "INVALID_INPUT"),
    ] {
        let reply = broker.client.request(&queue, &text(input)).await;
        assert_eq!(reply.json::<Value>()["returnCode"], code);
        let fault = reply.fault().expect("a fault");
        assert_eq!((fault.reason(), fault.code()), (reason, None));
        assert_eq!(format!("ERR{}00", fault.status()), code);
    }
    app.close().await.expect("a clean stop");
    for name in ["", ".dead", ".retry.100ms"] {
        assert_eq!(broker.client.queue_depth(&format!("{queue}{name}")).await, 0, "{name}");
    }
    broker.delete(&queue).await;
}

async fn whose(delivery: Delivery) -> Result<Option<String>, Fault> {
    Ok(delivery.reply_to().map(str::to_owned))
}

async fn a_reply_goes_to_a_queue_by_name_too(broker: Arc<TestBroker>) {
    let (probe, queue, replies) = (Probe::new(), broker.name("q"), broker.name("replies"));
    let (consumed, declared) = (queue.clone(), replies.clone());
    let app = broker.app(&probe, move |routes| {
        routes.queue(polyport_amqp::Queue::new(&declared)).consume(&consumed, whose)
    });
    let app = app.await.expect("starts");
    let message = Message::new("", &queue, "").reply_to(&replies).correlation_id("c7");
    broker.client.send(message.header("x-request-id", "r7")).await;
    let reply = broker.only_message(&replies).await;
    assert_eq!(reply.json::<String>(), replies);
    assert_eq!(reply.correlation_id().as_deref(), Some("c7"));
    assert_eq!(reply.header("x-request-id").as_deref(), Some("r7"));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
    broker.client.delete(&replies).await;
}
