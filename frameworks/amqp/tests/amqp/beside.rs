//! The queues beside a consumed one, when they are gone.

use std::{sync::Arc, time::Duration};

use polyport_amqp::{AmqpRoutes, Consumer, Delivery};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};
use tokio::time::Instant;

use crate::support::{Probe, TestBroker, Text, text};

on_both_brokers! {
    a_dead_letter_queue_that_was_deleted_is_declared_again,
    a_retry_queue_that_was_deleted_is_declared_again,
    what_cannot_be_moved_keeps_no_slot,
}

/// Fails for good with what is poison, and for a time with what is early.
async fn judge(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let (kind, attempt) = (input.text.clone(), delivery.attempt());
    probe.report(input, delivery);
    match &*kind {
        "poison" => Err(Fault::not_found("NO_ROOM", "there is none")),
        "early" if attempt == 1 => Err(Fault::unavailable("EARLY", "not yet")),
        _ => Ok(()),
    }
}

async fn a_dead_letter_queue_that_was_deleted_is_declared_again(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.consume(Consumer::new(&consumed).concurrency(2).prefetch(2), judge)
    });
    let app = app.await.expect("starts");
    let dead = format!("{queue}.dead");
    broker.client.delete(&dead).await;
    for words in ["poison", "poison", "good"] {
        broker.client.publish("", &queue, &text(words)).await;
    }
    let seen = [probe.next().await, probe.next().await, probe.next().await];
    assert_eq!(seen.map(|seen| seen.text), ["poison", "poison", "good"], "handled once each");
    for _ in 0..2 {
        assert_eq!(broker.client.expect_on(&dead).await.json::<Text>(), text("poison"));
    }
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn a_retry_queue_that_was_deleted_is_declared_again(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, judge));
    let app = app.await.expect("starts");
    broker.client.delete(&format!("{queue}.retry.100ms")).await;
    broker.client.publish("", &queue, &text("early")).await;
    assert_eq!(probe.next().await.delivery.attempt(), 1);
    assert_eq!(probe.next().await.delivery.attempt(), 2, "it was counted, and came again");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn what_cannot_be_moved_keeps_no_slot(broker: Arc<TestBroker>) {
    const POISONS: usize = 8;
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let routes = move |routes: AmqpRoutes| {
        routes.consume(Consumer::new(&consumed).concurrency(1).prefetch(10), judge)
    };
    let operator = broker.app(&Probe::new(), routes.clone()).await.expect("starts");
    operator.close().await.expect("a clean stop");
    broker.client.delete(&format!("{queue}.dead")).await;
    let app = broker.app(&probe, routes).config("amqp.topology", "none");
    let app = app.await.expect("starts");
    for _ in 0..POISONS {
        broker.client.publish("", &queue, &text("poison")).await;
    }
    broker.client.publish("", &queue, &text("good")).await;
    let begun = Instant::now();
    while probe.next().await.text != "good" {}
    // One slot that each keeps for the pause of a second would be free after eight.
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await as usize, POISONS, "none is lost");
    broker.delete(&queue).await;
}
