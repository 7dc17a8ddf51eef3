//! A broker that takes no messages for the time being, and one that is frozen.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use polyport_amqp::{AmqpApp, AmqpState, Delivery};
use polyport_bootstrap::{
    Fault, Health, HealthStatus,
    operation::{Inject, Input},
    testing::TestApp,
};
use tokio::time::timeout;

use crate::{
    frames::FrameProxy,
    support::{LIMIT, Probe, TestBroker, Text, text, until_connected},
};

on_both_brokers! {
    a_broker_that_takes_no_messages_is_told_in_state_and_health,
    a_blocked_broker_does_not_hold_up_the_stop,
    a_frozen_broker_does_not_hold_up_the_stop,
    a_frozen_broker_is_noticed_by_its_heartbeat,
}

/// How long a stop may take whatever the broker does.
const STOP: Duration = Duration::from_secs(9);

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

async fn until(amqp: &AmqpApp, is_so: impl FnMut(&AmqpState) -> bool) -> AmqpState {
    let mut changes = amqp.state_changes();
    let state = timeout(LIMIT, changes.wait_for(is_so)).await.expect("the state does not change");
    state.expect("it lives").clone()
}

async fn a_broker_that_takes_no_messages_is_told_in_state_and_health(broker: Arc<TestBroker>) {
    let (probe, queue, way) = (Probe::new(), broker.name("q"), FrameProxy::before(&broker).await);
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.config("amqp.url", &*way.url).await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let health = app.container().get::<Health>().await.expect("provided");
    way.block("low on memory");
    let state = until(&amqp, |state| state.blocked.is_some()).await;
    assert!(state.connected, "it is connected all the same");
    assert_eq!(state.blocked.expect("blocked").reason, "low on memory");
    let readiness = health.readiness();
    assert_eq!((readiness.ready, readiness.status), (true, HealthStatus::Degraded));
    assert!(readiness.reason.is_some_and(|reason| reason.contains("low on memory")));
    broker.client.publish("", &queue, &text("consumed all the same")).await;
    probe.next().await;
    way.unblock();
    until(&amqp, |state| state.blocked.is_none()).await;
    assert_eq!(health.readiness().status, HealthStatus::Up);
    amqp.publish("", &queue, &text("taken again")).await.expect("confirmed");
    assert_eq!(probe.next().await.text, "taken again");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

/// Whatever the report says: what was not confirmed is named there.
async fn stops_in_time(app: TestApp) {
    let begun = Instant::now();
    let _ = timeout(STOP, app.close()).await.expect("the stop hangs");
    assert!(begun.elapsed() < STOP);
}

async fn a_blocked_broker_does_not_hold_up_the_stop(broker: Arc<TestBroker>) {
    let (probe, queue, way) = (Probe::new(), broker.name("q"), FrameProxy::before(&broker).await);
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.config("amqp.url", &*way.url).await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    way.block("low on disk");
    until(&amqp, |state| state.blocked.is_some()).await;
    let held = tokio::spawn(amqp.publish("", &queue, &text("held")));
    stops_in_time(app).await;
    timeout(LIMIT, held).await.expect("the publisher hangs").expect("no panic").expect_err("held");
    broker.delete(&queue).await;
}

async fn wait(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    probe.pass().await;
    Ok(())
}

async fn a_frozen_broker_does_not_hold_up_the_stop(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, wait));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    broker.client.publish("", &queue, &text("in flight")).await;
    probe.next().await;
    broker.proxy.freeze(true);
    let unknown = tokio::spawn(amqp.publish("", &queue, &text("unknown")));
    probe.open(1);
    stops_in_time(app).await;
    let outcome = timeout(LIMIT, unknown).await.expect("the publisher hangs").expect("no panic");
    outcome.expect_err("nobody has confirmed it");
    broker.proxy.freeze(false);
    broker.proxy.cut();
    broker.delete(&queue).await;
}

async fn a_frozen_broker_is_noticed_by_its_heartbeat(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.config("amqp.heartbeat", "1s").config("amqp.connect_timeout", "2s");
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let begun = Instant::now();
    broker.proxy.freeze(true);
    until_connected(&app, false).await;
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    let state = until(&amqp, |state| state.attempts > 0).await;
    assert!(state.reason.is_some_and(|reason| !reason.is_empty()));
    broker.proxy.freeze(false);
    until_connected(&app, true).await;
    amqp.publish("", &queue, &text("again")).await.expect("confirmed");
    while probe.next().await.text != "again" {}
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}
