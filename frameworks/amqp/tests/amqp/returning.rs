//! Consumers that lose their place come back by themselves, and say so.

use std::sync::Arc;

use polyport_amqp::Delivery;
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};

use crate::support::{Probe, TestBroker, Text, text, until_connected, until_logged};

on_both_brokers! {
    a_consumer_that_was_cancelled_by_the_broker_comes_back_and_says_so,
    a_consumer_whose_channel_fails_comes_back_and_says_so,
    a_consumer_whose_connection_is_closed_by_the_broker_comes_back_and_says_so,
    a_consumer_whose_connection_is_cut_comes_back_and_says_so,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

async fn a_consumer_that_was_cancelled_by_the_broker_comes_back_and_says_so(
    broker: Arc<TestBroker>,
) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.await.expect("starts");
    broker.client.delete(&queue).await;
    until_logged(&app, &queue, "a consumer ended").await;
    until_logged(&app, &queue, "consuming again").await;
    broker.client.publish("", &queue, &text("hi")).await;
    assert_eq!(probe.next().await.text, "hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

/// A method frame (AMQP 0-9-1, section 2.3.5).
fn method(channel: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&[1, 0, channel], &size[..], payload, &[0xCE]].concat()
}

async fn a_consumer_whose_channel_fails_comes_back_and_says_so(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.await.expect("starts");
    // basic.ack of a delivery that never was, on the consumer's channel.
    let payload = [&[0, 60, 0, 80][..], &999_999_u64.to_be_bytes(), &[0]].concat();
    broker.proxy.inject(method(1, &payload));
    until_logged(&app, &queue, "a consumer ended").await;
    until_logged(&app, &queue, "consuming again").await;
    broker.client.publish("", &queue, &text("hi")).await;
    assert_eq!(probe.next().await.text, "hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_consumer_whose_connection_is_closed_by_the_broker_comes_back_and_says_so(
    broker: Arc<TestBroker>,
) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.await.expect("starts");
    let port = format!("127.0.0.1:{}", broker.proxy.port);
    // A method that connections do not have.
    broker.proxy.inject(method(0, &[0, 10, 0, 99]));
    until_logged(&app, &port, "is lost").await;
    until_logged(&app, &port, "connected again").await;
    until_connected(&app, true).await;
    broker.client.publish("", &queue, &text("hi")).await;
    assert_eq!(probe.next().await.text, "hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_consumer_whose_connection_is_cut_comes_back_and_says_so(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.await.expect("starts");
    let port = format!("127.0.0.1:{}", broker.proxy.port);
    broker.proxy.cut_off();
    until_logged(&app, &port, "is lost").await;
    until_connected(&app, false).await;
    broker.proxy.mend();
    until_logged(&app, &port, "connected again").await;
    until_connected(&app, true).await;
    broker.client.publish("", &queue, &text("hi")).await;
    assert_eq!(probe.next().await.text, "hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}
