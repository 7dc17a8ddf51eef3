//! Nodes, starts without a broker, and what is declared over which connection.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use polyport_amqp::{AmqpApp, Delivery, Queue};
use polyport_bootstrap::{
    Fault, Health, HealthStatus,
    operation::{Inject, Input},
};

use crate::{
    free_port::FreePort,
    support::{LIMIT, Probe, TestBroker, Text, start_error, text, until_connected},
};

on_both_brokers! {
    the_node_that_is_up_is_taken_and_named,
    no_node_at_all_is_reported_with_the_reason_of_each,
    a_start_waits_for_the_broker,
    a_start_that_has_waited_too_long_names_the_setting_and_the_reason,
    a_process_that_starts_without_the_broker_is_joined_by_it,
    without_the_broker_a_process_that_needs_it_is_not_ready,
    a_contradiction_fails_the_start_in_every_mode,
    a_contradiction_that_is_met_later_stands_in_health_and_is_tried_again,
    the_start_needs_two_connections_and_each_loss_one_more_to_declare_once,
    a_start_that_is_refused_leaves_no_connection,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

/// The URL of this port, where nobody listens.
fn at(port: &FreePort) -> String {
    format!("amqp://tom:hunter2@{}/%2f", port.address())
}

async fn the_node_that_is_up_is_taken_and_named(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let [before, behind] = [(); 2].map(|()| FreePort::reserve());
    let app = app.config("amqp.url", [at(&before), broker.url().to_owned(), at(&behind)]);
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let node = format!("127.0.0.1:{}", broker.proxy.port);
    assert_eq!(amqp.state().node.as_deref(), Some(&*node));
    for round in 0..3 {
        amqp.publish("", &queue, &text(&round.to_string())).await.expect("confirmed");
        while probe.next().await.text != round.to_string() {}
        broker.proxy.cut_off();
        until_connected(&app, false).await;
        broker.proxy.mend();
        until_connected(&app, true).await;
    }
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn no_node_at_all_is_reported_with_the_reason_of_each(broker: Arc<TestBroker>) {
    let ports = [(); 2].map(|()| FreePort::reserve());
    let nodes = ports.each_ref().map(at);
    let app = broker.app(&Probe::new(), |routes| routes);
    let report = start_error(app.config("amqp.url", nodes.clone())).await;
    assert!(report.contains("no node of the AMQP broker can be used"), "{report}");
    for node in &nodes {
        let address = node.rsplit_once('@').expect("credentials").1.trim_end_matches("/%2f");
        let expected = format!("the AMQP broker at {address} cannot be reached");
        assert!(report.contains(&expected), "{expected}: {report}");
    }
    assert_eq!(report.matches("Connection refused").count(), 2, "{report}");
    assert!(!report.contains("hunter2"), "{report}");
}

async fn a_start_waits_for_the_broker(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    broker.proxy.cut_off();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let starting = tokio::spawn(async { app.config("amqp.start", "wait").await });
    broker.proxy.refused(3).await;
    assert!(!starting.is_finished(), "the start waits");
    broker.proxy.mend();
    let app = starting.await.expect("no panic").expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    assert!(amqp.state().connected);
    amqp.publish("", &queue, &text("hi")).await.expect("confirmed");
    assert_eq!(probe.next().await.text, "hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_start_that_has_waited_too_long_names_the_setting_and_the_reason(
    broker: Arc<TestBroker>,
) {
    broker.proxy.cut_off();
    let app = broker.app(&Probe::new(), |routes| routes.consume("q", report));
    let app = app.config("amqp.start", "wait").config("amqp.start_timeout", "300ms");
    let begun = Instant::now();
    let report = start_error(app).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    for part in ["waited 300ms (amqp.start_timeout)", "cannot be reached", "amqp.url"] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

async fn a_process_that_starts_without_the_broker_is_joined_by_it(broker: Arc<TestBroker>) {
    let (probe, queue, other) = (Probe::new(), broker.name("q"), broker.name("other"));
    let (consumed, declared) = (queue.clone(), other.clone());
    broker.proxy.cut_off();
    let app = broker
        .app(&probe, move |routes| routes.queue(Queue::new(&declared)).consume(&consumed, report));
    let app = app.config("amqp.start", "degraded").config("amqp.health", "degraded");
    let app = app.config("amqp.publish.timeout", "20s").await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let health = app.container().get::<Health>().await.expect("provided");
    let readiness = health.readiness();
    assert_eq!((readiness.ready, readiness.status), (true, HealthStatus::Degraded));
    assert!(!amqp.state().connected && amqp.state().attempts > 0);
    let early = amqp.publish("", &other, &text("early"));
    let early = tokio::spawn(early);
    broker.proxy.refused(3).await;
    broker.proxy.mend();
    until_connected(&app, true).await;
    early.await.expect("no panic").expect("it has waited for the broker");
    amqp.publish("", &queue, &text("late")).await.expect("confirmed");
    assert_eq!(probe.next().await.text, "late");
    assert_eq!(health.readiness().status, HealthStatus::Up);
    assert_eq!(broker.client.queue_depth(&other).await, 1);
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
    broker.client.delete(&other).await;
}

async fn without_the_broker_a_process_that_needs_it_is_not_ready(broker: Arc<TestBroker>) {
    broker.proxy.cut_off();
    let app = broker.app(&Probe::new(), |routes| routes.consume("q", report));
    let app = app.config("amqp.start", "degraded").await.expect("starts");
    let health = app.container().get::<Health>().await.expect("provided");
    let readiness = health.readiness();
    assert!(!readiness.ready);
    assert!(readiness.reason.is_some_and(|reason| reason.starts_with("amqp is down: ")));
    let closing = tokio::time::timeout(Duration::from_secs(5), app.close());
    closing.await.expect("the stop hangs").expect("a clean stop");
}

/// Declares the queue of the test otherwise than `contradicting` does.
async fn declare(broker: &Arc<TestBroker>, queue: &str) {
    let declared = queue.to_owned();
    let app = broker.app(&Probe::new(), move |routes| routes.queue(Queue::new(&declared)));
    app.await.expect("starts").close().await.expect("a clean stop");
}

fn contradicting(
    broker: &Arc<TestBroker>,
    queue: &str,
) -> polyport_bootstrap::testing::TestBootstrap {
    let declared = queue.to_owned();
    broker.app(&Probe::new(), move |routes| {
        routes.queue(Queue::new(&declared).argument("x-max-length", 5))
    })
}

async fn a_contradiction_fails_the_start_in_every_mode(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    declare(&broker, &queue).await;
    for mode in ["fail", "wait", "degraded"] {
        let report = start_error(contradicting(&broker, &queue).config("amqp.start", mode)).await;
        assert!(report.contains(&queue) && report.contains("x-max-length"), "{mode}: {report}");
    }
    broker.client.delete(&queue).await;
}

async fn a_contradiction_that_is_met_later_stands_in_health_and_is_tried_again(
    broker: Arc<TestBroker>,
) {
    let queue = broker.name("q");
    declare(&broker, &queue).await;
    broker.proxy.cut_off();
    let app = contradicting(&broker, &queue).config("amqp.start", "degraded");
    let app = app.await.expect("starts");
    broker.proxy.mend();
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let mut changes = amqp.state_changes();
    let told = |state: &polyport_amqp::AmqpState| {
        state.reason.as_ref().is_some_and(|reason| reason.contains("x-max-length"))
    };
    tokio::time::timeout(LIMIT, changes.wait_for(told)).await.expect("told").expect("it lives");
    let health = app.container().get::<Health>().await.expect("provided");
    let reason = health.readiness().reason.expect("not ready");
    assert!(reason.contains("x-max-length"), "{reason}");
    broker.client.delete(&queue).await;
    until_connected(&app, true).await;
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn the_start_needs_two_connections_and_each_loss_one_more_to_declare_once(
    broker: Arc<TestBroker>,
) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.await.expect("starts");
    assert_eq!(broker.proxy.connections(), 2);
    assert_eq!(broker.proxy.open(), 2);
    let amqp = app.app::<AmqpApp>().expect("loaded");
    broker.proxy.cut_off();
    until_connected(&app, false).await;
    broker.proxy.mend();
    until_connected(&app, true).await;
    amqp.publish("", &queue, &text("hi")).await.expect("confirmed");
    assert_eq!(probe.next().await.text, "hi");
    // Declared once, although both connections were lost; twice, if one was noticed much later.
    let connections = broker.proxy.connections();
    assert!(matches!(connections, 5 | 6), "{connections} connections");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_start_that_is_refused_leaves_no_connection(broker: Arc<TestBroker>) {
    let (queue, exchange) = (broker.name("q"), broker.name("x"));
    let (consumed, bound) = (queue.clone(), exchange.clone());
    let app = broker.app(&Probe::new(), move |routes| {
        routes.queue(Queue::new(&consumed).bind(&bound, "key")).consume(&consumed, report)
    });
    let told = start_error(app).await;
    assert!(told.contains(&exchange) && told.contains("binding"), "{told}");
    let gone = async {
        while broker.proxy.open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.expect("both are closed");
    broker.delete(&queue).await;
}
