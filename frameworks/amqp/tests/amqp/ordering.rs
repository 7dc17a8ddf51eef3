//! Messages of one key, one after the other.

use std::{collections::BTreeMap, sync::Arc};

use polyport_amqp::{Consumer, Delivery, Exchange, Message, OrderKey, Queue};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};

use crate::support::{Probe, TestBroker, Text, text};

on_both_brokers! {
    one_key_is_handled_in_order_while_others_go_on,
    a_header_can_be_the_key_and_whoever_has_none_waits_for_nobody,
    what_waits_for_its_key_holds_no_slot,
    after_a_cut_a_key_is_still_handled_one_at_a_time,
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

async fn one_key_is_handled_in_order_while_others_go_on(broker: Arc<TestBroker>) {
    const KEYS: usize = 5;
    const EACH: usize = 4;
    let (probe, queue, exchange) = (Probe::new(), broker.name("q"), broker.name("x"));
    let (consumed, bound) = (queue.clone(), exchange.clone());
    let app = broker.app(&probe, move |routes| {
        let consumer = Consumer::new(&consumed).concurrency(16).prefetch(100);
        routes
            .exchange(Exchange::topic(&bound).durable(false).auto_delete())
            .queue(Queue::new(&consumed).bind(&bound, "#"))
            .consume(consumer.in_order_of(OrderKey::RoutingKey), wait)
    });
    let app = app.await.expect("starts");
    for number in 0..KEYS * EACH {
        let key = format!("key.{}", number % KEYS);
        broker.client.publish(&exchange, &key, &text(&number.to_string())).await;
    }
    broker.client.publish(&exchange, "last", &text("last")).await;
    let mut first = Vec::new();
    for _ in 0..=KEYS {
        first.push(probe.next().await.text);
    }
    first.sort_unstable();
    // The last one shows that all have come.
    assert_eq!(first, ["0", "1", "2", "3", "4", "last"], "one of each key, though there are slots");
    assert!(probe.rest().await.is_empty());
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for _ in KEYS..KEYS * EACH {
        probe.open(2);
        let seen = probe.next().await;
        let number: usize = seen.text.parse().expect("a number");
        let before = last.insert(seen.delivery.routing_key().to_owned(), number);
        assert_eq!(before.unwrap_or(number % KEYS) + KEYS, number, "in the order of the queue");
    }
    probe.open(KEYS);
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_header_can_be_the_key_and_whoever_has_none_waits_for_nobody(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        let consumer = Consumer::new(&consumed).in_order_of(OrderKey::header("tenant"));
        routes.consume(consumer, wait)
    });
    let app = app.await.expect("starts");
    let message = |name: &str| Message::json("", &queue, &text(name)).expect("JSON");
    broker.client.send(message("acme 1").header("tenant", "acme")).await;
    assert_eq!(probe.next().await.text, "acme 1");
    broker.client.send(message("acme 2").header("tenant", "acme")).await;
    broker.client.send(message("seven").header("tenant", 7)).await;
    broker.client.send(message("none")).await;
    broker.client.send(message("none")).await;
    let mut others = [probe.next().await.text, probe.next().await.text, probe.next().await.text];
    others.sort_unstable();
    assert_eq!(others, ["none", "none", "seven"], "the second of acme waits for the first");
    probe.open(9);
    assert_eq!(probe.next().await.text, "acme 2");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn what_waits_for_its_key_holds_no_slot(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        let consumer = Consumer::new(&consumed).concurrency(2).prefetch(20);
        routes.consume(consumer.in_order_of(OrderKey::header("tenant")), wait)
    });
    let app = app.await.expect("starts");
    let message = |tenant: &str| {
        Message::json("", &queue, &text(tenant)).expect("JSON").header("tenant", tenant)
    };
    for _ in 0..8 {
        broker.client.send(message("busy")).await;
    }
    assert_eq!(probe.next().await.text, "busy");
    broker.client.send(message("other")).await;
    assert_eq!(probe.next().await.text, "other", "seven of the busy key stand before it");
    probe.open(9);
    for _ in 0..7 {
        assert_eq!(probe.next().await.text, "busy");
    }
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn after_a_cut_a_key_is_still_handled_one_at_a_time(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        let consumer = Consumer::new(&consumed).in_order_of(OrderKey::header("tenant"));
        routes.consume(consumer, wait)
    });
    let app = app.await.expect("starts");
    let message = |tenant: &str, name: &str| {
        Message::json("", &queue, &text(name)).expect("JSON").header("tenant", tenant)
    };
    for name in ["1", "2"] {
        broker.client.send(message("acme", name)).await;
    }
    assert_eq!(probe.next().await.text, "1");
    broker.proxy.cut();
    // What belongs to another tenant shows that everything was delivered again.
    broker.client.send(message("other", "other")).await;
    assert_eq!(probe.next().await.text, "other");
    assert!(probe.rest().await.is_empty(), "the first still goes on");
    probe.open(9);
    let again = [probe.next().await, probe.next().await];
    assert_eq!(again.each_ref().map(|seen| &*seen.text), ["1", "2"]);
    assert!(again[0].delivery.redelivered());
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}
