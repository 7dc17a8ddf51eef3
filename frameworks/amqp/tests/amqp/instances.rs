//! Several instances of an application.

use std::{sync::Arc, time::Duration};

use polyport_amqp::{AmqpApp, Consumer, Delivery, Exchange, Queue};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};

use crate::support::{Probe, TestBroker, Text, start_error, text, until_connected};

on_both_brokers! {
    every_instance_gets_each_message,
    an_own_queue_is_declared_anew_after_a_cut,
    what_fails_in_an_own_queue_is_handled_again_in_place_and_then_dropped,
    one_instance_works_and_another_takes_over,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

fn changes(exchange: &str) -> Consumer {
    Consumer::each_instance(exchange).bind("config.*")
}

async fn every_instance_gets_each_message(broker: Arc<TestBroker>) {
    let exchange = broker.name("events");
    let (probes, mut apps) = ([Probe::new(), Probe::new()], Vec::new());
    for probe in &probes {
        let bound = exchange.clone();
        let app = broker.app(probe, move |routes| {
            routes
                .exchange(Exchange::topic(&bound).durable(false).auto_delete())
                .consume(changes(&bound), report)
        });
        apps.push(app.await.expect("starts"));
    }
    broker.client.publish(&exchange, "config.changed", &text("hi")).await;
    for probe in &probes {
        let seen = probe.next().await;
        assert_eq!((&*seen.text, seen.delivery.routing_key()), ("hi", "config.changed"));
    }
    for app in apps {
        app.close().await.expect("a clean stop");
    }
    assert!(probes[0].rest().await.is_empty() && probes[1].rest().await.is_empty());
}

async fn an_own_queue_is_declared_anew_after_a_cut(broker: Arc<TestBroker>) {
    let (probe, exchange) = (Probe::new(), broker.name("events"));
    let bound = exchange.clone();
    let app = broker.app(&probe, move |routes| {
        routes.exchange(Exchange::topic(&bound).durable(false)).consume(changes(&bound), report)
    });
    let app = app.await.expect("starts");
    for round in ["1", "2", "3"] {
        broker.client.publish(&exchange, "config.changed", &text(round)).await;
        assert_eq!(probe.next().await.text, round);
        broker.proxy.cut_off();
        until_connected(&app, false).await;
        broker.proxy.mend();
        until_connected(&app, true).await;
    }
    app.close().await.expect("a clean stop");
}

async fn what_fails_in_an_own_queue_is_handled_again_in_place_and_then_dropped(
    broker: Arc<TestBroker>,
) {
    async fn fail(
        Inject(probe): Inject<Probe>,
        delivery: Delivery,
        Input(input): Input<Text>,
    ) -> Result<(), Fault> {
        probe.report(input, delivery);
        Err(Fault::unavailable("DOWN", "the database is away"))
    }
    let (probe, exchange) = (Probe::new(), broker.name("events"));
    let bound = exchange.clone();
    let app = broker.app(&probe, move |routes| {
        let consumer = changes(&bound).retry([10, 30].map(Duration::from_millis));
        routes
            .exchange(Exchange::topic(&bound).durable(false).auto_delete())
            .consume(consumer, fail)
    });
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    broker.client.publish(&exchange, "config.changed", &text("hi")).await;
    let seen = [probe.next().await, probe.next().await, probe.next().await];
    let waited = [seen[1].at - seen[0].at, seen[2].at - seen[1].at].map(|wait| wait.as_millis());
    assert!(waited[0] >= 10 && waited[1] >= 30, "{waited:?}");
    app.close().await.expect("a clean stop");
    assert_eq!(amqp.dropped_messages(), 1);
    assert!(probe.rest().await.is_empty());
}

async fn one_instance_works_and_another_takes_over(broker: Arc<TestBroker>) {
    let queue = broker.name("jobs");
    let (probes, mut apps) = ([Probe::new(), Probe::new()], Vec::new());
    for probe in &probes {
        let consumed = queue.clone();
        let app = broker.app(probe, move |routes| {
            routes.consume(Consumer::new(&consumed).one_instance(), report)
        });
        apps.push(app.await.expect("starts"));
    }
    for number in 0..10 {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    for _ in 0..10 {
        probes[0].next().await;
    }
    assert!(probes[1].rest().await.is_empty(), "the second stands by");
    apps.remove(0).close().await.expect("a clean stop");
    broker.client.publish("", &queue, &text("last")).await;
    assert_eq!(probes[1].next().await.text, "last");
    apps.remove(0).close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

#[tokio::test]
async fn a_queue_that_all_would_consume_from_is_not_for_one_instance() {
    let probe = Probe::new();
    let bootstrap = crate::support::bootstrap(&probe, |routes| {
        routes.queue(Queue::new("jobs")).consume(Consumer::new("jobs").one_instance(), report)
    });
    let report = start_error(polyport_bootstrap::testing::create_bootstrap(bootstrap)).await;
    assert!(report.contains("one instance is to consume from queue \"jobs\""), "{report}");
    assert!(report.contains("single_active_consumer()"), "{report}");
}
