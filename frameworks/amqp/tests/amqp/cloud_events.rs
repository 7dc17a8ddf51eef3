//! CloudEvents in both modes.

use std::sync::Arc;

use polyport_amqp::{CloudEvent, Delivery, Message};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};
use serde_json::json;

use crate::support::{Probe, TestBroker, Text, text};

on_both_brokers! {
    an_event_in_binary_mode_comes_as_it_was_published,
    an_event_in_structured_mode_is_opened,
    data_in_base64_is_decoded,
    what_says_to_be_an_event_and_is_none_is_parked,
    a_parked_event_is_kept_as_it_came,
}

/// Reports the event's attributes with its data.
async fn on_event(
    Inject(probe): Inject<Probe>,
    event: CloudEvent,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let CloudEvent { id, source, event_type, subject, extensions, .. } = event;
    let subject = subject.unwrap_or_default();
    let tenant = extensions.get("tenant").cloned().unwrap_or_default();
    let seen = format!("{event_type} {id} {source} {subject} {tenant}: {}", input.text);
    probe.report(text(&seen), delivery);
    match &*input.text {
        "fail" => Err(Fault::not_found("NO_ROOM", "there is no such room")),
        _ => Ok(()),
    }
}

fn structured(queue: &str, event: &serde_json::Value) -> Message {
    Message::new("", queue, event.to_string())
        .content_type("application/cloudevents+json; charset=utf-8")
}

async fn an_event_in_binary_mode_comes_as_it_was_published(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, on_event));
    let app = app.await.expect("starts");
    let event = CloudEvent::new("order.created", "/orders").id("e1").subject("o-7");
    let event = event.extension("tenant", "acme");
    let message = Message::cloud_event("", &queue, event, &text("hi")).expect("JSON");
    broker.client.send(message).await;
    let seen = probe.next().await;
    assert_eq!(seen.text, "order.created e1 /orders o-7 acme: hi");
    assert_eq!(seen.delivery.message_id(), Some("e1"));
    assert_eq!(seen.delivery.header("cloudEvents_specversion"), Some("1.0"));

    // As others write it.
    let message = Message::json("", &queue, &text("colons")).expect("JSON");
    let message = [("specversion", "1.0"), ("id", "e2"), ("source", "/s"), ("type", "t")]
        .into_iter()
        .fold(message, |message, (name, value)| {
            message.header(format!("cloudEvents:{name}"), value)
        });
    broker.client.send(message).await;
    assert_eq!(probe.next().await.text, "t e2 /s  : colons");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn an_event_in_structured_mode_is_opened(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, on_event));
    let app = app.await.expect("starts");
    let event = json!({
        "specversion": "1.0", "id": "e1", "source": "/orders", "type": "order.created",
        "subject": "o-7", "tenant": "acme", "data": { "text": "hi" },
    });
    broker.client.send(structured(&queue, &event)).await;
    assert_eq!(probe.next().await.text, "order.created e1 /orders o-7 acme: hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn data_in_base64_is_decoded(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, on_event));
    let app = app.await.expect("starts");
    let event = json!({
        "specversion": "1.0", "id": "e1", "source": "/s", "type": "t",
        "datacontenttype": "application/json", "data_base64": "eyJ0ZXh0IjoiaGkifQ==",
    });
    broker.client.send(structured(&queue, &event)).await;
    assert_eq!(probe.next().await.text, "t e1 /s  : hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn what_says_to_be_an_event_and_is_none_is_parked(broker: Arc<TestBroker>) {
    async fn plain(
        Inject(probe): Inject<Probe>,
        delivery: Delivery,
        Input(input): Input<Text>,
    ) -> Result<(), Fault> {
        probe.report(input, delivery);
        Ok(())
    }
    let (probe, queue, other) = (Probe::new(), broker.name("q"), broker.name("plain"));
    let (consumed, consumed_plain) = (queue.clone(), other.clone());
    let app = broker.app(&probe, move |routes| {
        routes.consume(&consumed, on_event).consume(&consumed_plain, plain)
    });
    let app = app.await.expect("starts");
    let no_source =
        json!({ "specversion": "1.0", "id": "e1", "type": "t", "data": { "text": "x" } });
    let binary = Message::json("", &queue, &text("hi")).expect("JSON");
    for (message, to, named) in [
        (structured(&queue, &no_source), &queue, "source is missing"),
        (structured(&other, &no_source), &other, "source is missing"),
        (binary.clone().header("cloudEvents_id", "e1"), &queue, "specversion is missing"),
        (binary, &queue, "no headers"),
        (
            Message::new("", &other, "[]").content_type("application/cloudevents-batch+json"),
            &other,
            "cloudevents-batch+json",
        ),
    ] {
        broker.client.send(message).await;
        let parked = broker.only_message(&format!("{to}.dead")).await;
        let reason = parked.header("x-exception-reason");
        assert_eq!(reason.as_deref(), Some("MALFORMED_CLOUD_EVENT"), "{named}");
        let message = parked.header("x-exception-message").expect("a message");
        assert!(message.contains(named), "{message}");
    }
    app.close().await.expect("a clean stop");
    assert!(probe.rest().await.is_empty());
    broker.delete(&queue).await;
    broker.delete(&other).await;
}

async fn a_parked_event_is_kept_as_it_came(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, on_event));
    let app = app.await.expect("starts");
    let event = json!({
        "specversion": "1.0", "id": "e1", "source": "/s", "type": "t", "data": { "text": "fail" },
    });
    broker.client.send(structured(&queue, &event)).await;
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.json::<serde_json::Value>(), event);
    assert!(parked.content_type().is_some_and(|name| name.starts_with("application/cloudevents")));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}
