//! Bodies that are protobuf, and bodies as they are.

use std::sync::Arc;

use garde::Validate;
use polyport_amqp::{Delivery, Message, Protobuf, ProtobufConsumers, ProtobufTypes};
use polyport_bootstrap::{
    Fault,
    operation::{Body, Inject, Input},
};
use prost::Message as _;
use serde_json::json;

use crate::support::{Probe, TestBroker, text};

on_both_brokers! {
    a_protobuf_body_becomes_the_operations_input,
    what_does_not_decode_or_is_no_protobuf_is_parked,
    an_event_can_carry_protobuf,
    a_request_in_protobuf_is_answered_in_json_or_in_protobuf,
    a_body_of_any_kind_can_be_taken_as_it_is,
}

/// `String` is the message `google.protobuf.StringValue`.
#[derive(Debug, Validate)]
struct Name(#[garde(length(min = 1))] String);

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(name)
    }
}

async fn greet(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(name): Input<Name>,
) -> Result<String, Fault> {
    probe.report(text(&name.0), delivery);
    Ok(format!("Hello, {}", name.0))
}

fn message(queue: &str, name: &str, content_type: &str) -> Message {
    Message::new("", queue, name.to_owned().encode_to_vec()).content_type(content_type)
}

async fn a_protobuf_body_becomes_the_operations_input(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume_protobuf::<String>(&consumed, greet));
    let app = app.await.expect("starts");
    for content_type in ["application/protobuf", "application/X-protobuf; messageType=x"] {
        broker.client.send(message(&queue, "Tom", content_type)).await;
        assert_eq!(probe.next().await.text, "Tom");
    }
    broker.client.send(Message::new("", &queue, "Tom".to_owned().encode_to_vec())).await;
    assert_eq!(probe.next().await.text, "Tom", "without a content type");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn what_does_not_decode_or_is_no_protobuf_is_parked(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume_protobuf::<String>(&consumed, greet));
    let app = app.await.expect("starts");
    let torn = Message::new("", &queue, vec![0x0a, 0xff]).content_type("application/protobuf");
    for (message, reason) in [
        (torn, "MALFORMED_MESSAGE"),
        (message(&queue, "", "application/protobuf"), "INVALID_INPUT"),
        (Message::json("", &queue, "Tom").expect("JSON"), "UNSUPPORTED_MEDIA_TYPE"),
    ] {
        broker.client.send(message).await;
        let parked = broker.only_message(&format!("{queue}.dead")).await;
        assert_eq!(parked.header("x-exception-reason").as_deref(), Some(reason));
    }
    app.close().await.expect("a clean stop");
    assert!(probe.rest().await.is_empty());
    broker.delete(&queue).await;
}

async fn an_event_can_carry_protobuf(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.consume_types(&consumed, |t| t.on_protobuf::<String>("greeting", greet))
    });
    let app = app.await.expect("starts");
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/s", "type": "greeting",
        "datacontenttype": "application/protobuf", "data_base64": "CgNUb20=",
    });
    let event = Message::new("", &queue, event.to_string());
    broker.client.send(event.content_type("application/cloudevents+json")).await;
    assert_eq!(probe.next().await.text, "Tom");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_request_in_protobuf_is_answered_in_json_or_in_protobuf(broker: Arc<TestBroker>) {
    async fn encoded(Input(name): Input<Name>) -> Result<Protobuf<String>, Fault> {
        Ok(Protobuf(format!("Hello, {}", name.0)))
    }
    let (probe, json, protobuf) = (Probe::new(), broker.name("json"), broker.name("protobuf"));
    let (first, second) = (json.clone(), protobuf.clone());
    let app = broker.app(&probe, move |routes| {
        routes
            .consume_protobuf::<String>(&first, greet)
            .consume_protobuf::<String>(&second, encoded)
    });
    let app = app.await.expect("starts");
    let request = message(&json, "Tom", "application/protobuf");
    let reply = broker.client.request_message(request).await;
    assert_eq!(reply.json::<String>(), "Hello, Tom");
    let request = message(&protobuf, "Tom", "application/protobuf");
    let reply = broker.client.request_message(request).await;
    assert_eq!(reply.content_type().as_deref(), Some("application/protobuf"));
    assert_eq!(String::decode(reply.body()).expect("protobuf"), "Hello, Tom");
    app.close().await.expect("a clean stop");
    broker.delete(&json).await;
    broker.delete(&protobuf).await;
}

async fn a_body_of_any_kind_can_be_taken_as_it_is(broker: Arc<TestBroker>) {
    async fn raw(
        Inject(probe): Inject<Probe>,
        delivery: Delivery,
        Body(bytes): Body,
    ) -> Result<(), Fault> {
        probe.report(text(&format!("{bytes:?}")), delivery);
        Ok(())
    }
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, raw));
    let app = app.await.expect("starts");
    let image = Message::new("", &queue, vec![0xff, 0]).content_type("image/png");
    broker.client.send(image).await;
    let seen = probe.next().await;
    assert_eq!((&*seen.text, seen.delivery.content_type()), (r#"b"\xff\0""#, Some("image/png")));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}
