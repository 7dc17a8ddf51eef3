//! When messages are acknowledged, and by whom.

use std::sync::Arc;

use polyport_amqp::{AckPolicy, AmqpApp, Consumer, Delivery, Settlement};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};

use crate::support::{LIMIT, Probe, TestBroker, Text, start_error, text};

on_both_brokers! {
    a_settlement_decides_what_becomes_of_a_message,
    settlements_can_be_kept_and_settled_together_later,
    what_nobody_settles_goes_back_to_its_queue,
    a_fault_counts_more_than_a_settlement_that_nobody_used,
    a_stop_waits_for_open_settlements,
    an_open_settlement_goes_back_where_the_stop_is_cut,
    a_settlement_that_is_open_for_too_long_goes_back,
    a_request_is_answered_before_it_is_settled,
    what_is_acknowledged_before_is_handled_once_and_its_fault_is_counted,
}

fn manual(queue: &str) -> Consumer {
    Consumer::new(queue).ack(AckPolicy::Manual)
}

async fn settle(
    Inject(probe): Inject<Probe>,
    settlement: Settlement,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let (name, first) = (input.text.clone(), delivery.attempt() == 1 && !delivery.redelivered());
    match (&*name, first) {
        ("requeue", true) => settlement.requeue(),
        ("retry", true) => settlement.retry(),
        ("park", _) => settlement.park("the shop is closed"),
        ("fault", _) => {
            probe.report(input, delivery);
            return Err(Fault::not_found("NO_ROOM", "there is no such room"));
        }
        ("drop", true) => drop(settlement),
        _ => settlement.ack(),
    }
    probe.report(input, delivery);
    Ok(())
}

async fn a_settlement_decides_what_becomes_of_a_message(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(manual(&consumed), settle));
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("ack")).await;
    assert_eq!(probe.next().await.text, "ack");

    broker.client.publish("", &queue, &text("requeue")).await;
    assert!(!probe.next().await.delivery.redelivered());
    let again = probe.next().await.delivery;
    assert_eq!((again.redelivered(), again.attempt()), (true, 1));

    broker.client.publish("", &queue, &text("retry")).await;
    assert_eq!(probe.next().await.delivery.attempt(), 1);
    let again = probe.next().await.delivery;
    assert_eq!((again.attempt(), again.attempts().len()), (2, 1));

    broker.client.publish("", &queue, &text("park")).await;
    probe.next().await;
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.header("x-exception-message").as_deref(), Some("the shop is closed"));
    assert_eq!(parked.header("x-exception-reason").as_deref(), Some("PARKED"));
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn keep(
    Inject(probe): Inject<Probe>,
    settlement: Settlement,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.kept.lock().await.push(settlement);
    probe.report(input, delivery);
    Ok(())
}

async fn settlements_can_be_kept_and_settled_together_later(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        // Fewer slots than messages: an open settlement holds none.
        routes.consume(manual(&consumed).concurrency(2).prefetch(20), keep)
    });
    let app = app.await.expect("starts");
    for number in 0..10 {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    for _ in 0..10 {
        probe.next().await;
    }
    probe.kept.lock().await.drain(..).for_each(Settlement::ack);
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn what_nobody_settles_goes_back_to_its_queue(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(manual(&consumed), settle));
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("drop")).await;
    assert!(!probe.next().await.delivery.redelivered());
    assert!(probe.next().await.delivery.redelivered());
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn a_fault_counts_more_than_a_settlement_that_nobody_used(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(manual(&consumed), settle));
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("fault")).await;
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.header("x-exception-reason").as_deref(), Some("NO_ROOM"));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_stop_waits_for_open_settlements(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(manual(&consumed), keep));
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("open")).await;
    probe.next().await;
    let closing = tokio::spawn(app.close());
    // One that stays in its queue shows that the stop has begun.
    let cancelled = async {
        broker.client.publish("", &queue, &text("later")).await;
        while broker.client.queue_depth(&queue).await == 0 {
            // It came before the cancel, and is kept like the first.
            if !probe.rest().await.is_empty() {
                broker.client.publish("", &queue, &text("later")).await;
            }
        }
    };
    tokio::time::timeout(LIMIT, cancelled).await.expect("nothing is taken any more");
    assert!(!closing.is_finished(), "the stop waits for the settlement");
    probe.kept.lock().await.drain(..).for_each(Settlement::ack);
    closing.await.expect("no panic").expect("a clean stop");
    assert_eq!(broker.only_message(&queue).await.json::<Text>(), text("later"));
    broker.delete(&queue).await;
}

async fn an_open_settlement_goes_back_where_the_stop_is_cut(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(manual(&consumed), keep));
    let app = app.config("shutdown.drain", "100ms").await.expect("starts");
    broker.client.publish("", &queue, &text("open")).await;
    probe.next().await;
    drop(app.close().await);
    let message = broker.only_message(&queue).await;
    assert!(message.redelivered() && message.json::<Text>() == text("open"));
    probe.kept.lock().await.drain(..).for_each(Settlement::ack);
    broker.delete(&queue).await;
}

async fn a_settlement_that_is_open_for_too_long_goes_back(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.consume(manual(&consumed).timeout(std::time::Duration::from_millis(100)), keep)
    });
    let app = app.config("amqp.publish.timeout", "1s").config("amqp.ack_timeout", "2500ms");
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("open")).await;
    assert!(!probe.next().await.delivery.redelivered());
    assert!(probe.next().await.delivery.redelivered());
    probe.kept.lock().await.drain(..).for_each(Settlement::ack);
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn a_request_is_answered_before_it_is_settled(broker: Arc<TestBroker>) {
    async fn echo(settlement: Settlement, Input(input): Input<Text>) -> Result<Text, Fault> {
        settlement.park("answered, and kept");
        Ok(input)
    }
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(manual(&consumed), echo));
    let app = app.await.expect("starts");
    let reply = broker.client.request(&queue, &text("hi")).await;
    assert_eq!(reply.json::<Text>(), text("hi"));
    broker.only_message(&format!("{queue}.dead")).await;
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn fail(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    probe.pass().await;
    Err(Fault::unavailable("DOWN", "the database is away"))
}

async fn what_is_acknowledged_before_is_handled_once_and_its_fault_is_counted(
    broker: Arc<TestBroker>,
) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.consume(Consumer::new(&consumed).ack(AckPolicy::Before), fail)
    });
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    broker.client.publish("", &queue, &text("hi")).await;
    probe.next().await;
    // Were it not acknowledged, it would come again.
    broker.client.publish("", &queue, &text("marker")).await;
    assert_eq!(probe.next().await.text, "marker");
    broker.proxy.cut();
    probe.open(9);
    crate::support::until_connected(&app, true).await;
    broker.client.publish("", &queue, &text("last")).await;
    assert_eq!(probe.next().await.text, "last");
    app.close().await.expect("a clean stop");
    assert_eq!(amqp.dropped_messages(), 3);
    assert_eq!(broker.client.queue_depth(&format!("{queue}.dead")).await, 0);
    broker.delete(&queue).await;
}

#[tokio::test]
async fn whoever_settles_and_whoever_waits_for_it_have_to_be_the_same() {
    let probe = Probe::new();
    let start = |routes: fn(polyport_amqp::AmqpRoutes) -> polyport_amqp::AmqpRoutes| {
        let bootstrap = crate::support::bootstrap(&probe, routes);
        start_error(polyport_bootstrap::testing::create_bootstrap(bootstrap))
    };
    let report = start(|routes| routes.consume("orders", settle)).await;
    assert!(report.contains("settle takes a Settlement"), "{report}");
    assert!(report.contains(".ack(AckPolicy::Manual)"), "{report}");
    let report = start(|routes| routes.consume(manual("orders"), fail)).await;
    assert!(report.contains("operation fail cannot"), "{report}");
}
