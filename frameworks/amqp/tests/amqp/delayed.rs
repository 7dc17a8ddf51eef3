//! Messages that wait on the broker before their exchange gets them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use polyport_amqp::{AmqpApp, Delivery, Exchange, Message, PublishError, PublishMode, Queue};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
    testing::TestApp,
};

use crate::support::{LIMIT, Probe, TestBroker, Text, text, until, until_connected};

on_both_brokers! {
    delayed_messages_come_when_their_time_is_over_and_the_shorter_delay_first,
    a_delayed_message_comes_by_its_exchange_with_its_key,
    a_delay_whose_queue_was_deleted_is_made_again,
    a_delay_whose_queue_was_deleted_is_made_again_for_what_nobody_waits_for,
    a_delayed_message_that_no_queue_takes_holds_up_no_other,
    delays_that_cannot_be_are_refused,
    a_delayed_message_waits_no_longer_for_the_broker_than_its_deadline,
    a_delayed_message_outlives_an_outage_that_ends_in_time,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

/// An application that consumes one queue, which an exchange fills.
async fn application(broker: &TestBroker, probe: &Arc<Probe>) -> (TestApp, AmqpApp) {
    application_within(broker, probe, LIMIT).await
}

/// The same, with so long to publish.
async fn application_within(
    broker: &TestBroker,
    probe: &Arc<Probe>,
    limit: Duration,
) -> (TestApp, AmqpApp) {
    let (queue, exchange) = (broker.name("q"), broker.name("x"));
    let app = broker.app(probe, move |routes| {
        routes
            .exchange(Exchange::topic(&exchange).durable(false))
            .queue(Queue::new(&queue).bind(&exchange, "room.*"))
            .consume(&queue, report)
    });
    // One after the other, so that the order is seen.
    let limit = format!("{}s", limit.as_secs());
    let app = app.config("amqp.concurrency", 1).config("amqp.publish.timeout", limit);
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    (app, amqp)
}

/// The name of the queue in which what is delayed waits.
fn step(exchange: &str, delay: &str) -> String {
    let exchange = if exchange.is_empty() { "default" } else { exchange };
    format!("polyport.delay.{exchange}.{delay}")
}

fn delayed(exchange: &str, key: &str, body: &str, milliseconds: u64) -> Message {
    let message = Message::json(exchange, key, &text(body)).expect("JSON");
    message.delay(Duration::from_millis(milliseconds))
}

async fn clean(broker: &TestBroker, steps: &[&str]) {
    broker.delete(&broker.name("q")).await;
    for delay in steps {
        broker.client.delete(&step(&broker.name("x"), delay)).await;
    }
}

async fn delayed_messages_come_when_their_time_is_over_and_the_shorter_delay_first(
    broker: Arc<TestBroker>,
) {
    const COUNT: usize = 100;
    let probe = Probe::new();
    let (app, amqp) = application(&broker, &probe).await;
    let exchange = broker.name("x");
    // The longer delays first: what waits long must not hold up what waits less.
    let mut published = Vec::new();
    for (name, delay) in [("late", 4000), ("soon", 300)] {
        let messages = (0..COUNT)
            .map(|number| delayed(&exchange, "room.a", &format!("{name} {number}"), delay));
        for outcome in join_all(messages.map(|message| amqp.publish_message(message))).await {
            outcome.expect("confirmed");
        }
        published.push(Instant::now());
    }
    for (round, (name, delay)) in [("soon", 300), ("late", 4000)].into_iter().enumerate() {
        for number in 0..COUNT {
            let seen = probe.next().await;
            assert_eq!(seen.text, format!("{name} {number}"), "each once, and in order");
            let waited = seen.at.saturating_duration_since(published[1 - round]);
            assert!(waited < Duration::from_millis(delay + 10_000), "{name} came after {waited:?}");
        }
    }
    app.close().await.expect("a clean stop");
    clean(&broker, &["4s", "300ms"]).await;
}

async fn a_delayed_message_comes_by_its_exchange_with_its_key(broker: Arc<TestBroker>) {
    let probe = Probe::new();
    let (app, amqp) = application(&broker, &probe).await;
    let (queue, exchange) = (broker.name("q"), broker.name("x"));
    for (exchange, key) in
        [(exchange.as_str(), "room.a"), (exchange.as_str(), "room.b"), ("", queue.as_str())]
    {
        let sent = Instant::now();
        let message = delayed(exchange, key, key, 317)
            .header("n", 7)
            .message_id("m")
            .message_type("greeting");
        amqp.publish_message(message).await.expect("confirmed");
        let seen = probe.next().await;
        assert!(seen.at - sent >= Duration::from_millis(310), "after {:?}", seen.at - sent);
        assert_eq!((seen.delivery.exchange(), seen.delivery.routing_key()), (exchange, key));
        assert_eq!((seen.delivery.message_id(), seen.delivery.attempt()), (Some("m"), 1));
    }
    assert_eq!(broker.client.queue_depth(&step(&exchange, "317ms")).await, 0);
    app.close().await.expect("a clean stop");
    clean(&broker, &["317ms"]).await;
}

async fn a_delay_whose_queue_was_deleted_is_made_again(broker: Arc<TestBroker>) {
    let probe = Probe::new();
    let (app, amqp) = application(&broker, &probe).await;
    let exchange = broker.name("x");
    for round in ["first", "second"] {
        let message = delayed(&exchange, "room.a", round, 100);
        amqp.publish_message(message).await.expect("confirmed");
        assert_eq!(probe.next().await.text, round);
        broker.client.delete(&step(&exchange, "100ms")).await;
    }
    broker.proxy.cut();
    let message = delayed(&exchange, "room.a", "after a cut", 100);
    amqp.publish_message(message).await.expect("confirmed");
    // The message before may come again: its acknowledgement can be cut off.
    while probe.next().await.text != "after a cut" {}
    app.close().await.expect("a clean stop");
    clean(&broker, &["100ms"]).await;
}

async fn a_delay_whose_queue_was_deleted_is_made_again_for_what_nobody_waits_for(
    broker: Arc<TestBroker>,
) {
    let probe = Probe::new();
    let (app, amqp) = application(&broker, &probe).await;
    let exchange = broker.name("x");
    for round in ["first", "second", "third"] {
        let message = delayed(&exchange, "room.a", round, 100).mode(PublishMode::FireAndForget);
        amqp.publish_message(message).await.expect("accepted");
        assert_eq!(probe.next().await.text, round);
        broker.client.delete(&step(&exchange, "100ms")).await;
    }
    until(|| amqp.outbox().unwatched_confirmed == 3).await;
    assert_eq!(amqp.outbox().unwatched_failed, 0);
    app.close().await.expect("a clean stop");
    clean(&broker, &["100ms"]).await;
}

async fn a_delayed_message_that_no_queue_takes_holds_up_no_other(broker: Arc<TestBroker>) {
    let probe = Probe::new();
    let (app, amqp) = application(&broker, &probe).await;
    let exchange = broker.name("x");
    let nowhere = (0..100).map(|_| delayed(&exchange, "nowhere", "lost", 150));
    for outcome in join_all(nowhere.map(|message| amqp.publish_message(message))).await {
        outcome.expect("confirmed: it waits");
    }
    amqp.publish_message(delayed(&exchange, "room.a", "found", 150)).await.expect("confirmed");
    assert_eq!(probe.next().await.text, "found");
    app.close().await.expect("a clean stop");
    clean(&broker, &["150ms"]).await;
}

async fn delays_that_cannot_be_are_refused(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let declared = queue.clone();
    let app = broker.app(&probe, move |routes| routes.queue(Queue::new(&declared)));
    let app = app.config("amqp.publish.delays", 1).await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let missing = broker.name("missing");
    let day = Duration::from_secs(24 * 60 * 60);
    for (message, words) in [
        (Message::new("", &queue, "").delay(day * 49), "48 days"),
        (Message::new("", &queue, "").delay(day).expiration(day), "expiration"),
        (Message::new(&missing, &queue, "").delay(day), missing.as_str()),
    ] {
        let error = amqp.publish_message(message).await.expect_err("refused");
        assert!(matches!(error, PublishError::NotDelayed { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    amqp.publish_message(delayed("", &queue, "at once", 0)).await.expect("no delay at all");
    amqp.publish_message(delayed("", &queue, "one", 123)).await.expect("the first delay");
    let error = amqp.publish_message(delayed("", &queue, "two", 124)).await.expect_err("refused");
    assert!(error.to_string().contains("publish.delays"), "{error}");
    for expected in ["at once", "one"] {
        assert_eq!(broker.client.expect_on(&queue).await.json::<Text>(), text(expected));
    }
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

/// The queue in which it is to wait is made first; both have the time of one message together.
async fn a_delayed_message_waits_no_longer_for_the_broker_than_its_deadline(
    broker: Arc<TestBroker>,
) {
    const DEADLINE: Duration = Duration::from_secs(3);
    let probe = Probe::new();
    let (app, amqp) = application_within(&broker, &probe, DEADLINE).await;
    let exchange = broker.name("x");
    let refused = async |mode: PublishMode| {
        let begun = Instant::now();
        let message = delayed(&exchange, "room.a", "lost", 150).mode(mode);
        let error = amqp.publish_message(message).await.expect_err("it cannot be sent");
        let PublishError::NotConnected { reason } = error else { panic!("{error}") };
        (reason, begun.elapsed())
    };
    broker.proxy.freeze(true);
    let (reason, waited) = refused(PublishMode::Confirmed).await;
    assert!(reason.contains("does not answer in time"), "{reason}");
    assert!(waited >= DEADLINE && waited < DEADLINE * 3, "{waited:?}");
    broker.proxy.cut_off();
    broker.proxy.freeze(false);
    until_connected(&app, false).await;
    let (_, waited) = refused(PublishMode::Confirmed).await;
    assert!(waited >= DEADLINE && waited < DEADLINE * 3, "{waited:?}");
    for mode in [PublishMode::FailFast, PublishMode::FireAndForget] {
        let (_, waited) = refused(mode).await;
        assert!(waited < DEADLINE, "{mode:?}: {waited:?}");
    }
    broker.proxy.mend();
    until_connected(&app, true).await;
    amqp.publish_message(delayed(&exchange, "room.a", "found", 150)).await.expect("confirmed");
    assert_eq!(probe.next().await.text, "found", "and nothing that was given up");
    app.close().await.expect("a clean stop");
    clean(&broker, &["150ms"]).await;
}

async fn a_delayed_message_outlives_an_outage_that_ends_in_time(broker: Arc<TestBroker>) {
    let probe = Probe::new();
    let (app, amqp) = application(&broker, &probe).await;
    broker.proxy.cut_off();
    until_connected(&app, false).await;
    let published = amqp.publish_message(delayed(&broker.name("x"), "room.a", "waits", 150));
    let mend = async {
        broker.proxy.refused(2).await;
        broker.proxy.mend();
    };
    tokio::join!(published, mend).0.expect("confirmed");
    assert_eq!(probe.next().await.text, "waits");
    app.close().await.expect("a clean stop");
    clean(&broker, &["150ms"]).await;
}
