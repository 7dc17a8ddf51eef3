//! What this framework adds to the command line.

use std::sync::Arc;

use polyport_amqp::{AmqpFramework, AmqpModule, AmqpRoutes, Delivery, Exchange, Queue};
use polyport_bootstrap::{
    Bootstrap, Fault, Module, ModuleBuilder, Result,
    operation::{Inject, Input},
    testing::{TestBootstrap, create_bootstrap},
};
use serde_json::{Value, json};

use crate::support::{Probe, TestBroker, Text, bootstrap, text};

on_both_brokers! {
    redrive_brings_parked_messages_back_and_says_how_many,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

async fn refuse() -> Result<(), Fault> {
    Err(Fault::not_found("NO", "no"))
}

async fn redrive_brings_parked_messages_back_and_says_how_many(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let dead = format!("{queue}.dead");
    let consumed = queue.clone();
    let refusing = broker.app(&probe, move |routes| routes.consume(&consumed, refuse));
    let refusing = refusing.await.expect("starts");
    for number in 0..3 {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    let parked = async { while broker.client.queue_depth(&dead).await < 3 {} };
    tokio::time::timeout(crate::support::LIMIT, parked).await.expect("all are parked");
    refusing.close().await.expect("a clean stop");

    let consumed = queue.clone();
    let app = || {
        let consumed = consumed.clone();
        broker.app(&probe, move |routes| routes.consume(&consumed, report))
    };
    let said = app().command("--redrive", Some(&queue)).await.expect("is done");
    assert_eq!(said, format!("3 messages brought back from {dead} to {queue}\n"));
    let said = app().command("--redrive", Some(&queue)).await.expect("is done");
    assert!(said.starts_with("0 messages"), "{said}");

    let app = app().await.expect("starts");
    let mut seen = [probe.next().await, probe.next().await, probe.next().await];
    seen.sort_by(|one, other| one.text.cmp(&other.text));
    assert_eq!(seen.each_ref().map(|seen| &*seen.text), ["0", "1", "2"]);
    assert!(seen.iter().all(|seen| seen.delivery.attempt() == 1), "counted anew: {seen:?}");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

#[tokio::test]
async fn redrive_of_a_queue_that_nothing_consumes_from_names_those_that_are() {
    let routes = |routes: AmqpRoutes| routes.consume("a", refuse).consume("b.c", refuse);
    let app = create_bootstrap(bootstrap(&Probe::new(), routes));
    let error = app.command("--redrive", Some("d")).await.expect_err("is unknown");
    let report = format!("{error:?}");
    assert!(report.contains("\"d\"") && report.contains("there is a, b.c"), "{report}");
    assert_eq!(error.exit_code(), 64);
}

#[tokio::test]
async fn redrive_needs_a_broker_that_keeps_something() {
    let routes = |routes: AmqpRoutes| routes.consume("a", refuse);
    let app = create_bootstrap(bootstrap(&Probe::new(), routes));
    let error = app.command("--redrive", Some("a")).await.expect_err("there is none");
    assert!(format!("{error:?}").contains("amqp.url"), "{error:?}");
}

struct Chat;

impl Module for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.amqp(|q| {
            q.exchange(Exchange::topic("im").bind("company", "im.#"))
                .queue(Queue::quorum("im.messages").bind("im", "message.*").max_length(5))
                .consume("im.messages", refuse)
        });
        Ok(())
    }
}

/// The chat, with a broker that is nowhere.
fn chat() -> TestBootstrap {
    let bootstrap = Bootstrap::new().load(AmqpFramework::new()).module(Chat);
    create_bootstrap(bootstrap)
        .config("amqp.url", "amqp://192.0.2.1:1")
        .config("amqp.retry.delays", ["1s"])
        .config("amqp.queues", json!({ "im.audit": { "exclusive": false, "max_priority": 3 } }))
}

#[tokio::test]
async fn topology_is_printed_as_a_table_without_a_broker() {
    let table = chat().command("--topology", None).await.expect("is done");
    let by_words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = table.lines().map(by_words).collect();
    for line in [
        "amqp, topology = \"declare\"",
        "im topic durable module chat",
        "im.audit classic durable, x-max-priority=3 configuration amqp.queues.\"im.audit\"",
        "im.messages quorum durable, x-max-length=5 module chat",
        "im.messages.dead quorum durable polyport, for a consumer of module chat",
        "company \"im.#\" exchange im",
        "im \"message.*\" queue im.messages",
        "im.messages refuse chat im.messages.retry.1s, im.messages.dead",
    ] {
        assert!(lines.iter().any(|known| known == line), "{line}:\n{table}");
    }
}

#[tokio::test]
async fn topology_is_printed_as_json_too() {
    let json = chat().command("--topology", Some("json")).await.expect("is done");
    let json: Value = serde_json::from_str(&json).expect("is JSON");
    assert_eq!(json["mode"], "declare");
    assert_eq!(json["exchanges"][0]["kind"], "topic");
    assert_eq!(json["consumers"][0]["queue"], "im.messages");
    assert_eq!(json["consumers"][0]["retries"], json!(["im.messages.retry.1s"]));
    let retry = json["queues"].as_array().expect("a list").last().expect("the last by name");
    assert_eq!(retry["arguments"]["x-dead-letter-strategy"], "at-least-once");
    assert_eq!(json["bindings"].as_array().map(Vec::len), Some(2));
}
