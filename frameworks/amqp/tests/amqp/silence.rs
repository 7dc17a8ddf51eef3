//! A consumer that gets nothing although messages wait.

use std::sync::Arc;

use polyport_amqp::Delivery;
use polyport_bootstrap::{
    Fault, Health, HealthStatus,
    operation::{Inject, Input},
};
use tokio::time::timeout;

use crate::frames::FrameProxy;
use crate::support::{LIMIT, Probe, TestBroker, Text, text};

on_both_brokers! {
    a_consumer_that_gets_nothing_while_messages_wait_is_told_and_started_again,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

async fn a_consumer_that_gets_nothing_while_messages_wait_is_told_and_started_again(
    broker: Arc<TestBroker>,
) {
    let (probe, queue, way) = (Probe::new(), broker.name("q"), FrameProxy::before(&broker).await);
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.config("amqp.url", &*way.url).config("amqp.prefetch", 1);
    let app = app.config("amqp.watch_interval", "100ms").await.expect("starts");
    let health = app.container().get::<Health>().await.expect("provided");
    broker.client.publish("", &queue, &text("before")).await;
    assert_eq!(probe.next().await.text, "before");
    way.mute(true);
    for number in 0..3 {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    let mut changes = health.watch();
    let told = async {
        while health.readiness().status != HealthStatus::Degraded {
            changes.changed().await;
        }
    };
    timeout(LIMIT, told).await.expect("nobody notices");
    let readiness = health.readiness();
    let reason = readiness.reason.expect("a reason");
    assert!(readiness.ready && reason.contains(&queue), "{reason}");
    assert!(probe.rest().await.is_empty(), "nothing was delivered");
    way.mute(false);
    for number in 0..3 {
        assert_eq!(probe.next().await.text, number.to_string());
    }
    let well = async {
        while health.readiness().status != HealthStatus::Up {
            changes.changed().await;
        }
    };
    timeout(LIMIT, well).await.expect("it is well again");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}
