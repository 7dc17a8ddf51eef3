//! Acknowledgements that are told together: none is lost, wrong, or kept back for another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use polyport_amqp::{AckPolicy, AmqpApp, Consumer, Delivery, Message, Settlement};
use polyport_bootstrap::{
    Fault,
    framework::{Recorded, RecordedKind},
    operation::{Body, Inject, Input},
};

use crate::support::{Probe, TestBroker, Text, text, until_connected};

on_both_brokers! {
    a_slow_message_keeps_no_other_back_and_is_not_acknowledged_with_them,
    what_is_given_back_in_between_comes_again_and_nothing_else,
    a_connection_that_is_cut_before_it_is_told_brings_the_message_again,
    each_of_many_gets_its_own_verdict,
    bodies_of_every_size_arrive,
}

async fn keep(
    Inject(probe): Inject<Probe>,
    settlement: Settlement,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    match input.text.starts_with("slow") {
        true => probe.kept.lock().await.push(settlement),
        false => settlement.ack(),
    }
    probe.report(input, delivery);
    Ok(())
}

async fn a_slow_message_keeps_no_other_back_and_is_not_acknowledged_with_them(
    broker: Arc<TestBroker>,
) {
    const PREFETCH: usize = 4;
    const ALL: usize = 40;
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        let consumer = Consumer::new(&consumed).ack(AckPolicy::Manual);
        routes.consume(consumer.prefetch(u16::try_from(PREFETCH).expect("few")), keep)
    });
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("slow")).await;
    assert_eq!(probe.next().await.text, "slow");
    // More than the broker sends ahead: it must have heard of those before.
    for number in 0..ALL {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    // Calls that go on at once keep no order.
    let mut seen = BTreeSet::new();
    while seen.len() < ALL {
        seen.insert(probe.next().await.text);
    }
    let sent: BTreeSet<_> = (0..ALL).map(|number| number.to_string()).collect();
    assert_eq!(seen, sent);
    broker.proxy.cut();
    loop {
        let seen = probe.next().await;
        assert!(seen.delivery.redelivered(), "{} comes again", seen.text);
        if seen.text == "slow" {
            break;
        }
        let number: usize = seen.text.parse().expect("a number");
        assert!(number + PREFETCH >= ALL, "{number} was acknowledged, and comes again");
    }
    probe.kept.lock().await.drain(..).for_each(Settlement::ack);
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn collect(
    Inject(probe): Inject<Probe>,
    settlement: Settlement,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    match delivery.redelivered() {
        true => settlement.ack(),
        false => probe.kept.lock().await.push(settlement),
    }
    probe.report(input, delivery);
    Ok(())
}

async fn what_is_given_back_in_between_comes_again_and_nothing_else(broker: Arc<TestBroker>) {
    const ALL: usize = 12;
    const BACK: [usize; 4] = [0, 3, 7, 11];
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        let consumer = Consumer::new(&consumed).ack(AckPolicy::Manual).concurrency(1);
        routes.consume(consumer.prefetch(20), collect)
    });
    let app = app.await.expect("starts");
    for number in 0..ALL {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    for _ in 0..ALL {
        assert!(!probe.next().await.delivery.redelivered());
    }
    // In no order: the last first, then every other one.
    let kept: Vec<_> = probe.kept.lock().await.drain(..).enumerate().collect();
    let (even, odd): (Vec<_>, Vec<_>) = kept.into_iter().rev().partition(|(at, _)| at % 2 == 0);
    for (number, settlement) in odd.into_iter().chain(even) {
        match BACK.contains(&number) {
            true => settlement.requeue(),
            false => settlement.ack(),
        }
    }
    let mut again = Vec::new();
    for _ in BACK {
        let seen = probe.next().await;
        assert!(seen.delivery.redelivered());
        again.push(seen.text.parse::<usize>().expect("a number"));
    }
    again.sort_unstable();
    assert_eq!(again, BACK);
    app.close().await.expect("a clean stop");
    assert_eq!(probe.rest().await, [""; 0], "nothing else comes again");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn wait(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let again = delivery.redelivered();
    probe.report(input, delivery);
    if !again {
        probe.pass().await;
    }
    Ok(())
}

async fn a_connection_that_is_cut_before_it_is_told_brings_the_message_again(
    broker: Arc<TestBroker>,
) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, wait));
    let app = app.await.expect("starts");
    let mut ids = Vec::new();
    for number in ["0", "1", "2"] {
        ids.push(broker.client.publish("", &queue, &text(number)).await);
        assert!(!probe.next().await.delivery.redelivered());
    }
    // They are done with, and the broker does not hear of it.
    broker.proxy.freeze_all(broker.proxy.open()).await;
    probe.open(3);
    for id in ids {
        let is_it = |one: &Recorded| {
            one.kind == RecordedKind::Acknowledged && one.message_id.as_ref() == Some(&id)
        };
        app.recorder().wait_for(is_it).await;
    }
    broker.proxy.cut();
    broker.proxy.freeze(false);
    let mut again = Vec::new();
    for _ in 0..3 {
        let seen = probe.next().await;
        assert!(seen.delivery.redelivered());
        again.push(seen.text);
    }
    again.sort_unstable();
    assert_eq!(again, ["0", "1", "2"]);
    until_connected(&app, true).await;
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn by_number(
    Inject(probe): Inject<Probe>,
    settlement: Settlement,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    let number: usize =
        input.text.parse().map_err(|_| Fault::not_found("NO_NUMBER", "a number"))?;
    for _ in 0..number % 5 {
        tokio::task::yield_now().await;
    }
    match (number % 11, delivery.redelivered()) {
        (0, false) => settlement.requeue(),
        (5, _) => settlement.park("one of eleven"),
        _ => settlement.ack(),
    }
    probe.report(input, delivery);
    Ok(())
}

async fn each_of_many_gets_its_own_verdict(broker: Arc<TestBroker>) {
    const ALL: usize = 330;
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        let consumer = Consumer::new(&consumed).ack(AckPolicy::Manual);
        routes.consume(consumer.concurrency(16).prefetch(32), by_number)
    });
    let app = app.await.expect("starts");
    for number in 0..ALL {
        broker.client.publish("", &queue, &text(&number.to_string())).await;
    }
    let mut seen = BTreeMap::<usize, usize>::new();
    for _ in 0..ALL + ALL / 11 {
        let number = probe.next().await.text.parse().expect("a number");
        *seen.entry(number).or_default() += 1;
    }
    app.close().await.expect("a clean stop");
    assert_eq!(probe.rest().await, [""; 0], "nothing else comes again");
    for number in 0..ALL {
        let times = if number % 11 == 0 { 2 } else { 1 };
        assert_eq!(seen.get(&number), Some(&times), "message {number}");
    }
    let parked = broker.client.queue_depth(&format!("{queue}.dead")).await;
    assert_eq!(parked, u32::try_from(ALL / 11).expect("few"));
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn weigh(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Body(body): Body,
) -> Result<(), Fault> {
    let is_whole = body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251);
    probe.report(text(&format!("{} {is_whole}", body.len())), delivery);
    Ok(())
}

async fn bodies_of_every_size_arrive(broker: Arc<TestBroker>) {
    const FRAME: usize = 131_064;
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, weigh));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    for size in [0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 300_000] {
        let body: Vec<_> = (0..size).map(|at| (at % 251) as u8).collect();
        let message = Message::new("", &*queue, Bytes::from(body));
        amqp.publish_message(message).await.expect("published");
        assert_eq!(probe.next().await.text, format!("{size} true"));
    }
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}
