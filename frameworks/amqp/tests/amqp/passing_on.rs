//! What a call passes on to those whom it sends messages.

use std::sync::Arc;

use polyport_amqp::{AmqpApp, Message, Queue};
use polyport_bootstrap::{Fault, operation::App};
use serde_json::json;

use crate::support::{Probe, TestBroker};

on_both_brokers! {
    a_message_that_a_call_sends_carries_its_request_id_trace_and_remaining_time,
}

async fn a_message_that_a_call_sends_carries_its_request_id_trace_and_remaining_time(
    broker: Arc<TestBroker>,
) {
    let (probe, queue, next) = (Probe::new(), broker.name("q"), broker.name("next"));
    let (consumed, declared) = (queue.clone(), next.clone());
    let target = next.clone();
    let pass_on = move |App(amqp): App<AmqpApp>| async move {
        amqp.publish("", &target, &1).await?;
        amqp.publish_message(Message::new("", &target, "2").reply_to("nobody")).await?;
        let own = Message::new("", &target, "3").header("traceparent", "mine");
        amqp.publish_message(own.header("x-request-id", "r-own")).await?;
        Ok::<_, Fault>(())
    };
    let app = broker.app(&probe, move |routes| {
        routes.queue(Queue::new(&declared)).consume(&consumed, pass_on.clone())
    });
    let app = app.await.expect("starts");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let message = Message::new("", &queue, json!(null).to_string())
        .header("x-request-id", "r-7")
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .header("tracestate", "theirs=1")
        .header("baggage", "tenant=acme");
    broker.client.send(message).await;

    let first = broker.client.expect_on(&next).await;
    assert_eq!(first.header("x-request-id").as_deref(), Some("r-7"));
    assert_eq!(first.header("baggage").as_deref(), Some("tenant=acme"));
    let parent = first.header("traceparent").expect("a trace");
    assert!(parent.contains(trace) && !parent.contains("b7ad6b7169203331"), "{parent}");
    assert_eq!(first.header("x-request-timeout-ms"), None, "nobody waits for it");

    let second = broker.client.expect_on(&next).await;
    let left: u64 = second.header("x-request-timeout-ms").expect("a time").parse().expect("ms");
    assert!((1..=30_000).contains(&left), "{left}");

    let third = broker.client.expect_on(&next).await;
    assert_eq!(third.header("x-request-id").as_deref(), Some("r-own"));
    assert_eq!(third.header("traceparent").as_deref(), Some("mine"));
    assert_eq!(third.header("tracestate"), None, "it belongs to another traceparent");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
    broker.client.delete(&next).await;
}
