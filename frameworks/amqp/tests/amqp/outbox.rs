//! What publishers wait for, and what they are told when the broker takes nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use polyport_amqp::{AmqpApp, Message, PublishError, PublishMode, Queue};
use polyport_bootstrap::testing::TestApp;

use crate::{
    frames::FrameProxy,
    support::{Probe, TestBroker, until, until_connected},
};

on_both_brokers! {
    fail_fast_tells_at_once_that_there_is_no_connection,
    fail_fast_and_fire_and_forget_tell_at_once_that_the_outbox_is_full,
    a_confirmed_message_waits_for_room,
    without_room_in_time_the_outbox_is_full_and_what_was_sent_is_unknown,
    the_outbox_is_full_by_bytes_too,
    what_nobody_waits_for_survives_an_outage_and_is_counted,
    what_nobody_waits_for_is_sent_before_the_process_stops,
    what_nobody_waits_for_and_is_rejected_is_counted_and_disturbs_no_other,
    nothing_is_sent_while_the_broker_takes_no_messages,
    what_its_callers_gave_up_takes_no_room_in_an_outage,
    the_mode_of_the_settings_is_that_of_messages_that_say_nothing,
}

/// An application that declares one queue, with settings for publishing.
async fn publisher(
    broker: &TestBroker,
    queue: &str,
    settings: &[(&str, serde_json::Value)],
) -> (TestApp, AmqpApp) {
    publisher_at(broker, broker.url(), queue, settings).await
}

/// As [`publisher`], by another way to the broker.
async fn publisher_at(
    broker: &TestBroker,
    url: &str,
    queue: &str,
    settings: &[(&str, serde_json::Value)],
) -> (TestApp, AmqpApp) {
    let declared = queue.to_owned();
    let app = broker.app(&Probe::new(), move |routes| routes.queue(Queue::new(&declared)));
    let mut app = app.config("amqp.url", url);
    for (key, value) in settings {
        app = app.config(format!("amqp.publish.{key}"), value.clone());
    }
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    (app, amqp)
}

fn message(queue: &str, mode: PublishMode, body: &str) -> Message {
    Message::new("", queue, body.to_owned()).mode(mode)
}

async fn fail_fast_tells_at_once_that_there_is_no_connection(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue, &[("timeout", "30s".into())]).await;
    amqp.publish_message(message(&queue, PublishMode::FailFast, "1")).await.expect("confirmed");
    broker.proxy.cut_off();
    until_connected(&app, false).await;
    let began = Instant::now();
    let outcome = amqp.publish_message(message(&queue, PublishMode::FailFast, "2")).await;
    let error = outcome.expect_err("no connection");
    assert!(matches!(error, PublishError::NotConnected { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "at once: {:?}", began.elapsed());
    broker.proxy.mend();
    until_connected(&app, true).await;
    assert_eq!(broker.only_message(&queue).await.body(), b"1");
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn fail_fast_and_fire_and_forget_tell_at_once_that_the_outbox_is_full(
    broker: Arc<TestBroker>,
) {
    let queue = broker.name("q");
    let settings = [("outbox", 2.into()), ("timeout", "30s".into())];
    let (app, amqp) = publisher(&broker, &queue, &settings).await;
    broker.proxy.freeze(true);
    for number in ["1", "2"] {
        let accepted = message(&queue, PublishMode::FireAndForget, number);
        amqp.publish_message(accepted).await.expect("accepted");
    }
    assert_eq!(amqp.outbox().messages, 2);
    for mode in [PublishMode::FailFast, PublishMode::FireAndForget] {
        let began = Instant::now();
        let outcome = amqp.publish_message(message(&queue, mode, "3")).await;
        assert_eq!(outcome, Err(PublishError::OutboxFull { messages: 2, bytes: 2 }), "{mode:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "at once: {:?}", began.elapsed());
    }
    broker.proxy.freeze(false);
    until(|| amqp.outbox().unwatched_confirmed == 2).await;
    amqp.publish_message(message(&queue, PublishMode::FailFast, "4")).await.expect("room again");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 3);
    broker.client.delete(&queue).await;
}

async fn a_confirmed_message_waits_for_room(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue, &[("outbox", 3.into())]).await;
    let published = (0..200).map(|number| amqp.publish("", &queue, &number));
    for outcome in join_all(published).await {
        outcome.expect("confirmed");
    }
    assert_eq!((amqp.outbox().messages, amqp.outbox().bytes), (0, 0));
    for number in 0..200 {
        let next = broker.client.get(&queue).await.expect("a message");
        assert_eq!(next.json::<u8>(), number, "in the order in which they were published");
    }
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn without_room_in_time_the_outbox_is_full_and_what_was_sent_is_unknown(
    broker: Arc<TestBroker>,
) {
    let queue = broker.name("q");
    let settings = [("outbox", 1.into()), ("timeout", "2s".into())];
    let (app, amqp) = publisher(&broker, &queue, &settings).await;
    let publish = |number: u8| amqp.publish("", &queue, &number);
    publish(0).await.expect("confirmed");
    broker.client.expect_on(&queue).await;
    broker.proxy.freeze(true);
    let (sent, waits) = tokio::join!(publish(1), publish(2));
    assert_eq!(sent, Err(PublishError::TimedOut { after: Duration::from_secs(2) }));
    assert!(matches!(waits, Err(PublishError::OutboxFull { messages: 1, .. })), "{waits:?}");
    broker.proxy.freeze(false);
    // The broker got the first: unknown is not lost.
    assert_eq!(broker.client.expect_on(&queue).await.json::<u8>(), 1);
    until(|| amqp.outbox().messages == 0).await;
    publish(3).await.expect("room again");
    assert_eq!(broker.only_message(&queue).await.json::<u8>(), 3, "the second was never sent");
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn the_outbox_is_full_by_bytes_too(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue, &[("outbox_bytes", 1000.into())]).await;
    broker.proxy.freeze(true);
    let accepted = message(&queue, PublishMode::FireAndForget, &"x".repeat(900));
    amqp.publish_message(accepted).await.expect("accepted");
    let refused = message(&queue, PublishMode::FailFast, &"x".repeat(200));
    let error = amqp.publish_message(refused).await.expect_err("full");
    assert!(matches!(error, PublishError::OutboxFull { messages: 1, bytes: 900.. }), "{error}");
    broker.proxy.freeze(false);
    until(|| amqp.outbox().messages == 0).await;
    let large = Message::new("", &queue, vec![0; 5000]);
    amqp.publish_message(large).await.expect("larger than the outbox, it passes alone");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 2);
    broker.client.delete(&queue).await;
}

async fn what_nobody_waits_for_survives_an_outage_and_is_counted(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue, &[("timeout", "100ms".into())]).await;
    let forget = async |numbers: std::ops::Range<u8>| {
        for number in numbers {
            let message = message(&queue, PublishMode::FireAndForget, &number.to_string());
            amqp.publish_message(message).await.expect("accepted");
        }
    };
    // Some are on their way when the connection breaks: they are sent again.
    broker.proxy.freeze(true);
    forget(0..50).await;
    broker.proxy.cut_off();
    broker.proxy.freeze(false);
    until_connected(&app, false).await;
    forget(50..100).await;
    broker.proxy.mend();
    until(|| amqp.outbox().unwatched_confirmed == 100).await;
    assert_eq!(amqp.outbox().unwatched_failed, 0);
    app.close().await.expect("a clean stop");
    for number in 0..100 {
        let next = broker.client.get(&queue).await.expect("a message");
        assert_eq!(next.json::<u8>(), number, "in the order in which they were published");
    }
    broker.client.delete(&queue).await;
}

async fn what_nobody_waits_for_is_sent_before_the_process_stops(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue, &[]).await;
    for _ in 0..500 {
        let message = message(&queue, PublishMode::FireAndForget, "x");
        amqp.publish_message(message).await.expect("accepted");
    }
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 500);
    assert_eq!(amqp.outbox().unwatched_confirmed, 500);
    let late = amqp.publish_message(message(&queue, PublishMode::FireAndForget, "late")).await;
    let error = late.expect_err("nothing is accepted any more");
    assert!(matches!(error, PublishError::NotConnected { .. }), "{error}");
    broker.client.delete(&queue).await;
}

async fn what_nobody_waits_for_and_is_rejected_is_counted_and_disturbs_no_other(
    broker: Arc<TestBroker>,
) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue, &[]).await;
    let missing = broker.name("missing");
    for number in 0..60 {
        let exchange = if number == 20 { &missing } else { "" };
        let message = Message::new(exchange, &queue, "x").mode(PublishMode::FireAndForget);
        amqp.publish_message(message).await.expect("accepted");
    }
    let nowhere = Message::new("", broker.name("nowhere"), "x").mandatory();
    amqp.publish_message(nowhere.mode(PublishMode::FireAndForget)).await.expect("accepted");
    until(|| amqp.outbox().unwatched_failed == 2).await;
    until(|| amqp.outbox().unwatched_confirmed == 59).await;
    app.close().await.expect("a clean stop");
    assert!(broker.client.queue_depth(&queue).await >= 59);
    broker.client.delete(&queue).await;
}

async fn nothing_is_sent_while_the_broker_takes_no_messages(broker: Arc<TestBroker>) {
    let (queue, way) = (broker.name("q"), FrameProxy::before(&broker).await);
    let (app, amqp) = publisher_at(&broker, &way.url, &queue, &[("timeout", "2s".into())]).await;
    way.block("low on memory");
    until(|| amqp.state().blocked.is_some()).await;
    for mode in [PublishMode::Confirmed, PublishMode::FailFast] {
        let outcome = amqp.publish_message(message(&queue, mode, "given up")).await;
        let Err(PublishError::NotConnected { reason }) = outcome else { panic!("{outcome:?}") };
        assert!(
            reason.contains("takes no messages") && reason.contains("low on memory"),
            "{reason}"
        );
    }
    let kept = message(&queue, PublishMode::FireAndForget, "kept");
    amqp.publish_message(kept).await.expect("accepted");
    way.unblock();
    until(|| amqp.outbox().unwatched_confirmed == 1).await;
    amqp.publish_message(message(&queue, PublishMode::FailFast, "after")).await.expect("confirmed");
    assert_eq!(broker.client.get(&queue).await.expect("kept").body(), b"kept");
    assert_eq!(broker.only_message(&queue).await.body(), b"after");
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn what_its_callers_gave_up_takes_no_room_in_an_outage(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let settings = [("outbox", 4.into()), ("timeout", "100ms".into())];
    let (app, amqp) = publisher(&broker, &queue, &settings).await;
    broker.proxy.cut_off();
    until_connected(&app, false).await;
    for outcome in join_all((0..4).map(|number| amqp.publish("", &queue, &number))).await {
        assert!(matches!(outcome, Err(PublishError::NotConnected { .. })), "{outcome:?}");
    }
    until(|| amqp.outbox().messages == 0).await;
    let kept = message(&queue, PublishMode::FireAndForget, "kept");
    amqp.publish_message(kept).await.expect("room for others");
    broker.proxy.mend();
    until(|| amqp.outbox().unwatched_confirmed == 1).await;
    assert_eq!(broker.only_message(&queue).await.body(), b"kept");
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn the_mode_of_the_settings_is_that_of_messages_that_say_nothing(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue, &[("mode", "fire_and_forget".into())]).await;
    amqp.publish("", &queue, &1).await.expect("accepted");
    until(|| amqp.outbox().unwatched_confirmed == 1).await;
    amqp.publish_message(message(&queue, PublishMode::Confirmed, "2")).await.expect("confirmed");
    assert_eq!(amqp.outbox().unwatched_confirmed, 1, "a message's own mode stands");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 2);
    broker.client.delete(&queue).await;
}
