//! The history of a message that fails.

use std::sync::Arc;

use polyport_amqp::{Delivery, Message};
use polyport_bootstrap::{
    Fault, FaultKind,
    operation::{Inject, Input},
};

use crate::support::{Probe, TestBroker, Text, text};

on_both_brokers! {
    every_attempt_is_remembered_over_restarts_and_workers,
    a_message_that_waits_for_its_next_attempt_survives_the_process,
    large_headers_keep_no_message_from_being_retried_and_parked,
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
        2 => Err(Fault::deadline_exceeded("SLOW", "too slow")),
        _ => Err(Fault::not_found("NO_ROOM", "there is no such room")),
    }
}

async fn every_attempt_is_remembered_over_restarts_and_workers(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let dead = format!("{queue}.dead");
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, fail));
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("hi")).await;
    let seen = [probe.next().await, probe.next().await, probe.next().await];
    for (before, seen) in seen.iter().enumerate() {
        assert_eq!(seen.delivery.attempts().len(), before);
    }
    let parked = broker.client.expect_on(&dead).await;
    app.close().await.expect("a clean stop");

    // Whoever takes it from where it is parked reads all of it.
    let parked = parked.attempts();
    let told: Vec<_> =
        parked.iter().map(|attempt| (attempt.number, &*attempt.reason, attempt.kind)).collect();
    let expected = [
        (1, "DOWN", FaultKind::Unavailable),
        (2, "SLOW", FaultKind::DeadlineExceeded),
        (3, "NO_ROOM", FaultKind::NotFound),
    ];
    assert_eq!(told, expected);
    for attempt in parked {
        assert_eq!((&*attempt.queue, &*attempt.operation), (&*queue, "fail"));
        assert_eq!(attempt.pid, std::process::id());
        assert!(!attempt.host.is_empty() && attempt.time.elapsed().is_ok());
    }
    broker.delete(&queue).await;
}

async fn a_message_that_waits_for_its_next_attempt_survives_the_process(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let routes = move |routes: polyport_amqp::AmqpRoutes| routes.consume(&consumed, fail);
    let app = broker.app(&probe, routes.clone()).await.expect("starts");
    broker.client.publish("", &queue, &text("hi")).await;
    assert_eq!(probe.next().await.delivery.attempt(), 1);
    app.close().await.expect("a clean stop");
    let other = Probe::new();
    let app = broker.app(&other, routes).await.expect("starts");
    // The first process may have taken the second attempt before its stop.
    let seen = other.next().await.delivery;
    assert!(seen.attempt() >= 2, "{seen:?}");
    assert_eq!(seen.attempts().len() + 1, usize::try_from(seen.attempt()).expect("small"));
    broker.client.expect_on(&format!("{queue}.dead")).await;
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn large_headers_keep_no_message_from_being_retried_and_parked(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, fail));
    let app = app.await.expect("starts");
    let message = Message::json("", &queue, &text("hi")).expect("JSON");
    broker.client.send(message.header("big", "x".repeat(120_000))).await;
    for attempt in 1..=3 {
        assert_eq!(probe.next().await.delivery.attempt(), attempt);
    }
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.header("x-exception-reason").as_deref(), Some("NO_ROOM"));
    assert_eq!(parked.json::<Text>(), text("hi"));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}
