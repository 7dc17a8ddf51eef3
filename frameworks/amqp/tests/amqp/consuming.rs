use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use polyport_amqp::{AmqpRoutes, Delivery, Exchange, Message, Queue};
use polyport_bootstrap::{
    Fault,
    operation::{Ctx, Inject, Input},
};

use crate::{
    proxy::NOT_UTF8,
    support::{Probe, TestBroker, Text, text, with_rabbitmq},
};

on_both_brokers! {
    a_message_is_handled_once_and_acknowledged,
    what_does_not_bind_is_parked_and_the_consumer_goes_on,
    a_fault_that_no_attempt_can_mend_is_parked_with_its_reason,
    a_fault_that_may_pass_is_retried_after_each_delay_and_then_parked,
    a_later_attempt_that_succeeds_parks_nothing,
    no_more_messages_are_handled_at_once_than_the_concurrency,
    strange_headers_do_no_harm,
    names_that_are_not_utf8_do_no_harm,
    a_call_that_takes_too_long_ends_with_a_deadline_fault,
    what_cannot_be_parked_goes_back_and_is_not_lost,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

async fn a_message_is_handled_once_and_acknowledged(broker: Arc<TestBroker>) {
    let (probe, queue, exchange) = (Probe::new(), broker.name("q"), broker.name("x"));
    let (declared, bound) = (queue.clone(), exchange.clone());
    let app = broker.app(&probe, move |routes| {
        routes
            .exchange(Exchange::topic(&bound).durable(false).auto_delete())
            .queue(Queue::new(&declared).bind(&bound, "message.*"))
            .consume(&declared, report)
    });
    let app = app.await.expect("starts");
    broker
        .client
        .send(
            Message::json(&exchange, "message.lobby", &text("hi"))
                .expect("JSON")
                .message_id("m1")
                .correlation_id("c1")
                .header("x-tenant", "acme"),
        )
        .await;
    let seen = probe.next().await;
    assert_eq!(seen.text, "hi");
    let delivery = seen.delivery;
    assert_eq!((delivery.exchange(), delivery.routing_key()), (&*exchange, "message.lobby"));
    assert_eq!((delivery.queue(), delivery.attempt()), (&*queue, 1));
    assert_eq!((delivery.message_id(), delivery.correlation_id()), (Some("m1"), Some("c1")));
    assert_eq!((delivery.header("x-tenant"), delivery.reply_to()), (Some("acme"), None));
    assert!(!delivery.redelivered());
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0, "it was acknowledged");
    assert!(probe.rest().await.is_empty());
    broker.delete(&queue).await;
}

async fn what_does_not_bind_is_parked_and_the_consumer_goes_on(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.await.expect("starts");
    for malformed in ["{", "", "[1]", r#"{"text":""}"#] {
        broker.client.publish_bytes("", &queue, malformed).await;
        let parked = broker.only_message(&format!("{queue}.dead")).await;
        assert_eq!(parked.body(), malformed.as_bytes());
        assert_eq!(parked.header("x-exception-kind").as_deref(), Some("INVALID_ARGUMENT"));
        assert!(parked.header("x-exception-message").is_some_and(|text| !text.is_empty()));
        assert!(parked.is_persistent());
    }
    broker.client.publish("", &queue, &text("good")).await;
    assert_eq!(probe.next().await.text, "good");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn refuse(Input(_): Input<Text>) -> Result<(), Fault> {
    Err(Fault::not_found("NO_ROOM", "there is no such room"))
}

async fn a_fault_that_no_attempt_can_mend_is_parked_with_its_reason(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, refuse));
    let app = app.await.expect("starts");
    let message = Message::json("", &queue, &text("hi")).expect("JSON").message_id("m1");
    broker.client.send(message.header("x-request-id", "r1").header("x-tenant", "acme")).await;
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.json::<Text>(), text("hi"));
    assert_eq!(parked.message_id().as_deref(), Some("m1"));
    for (header, value) in [
        ("x-exception-kind", "NOT_FOUND"),
        ("x-exception-reason", "NO_ROOM"),
        ("x-exception-message", "there is no such room"),
        ("x-original-exchange", ""),
        ("x-original-routingKey", &queue),
        ("x-original-queue", &queue),
        ("x-request-id", "r1"),
        ("x-polyport-attempt", "1"),
        ("x-tenant", "acme"),
    ] {
        assert_eq!(parked.header(header).as_deref(), Some(value), "{header}");
    }
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn fail(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let attempt = delivery.attempt();
    probe.report(input, delivery);
    match attempt {
        1 => Err(Fault::unavailable("DOWN", "the database is away")),
        _ => panic!("a defect"),
    }
}

async fn a_fault_that_may_pass_is_retried_after_each_delay_and_then_parked(
    broker: Arc<TestBroker>,
) {
    let (probe, queue, exchange) = (Probe::new(), broker.name("q"), broker.name("x"));
    let (declared, bound) = (queue.clone(), exchange.clone());
    let app = broker.app(&probe, move |routes| {
        routes
            .exchange(Exchange::direct(&bound).durable(false).auto_delete())
            .queue(Queue::new(&declared).bind(&bound, "key"))
            .consume(&declared, fail)
    });
    let app = app.await.expect("starts");
    let message = Message::json(&exchange, "key", &text("hi")).expect("JSON");
    broker
        .client
        .send(message.message_id("m1").expiration(std::time::Duration::from_secs(9)))
        .await;
    let seen = [probe.next().await, probe.next().await, probe.next().await];
    for (attempt, seen) in (1..).zip(&seen) {
        assert_eq!(seen.delivery.attempt(), attempt);
        assert_eq!((seen.delivery.exchange(), seen.delivery.routing_key()), (&*exchange, "key"));
        assert_eq!(seen.delivery.message_id(), Some("m1"));
    }
    let waited = [seen[1].at - seen[0].at, seen[2].at - seen[1].at].map(|wait| wait.as_millis());
    assert!(waited[0] >= 95 && waited[1] >= 195, "{waited:?}");
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.header("x-polyport-attempt").as_deref(), Some("3"));
    assert_eq!(parked.header("x-exception-kind").as_deref(), Some("INTERNAL"));
    assert_eq!(parked.header("x-original-exchange").as_deref(), Some(&*exchange));
    app.close().await.expect("a clean stop");
    assert!(probe.rest().await.is_empty());
    broker.delete(&queue).await;
}

async fn fail_once(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let attempt = delivery.attempt();
    probe.report(input, delivery);
    if attempt == 1 { Err(Fault::deadline_exceeded("SLOW", "too slow")) } else { Ok(()) }
}

async fn a_later_attempt_that_succeeds_parks_nothing(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, fail_once));
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("hi")).await;
    assert_eq!(probe.next().await.delivery.attempt(), 1);
    assert_eq!(probe.next().await.delivery.attempt(), 2);
    app.close().await.expect("a clean stop");
    for name in ["", ".dead", ".retry.100ms", ".retry.200ms"] {
        assert_eq!(broker.client.queue_depth(&format!("{queue}{name}")).await, 0, "{name}");
    }
    broker.delete(&queue).await;
}

static AT_ONCE: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

async fn count(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let [now, most] = &AT_ONCE;
    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    probe.report(input, delivery);
    probe.pass().await;
    now.fetch_sub(1, Ordering::SeqCst);
    Ok(())
}

async fn no_more_messages_are_handled_at_once_than_the_concurrency(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, count));
    let app = app.config("amqp.concurrency", 3).await.expect("starts");
    for number in 0..12 {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    for _ in 0..3 {
        probe.next().await;
    }
    assert!(probe.rest().await.is_empty(), "a fourth was begun");
    probe.open(12);
    for _ in 0..9 {
        probe.next().await;
    }
    app.close().await.expect("a clean stop");
    assert!(AT_ONCE[1].load(Ordering::SeqCst) <= 6, "two brokers at once, three messages each");
    broker.delete(&queue).await;
}

async fn tell_metadata(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Ctx(context): Ctx,
) -> Result<(), Fault> {
    let tenant = context.metadata.get("tenant").and_then(|value| value.to_str().ok());
    let id = context.request_id.as_str().to_owned();
    probe.report(text(&format!("{tenant:?} {}", id.len())), delivery);
    Err(Fault::not_found("NO", "no"))
}

async fn strange_headers_do_no_harm(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, tell_metadata));
    let app = app.await.expect("starts");
    let message = Message::new("", &queue, "x")
        .header("tenant", "acme")
        .header("", "empty name")
        .header("not a header\n", "a\r\nb")
        .header("x-polyport-attempt", "not a number")
        .header("x-request-id", "has spaces in it")
        .header("nested", serde_json::json!({ "a": [1, null, { "b": true }] }))
        .header("big", "x".repeat(120_000));
    broker.client.send(message).await;
    let seen = probe.next().await;
    assert_eq!(seen.text, r#"Some("acme") 36"#);
    assert_eq!(seen.delivery.attempt(), 1);
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.header("x-exception-reason").as_deref(), Some("NO"));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn never() -> Result<(), Fault> {
    std::future::pending().await
}

async fn a_call_that_takes_too_long_ends_with_a_deadline_fault(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let consumed = queue.clone();
    let app = broker.app(&Probe::new(), move |routes| routes.consume(&consumed, never));
    let app = app.config("amqp.timeout", "50ms").config("amqp.retry.delays", [""; 0]);
    let app = app.await.expect("starts");
    broker.client.publish_bytes("", &queue, "null").await;
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.header("x-exception-kind").as_deref(), Some("DEADLINE_EXCEEDED"));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn refuse_and_report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Err(Fault::not_found("NO", "no"))
}

async fn what_cannot_be_parked_goes_back_and_is_not_lost(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let routes = move |routes: AmqpRoutes| routes.consume(&consumed, refuse_and_report);
    let operator = broker.app(&probe, routes.clone()).await.expect("starts");
    operator.close().await.expect("a clean stop");
    let app = broker.app(&probe, routes).config("amqp.topology", "none").await.expect("starts");
    broker.client.delete(&format!("{queue}.dead")).await;
    broker.client.publish("", &queue, &text("kept")).await;
    assert!(!probe.next().await.delivery.redelivered());
    assert!(probe.next().await.delivery.redelivered());
    app.close().await.expect("a clean stop");
    assert_eq!(broker.only_message(&queue).await.json::<Text>(), text("kept"));
    broker.delete(&queue).await;
}

/// Any publisher can write such names, and a consumer that fails on them would get them for ever.
async fn names_that_are_not_utf8_do_no_harm(broker: Arc<TestBroker>) {
    let (probe, queue, exchange) = (Probe::new(), broker.name("q"), broker.name("x"));
    let (declared, bound) = (queue.clone(), exchange.clone());
    let app = broker.app(&probe, move |routes| {
        routes
            .exchange(Exchange::fanout(&bound).durable(false).auto_delete())
            .queue(Queue::new(&declared).bind(&bound, ""))
            .consume(&declared, report)
    });
    let app = app.await.expect("starts");
    let message = Message::json(&exchange, NOT_UTF8, &text("hi")).expect("JSON");
    let message = message.message_id(format!("m-{NOT_UTF8}")).header(NOT_UTF8, "x");
    broker.client.send(message).await;
    let delivery = probe.next().await.delivery;
    assert_eq!(delivery.routing_key(), "????????");
    assert_eq!(delivery.message_id(), Some("m-????????"));
    assert_eq!(delivery.header("????????"), Some("x"));
    assert!(!delivery.redelivered(), "the connection has not been lost for it");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

/// They would overflow the stack of whoever parses them. The in-memory broker refuses them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_are_nested_deep_do_no_harm() {
    with_rabbitmq(|broker| async move {
        let (probe, queue) = (Probe::new(), broker.name("q"));
        let consumed = queue.clone();
        let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
        let app = app.await.expect("starts");
        let nested = (0..300).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
        let message = Message::json("", &queue, &text("hi")).expect("JSON");
        broker.client.send(message.header("nested", nested).header("x", "y")).await;
        assert_eq!(probe.next().await.delivery.header("x"), Some("y"));
        broker.client.publish_bytes("", &queue, "{").await;
        broker.only_message(&format!("{queue}.dead")).await;
        app.close().await.expect("a clean stop");
        broker.delete(&queue).await;
    })
    .await;
}
