//! What an instance has taken from a queue of its own, nobody delivers again.

use std::{future::pending, sync::Arc, time::Duration};

use polyport_amqp::{AmqpApp, Consumer, Delivery, Exchange, OrderKey, Queue};
use polyport_bootstrap::{
    Fault, Health,
    operation::{Inject, Input},
};
use tokio::time::timeout;

use crate::{
    frames::FrameProxy,
    support::{LIMIT, Probe, TestBroker, Text, bootstrap, start_error, text, until_connected},
};

on_both_brokers! {
    what_was_taken_from_an_own_queue_is_handled_though_that_is_gone,
    what_waits_for_long_in_an_own_queue_is_not_lost,
    what_was_taken_from_an_own_queue_and_not_begun_at_the_stop_is_counted,
    an_exchange_is_not_taken_for_a_queue_of_its_name,
}

async fn wait(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let is_endless = input.text == "endless";
    probe.report(input, delivery);
    if is_endless {
        pending::<()>().await;
    }
    probe.pass().await;
    Ok(())
}

fn changes(exchange: &str) -> Consumer {
    let consumer = Consumer::each_instance(exchange).bind("#").concurrency(2).prefetch(10);
    consumer.in_order_of(OrderKey::RoutingKey).retry([])
}

fn topic(name: &str) -> Exchange {
    Exchange::topic(name).durable(false).auto_delete()
}

/// Publishes four messages of one key, of which the first is begun, and the others wait behind it.
async fn fill(broker: &TestBroker, probe: &Probe, exchange: &str, first: &str) {
    for words in [first, "1", "2", "3"] {
        broker.client.publish(exchange, "key", &text(words)).await;
    }
    broker.client.publish(exchange, "last", &text("last")).await;
    let mut begun = [probe.next().await.text, probe.next().await.text];
    begun.sort_unstable();
    // The last one shows that all have come.
    assert_eq!(begun, [first, "last"]);
}

async fn what_was_taken_from_an_own_queue_is_handled_though_that_is_gone(broker: Arc<TestBroker>) {
    let (probe, exchange) = (Probe::new(), broker.name("x"));
    let bound = exchange.clone();
    let app = broker
        .app(&probe, move |routes| routes.exchange(topic(&bound)).consume(changes(&bound), wait));
    let app = app.await.expect("starts");
    fill(&broker, &probe, &exchange, "0").await;
    broker.proxy.cut_off();
    until_connected(&app, false).await;
    broker.proxy.mend();
    until_connected(&app, true).await;
    probe.open(5);
    for words in ["1", "2", "3"] {
        assert_eq!(probe.next().await.text, words, "in order");
    }
    // Over the new channel all is as before.
    broker.client.publish(&exchange, "key", &text("after")).await;
    assert_eq!(probe.next().await.text, "after");
    probe.open(1);
    let amqp = app.app::<AmqpApp>().expect("loaded");
    app.close().await.expect("a clean stop");
    assert_eq!(amqp.dropped_messages(), 0);
}

async fn what_waits_for_long_in_an_own_queue_is_not_lost(broker: Arc<TestBroker>) {
    let (probe, exchange) = (Probe::new(), broker.name("x"));
    let bound = exchange.clone();
    let app = broker.app(&probe, move |routes| {
        let consumer = changes(&bound).timeout(Duration::from_secs(3));
        routes.exchange(topic(&bound)).consume(consumer, wait)
    });
    let app = app.config("amqp.ack_timeout", "6s").config("amqp.publish.timeout", "1s");
    let app = app.await.expect("starts");
    probe.open(4);
    fill(&broker, &probe, &exchange, "endless").await;
    for words in ["1", "2", "3"] {
        let seen = probe.next().await;
        assert_eq!(seen.text, words, "in order");
        assert!(seen.delivery.redelivered(), "the broker waits anew");
    }
    let amqp = app.app::<AmqpApp>().expect("loaded");
    app.close().await.expect("a clean stop");
    assert_eq!(amqp.dropped_messages(), 1, "the endless one");
}

async fn what_was_taken_from_an_own_queue_and_not_begun_at_the_stop_is_counted(
    broker: Arc<TestBroker>,
) {
    let (probe, exchange) = (Probe::new(), broker.name("x"));
    let bound = exchange.clone();
    let app = broker
        .app(&probe, move |routes| routes.exchange(topic(&bound)).consume(changes(&bound), wait));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    fill(&broker, &probe, &exchange, "0").await;
    let closing = tokio::spawn(app.close());
    let counted = async {
        while amqp.dropped_messages() < 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, counted).await.expect("counted");
    probe.open(2);
    closing.await.expect("no panic").expect("a clean stop");
    assert_eq!(amqp.dropped_messages(), 3);
}

async fn an_exchange_is_not_taken_for_a_queue_of_its_name(broker: Arc<TestBroker>) {
    let (probe, way) = (Probe::new(), FrameProxy::before(&broker).await);
    let (same, queue) = (broker.name("a"), broker.name("q"));
    let (bound, consumed) = (same.clone(), queue.clone());
    let app = broker.app(&probe, move |routes| {
        let consumer = Consumer::each_instance(&bound).bind("#");
        let routes = routes.exchange(topic(&bound)).queue(Queue::new(&bound));
        routes.consume(consumer, wait).consume(&consumed, wait)
    });
    let app = app.config("amqp.url", &*way.url).config("amqp.prefetch", 1);
    let app = app.config("amqp.watch_interval", "100ms").await.expect("starts");
    broker.client.publish("", &same, &text("for another application")).await;
    way.mute(true);
    for _ in 0..3 {
        broker.client.publish("", &queue, &text("waits")).await;
    }
    let health = app.container().get::<Health>().await.expect("provided");
    let mut changes = health.watch();
    let told = async {
        loop {
            let reason = health.readiness().reason.unwrap_or_default();
            if reason.contains(&queue) {
                return reason;
            }
            changes.changed().await;
        }
    };
    let reason = timeout(LIMIT, told).await.expect("the silent one is told");
    assert!(!reason.contains(&same), "{reason}");
    way.mute(false);
    probe.open(100);
    probe.next().await;
    app.close().await.expect("a clean stop");
    broker.delete(&same).await;
    broker.delete(&queue).await;
}

#[tokio::test]
async fn names_that_amqp_cannot_carry_are_refused_before_anything_connects() {
    let long = "x".repeat(256);
    for consumer in [
        Consumer::each_instance(&long),
        Consumer::each_instance(""),
        Consumer::each_instance("x").bind(&long),
    ] {
        let bootstrap =
            bootstrap(&Probe::new(), move |routes| routes.consume(consumer.clone(), wait));
        let report = start_error(polyport_bootstrap::testing::create_bootstrap(bootstrap)).await;
        assert!(report.contains("AMQP cannot carry the name of its exchange"), "{report}");
    }
}
