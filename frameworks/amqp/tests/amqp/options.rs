//! What code and configuration say of single consumers.

use std::{sync::Arc, time::Duration};

use polyport_amqp::{AmqpRoutes, Consumer, Delivery};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
    testing::{TestBootstrap, create_bootstrap},
};
use serde_json::json;

use crate::support::{Probe, TestBroker, Text, bootstrap, start_error, text, until_logged};

on_both_brokers! {
    a_consumer_has_delays_and_a_timeout_of_its_own,
    the_configuration_comes_before_the_code,
    what_waits_too_long_for_its_turn_goes_back_and_comes_again,
}

async fn hang(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    probe.pass().await;
    Ok(())
}

async fn a_consumer_has_delays_and_a_timeout_of_its_own(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        let consumer = Consumer::new(&consumed).timeout(Duration::from_millis(50));
        routes.consume(consumer.retry([Duration::from_millis(100)]), hang)
    });
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("hi")).await;
    assert_eq!(probe.next().await.delivery.attempt(), 1);
    assert_eq!(probe.next().await.delivery.attempt(), 2);
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.header("x-exception-kind").as_deref(), Some("DEADLINE_EXCEEDED"));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn the_configuration_comes_before_the_code(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.consume(Consumer::new(&consumed).concurrency(1).prefetch(5), hang)
    });
    let of_queue = json!({ &queue: { "concurrency": 3, "retry": { "delays": [] } } });
    let app = app.config("amqp.consumers", of_queue).await.expect("starts");
    for _ in 0..3 {
        broker.client.publish("", &queue, &text("hi")).await;
    }
    for _ in 0..3 {
        probe.next().await;
    }
    probe.open(3);
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn what_waits_too_long_for_its_turn_goes_back_and_comes_again(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        let consumer = Consumer::new(&consumed).concurrency(1).prefetch(5);
        routes.consume(consumer.timeout(Duration::from_secs(10)), hang)
    });
    let app = app.config("amqp.ack_timeout", "16500ms").await.expect("starts");
    for name in ["first", "second"] {
        broker.client.publish("", &queue, &text(name)).await;
    }
    assert_eq!(probe.next().await.text, "first");
    until_logged(&app, &queue, "waited too long for their turn").await;
    until_logged(&app, &queue, "consuming again").await;
    probe.open(2);
    let second = probe.next().await;
    assert!(second.text == "second" && second.delivery.redelivered());
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0, "the first was acknowledged");
    broker.delete(&queue).await;
}

fn with(routes: impl Fn(AmqpRoutes) -> AmqpRoutes + Send + Sync + 'static) -> TestBootstrap {
    create_bootstrap(bootstrap(&Probe::new(), routes))
}

#[tokio::test]
async fn a_name_that_no_consumer_has_is_an_error_that_lists_them() {
    let routes = with(|routes| routes.consume("orders", hang).consume("jobs", hang));
    let report = routes.config("amqp.consumers", json!({ "order": { "concurrency": 1 } }));
    let report = start_error(report).await;
    assert!(report.contains("amqp.consumers names \"order\""), "{report}");
    assert!(report.contains("the consumers are jobs, orders"), "{report}");
}

#[tokio::test]
async fn a_misspelt_setting_of_a_consumer_is_an_error() {
    let routes = with(|routes| routes.consume("users.get", hang));
    let of = json!({ "users.get": { "concurency": 1 } });
    let report = start_error(routes.config("amqp.consumers", of)).await;
    assert!(report.contains("concurency"), "{report}");
}

#[tokio::test]
async fn an_operation_that_may_take_longer_than_the_broker_waits_is_refused() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let of = |consumer: Consumer| start_error(with(move |r| r.consume(consumer.clone(), hang)));
    for (consumer, named) in [
        (Consumer::new("orders").timeout(Duration::ZERO), "for ever"),
        (Consumer::new("orders").timeout(minutes(30)), "may take 1800s"),
        (Consumer::each_instance("events").timeout(minutes(8)), "all attempts of 480s each"),
    ] {
        let report = of(consumer).await;
        assert!(report.contains(named) && report.contains("amqp.ack_timeout"), "{report}");
    }
    let all = with(|routes| routes.consume("orders", hang)).config("amqp.timeout", "0s");
    assert!(start_error(all).await.contains("for ever"));
}

#[tokio::test]
async fn what_contradicts_itself_is_refused() {
    for (consumer, named) in [
        (Consumer::new("orders").concurrency(0), "may be 0"),
        (Consumer::new("orders").bind("order.*"), "bound where it is declared"),
        (Consumer::each_instance("events").one_instance(), "for each instance, and for one"),
    ] {
        let report = start_error(with(move |routes| routes.consume(consumer.clone(), hang))).await;
        assert!(report.contains(named), "{report}");
    }
}
