//! Operations by the type of the message.

use std::sync::Arc;

use polyport_amqp::{CloudEvent, Delivery, Message};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};

use crate::support::{Probe, TestBroker, Text, start_error, text};

on_both_brokers! {
    each_type_has_its_operation,
    a_message_of_an_unknown_type_is_parked_with_the_reason,
    an_operation_can_take_all_other_types,
    a_request_of_an_unknown_type_is_answered_with_the_fault,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

async fn created(
    probe: Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    report(probe, delivery, Input(text(&format!("created {}", input.text)))).await
}

fn message(queue: &str, name: &str) -> Message {
    Message::json("", queue, &text("hi")).expect("JSON").message_type(name)
}

async fn each_type_has_its_operation(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.consume_types(&consumed, |t| {
            t.on("order.created", created).on("order.cancelled", report)
        })
    });
    let app = app.await.expect("starts");
    broker.client.send(message(&queue, "order.created")).await;
    let seen = probe.next().await;
    assert_eq!((&*seen.text, seen.delivery.message_type()), ("created hi", Some("order.created")));
    broker.client.send(message(&queue, "order.cancelled")).await;
    assert_eq!(probe.next().await.text, "hi");
    let event = CloudEvent::new("order.created", "/orders");
    let event = Message::cloud_event("", &queue, event, &text("event")).expect("JSON");
    broker.client.send(event).await;
    assert_eq!(probe.next().await.text, "created event");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn a_message_of_an_unknown_type_is_parked_with_the_reason(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.consume_types(&consumed, |t| t.on("order.created", created))
    });
    let app = app.await.expect("starts");
    for (message, named) in [
        (message(&queue, "order.shipped"), "\"order.shipped\""),
        (Message::json("", &queue, &text("hi")).expect("JSON"), "no type"),
    ] {
        broker.client.send(message).await;
        let parked = broker.only_message(&format!("{queue}.dead")).await;
        assert_eq!(parked.header("x-exception-reason").as_deref(), Some("UNKNOWN_TYPE"));
        let text = parked.header("x-exception-message").expect("a message");
        assert!(text.contains(named) && text.contains("\"order.created\""), "{text}");
        assert_eq!(parked.header("x-polyport-attempt").as_deref(), Some("1"), "not retried");
    }
    broker.client.send(message(&queue, "order.created")).await;
    assert_eq!(probe.next().await.text, "created hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn an_operation_can_take_all_other_types(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.consume_types(&consumed, |t| t.on("order.created", created).otherwise(report))
    });
    let app = app.await.expect("starts");
    broker.client.send(message(&queue, "order.shipped")).await;
    assert_eq!(probe.next().await.text, "hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_request_of_an_unknown_type_is_answered_with_the_fault(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.consume_types(&consumed, |t| t.on("order.created", created))
    });
    let app = app.await.expect("starts");
    let reply = broker.client.request_message(message(&queue, "order.shipped")).await;
    assert_eq!(reply.fault().expect("a fault").reason(), "UNKNOWN_TYPE");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&format!("{queue}.dead")).await, 0);
    broker.delete(&queue).await;
}

#[tokio::test]
async fn a_type_that_has_two_operations_fails_the_start() {
    let probe = Probe::new();
    let bootstrap = crate::support::bootstrap(&probe, |routes| {
        routes.consume_types("orders", |t| t.on("created", created).on("created", report))
    });
    let report = start_error(polyport_bootstrap::testing::create_bootstrap(bootstrap)).await;
    assert!(report.contains("two operations are for messages of type \"created\""), "{report}");
}
