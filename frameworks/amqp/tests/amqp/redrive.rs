//! Parked messages are brought back.

use std::sync::{Arc, atomic::Ordering};

use polyport_amqp::{AmqpApp, Delivery, Exchange, Message, Queue};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};

use crate::{
    frames::FrameProxy,
    support::{Probe, TestBroker, Text, text},
};

on_both_brokers! {
    what_was_parked_is_handled_again_and_knows_where_it_came_from,
    a_redrive_moves_what_was_parked_at_its_beginning,
    a_redrive_of_nothing_moves_nothing,
    a_redrive_to_a_queue_that_is_missing_says_so_and_loses_nothing,
    a_redrive_without_a_broker_says_which_setting_to_look_at,
    what_another_user_published_is_brought_back,
    a_redrive_that_is_cut_loses_nothing_and_doubles_one_at_most,
}

async fn fail_until_mended(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let name = input.text.clone();
    probe.report(input, delivery);
    match probe.mended.load(Ordering::Relaxed) && name != "poison" {
        true => Ok(()),
        false => Err(Fault::not_found("NO_ROOM", "there is no such room")),
    }
}

async fn what_was_parked_is_handled_again_and_knows_where_it_came_from(broker: Arc<TestBroker>) {
    let (probe, queue, exchange) = (Probe::new(), broker.name("q"), broker.name("x"));
    let (consumed, bound) = (queue.clone(), exchange.clone());
    let app = broker.app(&probe, move |routes| {
        routes
            .exchange(Exchange::topic(&bound).durable(false).auto_delete())
            .queue(Queue::new(&consumed).bind(&bound, "#"))
            .consume(&consumed, fail_until_mended)
    });
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let message = Message::json(&exchange, "orders.7", &text("hi")).expect("JSON");
    broker.client.send(message.message_id("m1")).await;
    probe.next().await;
    for times in 1..=2 {
        until_parked(&broker, &queue, 1).await;
        probe.mended.store(times == 2, Ordering::Relaxed);
        assert_eq!(amqp.redrive(&queue).await.expect("moved"), 1);
        let delivery = probe.next().await.delivery;
        assert_eq!((delivery.attempt(), delivery.redriven()), (1, times));
        assert_eq!(delivery.attempts().len(), usize::try_from(times).expect("small"));
        assert_eq!((delivery.exchange(), delivery.routing_key()), (&*exchange, "orders.7"));
        assert_eq!(delivery.message_id(), Some("m1"));
        assert_eq!(delivery.header("x-exception-reason"), None, "it is no fault any more");
    }
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    assert_eq!(broker.client.queue_depth(&format!("{queue}.dead")).await, 0);
    broker.delete(&queue).await;
}

async fn until_parked(broker: &TestBroker, queue: &str, count: u32) {
    let dead = format!("{queue}.dead");
    let parked = async { while broker.client.queue_depth(&dead).await < count {} };
    tokio::time::timeout(crate::support::LIMIT, parked).await.expect("parked");
}

async fn a_redrive_moves_what_was_parked_at_its_beginning(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, fail_until_mended));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    for _ in 0..20 {
        broker.client.publish("", &queue, &text("poison")).await;
    }
    until_parked(&broker, &queue, 20).await;
    // Each is parked again at once: a redrive that did not stop would never end.
    assert_eq!(amqp.redrive(&queue).await.expect("moved"), 20);
    until_parked(&broker, &queue, 20).await;
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    assert_eq!(broker.client.queue_depth(&format!("{queue}.dead")).await, 20);
    broker.delete(&queue).await;
}

async fn a_redrive_of_nothing_moves_nothing(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, fail_until_mended));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    assert_eq!(amqp.redrive(&queue).await.expect("nothing to do"), 0);
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_redrive_to_a_queue_that_is_missing_says_so_and_loses_nothing(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let dead = format!("{queue}.dead");
    let declared = dead.clone();
    let app = broker.app(&probe, move |routes| routes.queue(Queue::new(&declared)));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    broker.client.publish("", &dead, &text("hi")).await;
    let report = format!("{:?}", amqp.redrive(&queue).await.expect_err("there is no such queue"));
    assert!(report.contains("0 were moved") && report.contains(&queue), "{report}");
    assert_eq!(broker.only_message(&dead).await.json::<Text>(), text("hi"));
    app.close().await.expect("a clean stop");
    broker.client.delete(&dead).await;
}

async fn a_redrive_without_a_broker_says_which_setting_to_look_at(broker: Arc<TestBroker>) {
    let app = broker.app(&Probe::new(), |routes| routes);
    let app = app.config("amqp.connect_timeout", "5s").await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    broker.proxy.cut_off();
    let report = format!("{:?}", amqp.redrive("q").await.expect_err("there is no broker"));
    assert!(report.contains("amqp.url ") && !report.contains("amqp.url.url"), "{report}");
    app.close().await.expect("a clean stop");
}

async fn what_another_user_published_is_brought_back(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let dead = format!("{queue}.dead");
    let declared = [queue.clone(), dead.clone()];
    let app = broker.app(&probe, move |routes| {
        declared.iter().fold(routes, |routes, queue| routes.queue(Queue::new(queue)))
    });
    let way = FrameProxy::before(&broker).await;
    let app = app.config("amqp.url", &*way.url).await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let message = Message::json("", &dead, &text("hi")).expect("JSON").app_id("another");
    broker.client.send(message).await;
    way.forge_users();
    assert_eq!(amqp.redrive(&queue).await.expect("moved"), 1);
    assert_eq!(broker.only_message(&queue).await.json::<Text>(), text("hi"));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_redrive_that_is_cut_loses_nothing_and_doubles_one_at_most(broker: Arc<TestBroker>) {
    const PARKED: u32 = 200;
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let dead = format!("{queue}.dead");
    let declared = [queue.clone(), dead.clone()];
    let app = broker.app(&probe, move |routes| {
        declared.iter().fold(routes, |routes, queue| routes.queue(Queue::new(queue)))
    });
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    for number in 0..PARKED {
        broker.client.publish("", &dead, &text(&number.to_string())).await;
    }
    let redriving = {
        let (amqp, queue) = (amqp.clone(), queue.clone());
        tokio::spawn(async move { amqp.redrive(&queue).await })
    };
    while broker.client.queue_depth(&queue).await < 3 {}
    broker.proxy.cut();
    let report = redriving.await.expect("no panic").map_err(|error| format!("{error:?}"));
    let report = report.expect_err("it was cut");
    assert!(report.contains("were moved"), "{report}");
    crate::support::until_connected(&app, true).await;
    assert!(broker.client.queue_depth(&dead).await > 0);
    amqp.redrive(&queue).await.expect("the rest is moved");
    let mut moved = std::collections::BTreeSet::new();
    let mut all = 0;
    while let Some(message) = broker.client.get(&queue).await {
        moved.insert(message.json::<Text>().text);
        all += 1;
    }
    assert_eq!(moved.len(), usize::try_from(PARKED).expect("small"), "none is lost");
    assert!(all <= moved.len() + 1, "{all}");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}
