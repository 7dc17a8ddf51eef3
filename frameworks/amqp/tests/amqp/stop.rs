use std::{sync::Arc, time::Duration};

use polyport_amqp::{AmqpApp, Delivery, Queue};
use polyport_bootstrap::{
    Fault, Phase,
    operation::{App, Inject, Input},
};

use crate::support::{Probe, TestBroker, Text, text};

on_both_brokers! {
    a_stop_finishes_what_is_in_flight_and_gives_the_rest_back,
    what_is_cut_at_the_end_of_a_stop_goes_back_to_its_queue,
    calls_in_flight_still_publish_while_the_process_stops,
    a_stop_under_load_loses_nothing_and_does_nothing_twice,
    a_broker_that_is_away_does_not_hold_up_the_stop,
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

async fn a_stop_finishes_what_is_in_flight_and_gives_the_rest_back(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, wait));
    let app = app.config("amqp.concurrency", 1).await.expect("starts");
    for number in 0..5 {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    assert_eq!(probe.next().await.text, "0");
    let closing = tokio::spawn(app.close());
    // What was sent ahead comes back while the call is still in flight.
    let waiting = async { while broker.client.queue_depth(&queue).await < 4 {} };
    tokio::time::timeout(crate::support::LIMIT, waiting).await.expect("given back");
    assert!(!closing.is_finished(), "the stop waits for the call");
    probe.open(1);
    closing.await.expect("no panic").expect("a clean stop");
    for number in 1..5 {
        let message = broker.client.get(&queue).await.expect("given back");
        assert_eq!(message.json::<Text>(), text(&number.to_string()));
    }
    assert!(broker.client.get(&queue).await.is_none(), "the first was acknowledged");
    broker.delete(&queue).await;
}

async fn what_is_cut_at_the_end_of_a_stop_goes_back_to_its_queue(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, wait));
    let app = app.config("shutdown.drain", "100ms").await.expect("starts");
    broker.client.publish("", &queue, &text("slow")).await;
    probe.next().await;
    let report = app.close().await.expect_err("a call was cut").to_string();
    assert!(report.contains("1 call was cut, not finished after 100ms: wait ("), "{report}");
    let message = broker.only_message(&queue).await;
    assert!(message.redelivered() && message.json::<Text>() == text("slow"));
    assert_eq!(broker.client.queue_depth(&format!("{queue}.dead")).await, 0);
    broker.delete(&queue).await;
}

async fn forward(
    Inject(probe): Inject<Probe>,
    App(amqp): App<AmqpApp>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let target = format!("{}.out", delivery.queue());
    probe.report(input.clone(), delivery);
    probe.pass().await;
    amqp.publish("", &target, &input).await?;
    Ok(())
}

async fn calls_in_flight_still_publish_while_the_process_stops(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let (consumed, out) = (queue.clone(), format!("{queue}.out"));
    let declared = out.clone();
    let app = broker
        .app(&probe, move |routes| routes.queue(Queue::new(&declared)).consume(&consumed, forward));
    let app = app.await.expect("starts");
    let lifecycle = app.lifecycle().clone();
    broker.client.publish("", &queue, &text("late")).await;
    probe.next().await;
    let closing = tokio::spawn(app.close());
    lifecycle.reached(Phase::Stopping).await;
    probe.open(1);
    closing.await.expect("no panic").expect("a clean stop");
    assert_eq!(broker.only_message(&out).await.json::<Text>(), text("late"));
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
    broker.client.delete(&out).await;
}

async fn quick(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    tokio::task::yield_now().await;
    probe.report(input, delivery);
    Ok(())
}

/// Every message is handled once: by the application that stops, or by whoever takes it after.
async fn a_stop_under_load_loses_nothing_and_does_nothing_twice(broker: Arc<TestBroker>) {
    const COUNT: usize = 600;
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, quick));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let published = (0..COUNT).map(|number| amqp.publish("", &queue, &text(&number.to_string())));
    let published = futures_util::future::join_all(published.collect::<Vec<_>>());
    let half = async {
        for _ in 0..COUNT / 4 {
            probe.next().await;
        }
    };
    let (published, ()) = tokio::join!(published, half);
    let confirmed = published.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(confirmed, COUNT);
    drop(published);
    app.close().await.expect("a clean stop");
    let mut handled = COUNT / 4 + probe.rest().await.len();
    while broker.client.queue_depth(&queue).await > 0 {
        broker.client.expect_on(&queue).await;
        handled += 1;
    }
    assert_eq!(handled, COUNT);
    broker.delete(&queue).await;
}

async fn a_broker_that_is_away_does_not_hold_up_the_stop(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, quick));
    let app = app.await.expect("starts");
    broker.proxy.cut_off();
    crate::support::until_connected(&app, false).await;
    let closing = tokio::time::timeout(Duration::from_secs(5), app.close());
    closing.await.expect("the stop hangs").expect("a clean stop");
    broker.delete(&queue).await;
}
