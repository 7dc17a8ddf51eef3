//! Messages that the broker does not confirm, and what becomes of others.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use polyport_amqp::{AmqpApp, Message, PublishError, PublishMode, Queue};
use polyport_bootstrap::testing::TestApp;
use tokio::time::timeout;

use crate::{
    frames::FrameProxy,
    support::{LIMIT, Probe, TestBroker, until, until_connected},
};

on_both_brokers! {
    messages_that_are_never_confirmed_hold_up_no_others_for_good,
    what_nobody_waits_for_is_sent_beside_others_until_it_is_confirmed,
    a_message_that_is_unconfirmed_while_others_are_is_sent_again_after_three_timeouts,
    what_is_confirmed_while_its_channel_is_given_up_is_not_sent_again,
    a_channel_on_which_messages_are_refused_is_replaced_and_no_message_sent_twice,
    what_nobody_waits_for_outlives_any_number_of_lost_connections,
    a_stop_while_a_channel_is_opened_is_quick_and_no_failure,
    an_expiration_beyond_what_the_broker_takes_is_cut,
}

/// The setting `publish.timeout`.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a stop may take whatever the broker does.
const STOP: Duration = Duration::from_secs(9);

/// An application that publishes by way of a proxy, with a small window.
async fn publisher(broker: &TestBroker, way: &FrameProxy) -> (TestApp, AmqpApp, String) {
    let queue = broker.name("q");
    let declared = queue.clone();
    let app = broker.app(&Probe::new(), move |routes| routes.queue(Queue::new(&declared)));
    let app = app.config("amqp.url", &*way.url);
    let app = app.config("amqp.publish.timeout", "2s").config("amqp.publish.window", 2);
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    (app, amqp, queue)
}

fn unwatched(queue: &str, body: &'static str) -> Message {
    Message::new("", queue, body).mode(PublishMode::FireAndForget)
}

/// Publishes until the broker has confirmed it.
async fn until_published(amqp: &AmqpApp, queue: &str, body: &str) {
    let publishing = async { while amqp.publish("", queue, body).await.is_err() {} };
    timeout(LIMIT, publishing).await.expect("nothing is published any more");
}

async fn until_depth(broker: &TestBroker, queue: &str, depth: u32) {
    let filling = async { while broker.client.queue_depth(queue).await < depth {} };
    timeout(LIMIT, filling).await.expect("it was not sent");
}

async fn messages_that_are_never_confirmed_hold_up_no_others_for_good(broker: Arc<TestBroker>) {
    let way = FrameProxy::before(&broker).await;
    let (app, amqp, queue) = publisher(&broker, &way).await;
    way.unconfirmed(u64::MAX);
    let (first, second) =
        tokio::join!(amqp.publish("", &queue, "1"), amqp.publish("", &queue, "2"));
    for outcome in [first, second] {
        assert!(matches!(outcome, Err(PublishError::TimedOut { .. })), "{outcome:?}");
    }
    way.unconfirmed(0);
    until_published(&amqp, &queue, "others").await;
    // What was given up takes no room.
    until(|| amqp.outbox().messages == 0).await;
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn what_nobody_waits_for_is_sent_beside_others_until_it_is_confirmed(
    broker: Arc<TestBroker>,
) {
    let way = FrameProxy::before(&broker).await;
    let (app, amqp, queue) = publisher(&broker, &way).await;
    way.unconfirmed(2);
    for body in ["a", "b"] {
        amqp.publish_message(unwatched(&queue, body)).await.expect("accepted");
    }
    until_depth(&broker, &queue, 2).await;
    // Both take the whole window, and are sent again on each channel, first.
    for _ in 0..5 {
        until_published(&amqp, &queue, "others").await;
    }
    until(|| amqp.outbox().messages == 2).await;
    assert_eq!(amqp.outbox().unwatched_confirmed, 0);
    way.unconfirmed(0);
    broker.proxy.cut();
    until(|| amqp.outbox().unwatched_confirmed == 2).await;
    assert_eq!((amqp.outbox().unwatched_failed, amqp.outbox().messages), (0, 0));
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn a_message_that_is_unconfirmed_while_others_are_is_sent_again_after_three_timeouts(
    broker: Arc<TestBroker>,
) {
    let way = FrameProxy::before(&broker).await;
    let (app, amqp, queue) = publisher(&broker, &way).await;
    way.unconfirmed(1);
    let begun = Instant::now();
    amqp.publish_message(unwatched(&queue, "kept")).await.expect("accepted");
    until(|| way.lost() == 1).await;
    way.unconfirmed(0);
    let mut others = 0;
    let again = async {
        while amqp.outbox().unwatched_confirmed == 0 {
            amqp.publish("", &queue, "others").await.expect("confirmed");
            others += 1;
        }
    };
    timeout(LIMIT, again).await.expect("it is not sent again");
    assert!(begun.elapsed() >= 3 * TIMEOUT, "after {:?}", begun.elapsed());
    assert!(others > 1, "they are held up");
    app.close().await.expect("a clean stop");
    let depth = broker.client.queue_depth(&queue).await;
    // One of the others may have been under way when the channel was given up.
    assert!((others + 2..=others + 3).contains(&depth), "{depth} with {others} others");
    broker.client.delete(&queue).await;
}

async fn what_is_confirmed_while_its_channel_is_given_up_is_not_sent_again(
    broker: Arc<TestBroker>,
) {
    let way = FrameProxy::before(&broker).await;
    let (app, amqp, queue) = publisher(&broker, &way).await;
    way.confirm_late();
    // They take the whole window.
    for body in ["a", "b"] {
        amqp.publish_message(unwatched(&queue, body)).await.expect("accepted");
    }
    until(|| amqp.outbox().unwatched_confirmed == 2).await;
    assert_eq!((amqp.outbox().unwatched_failed, amqp.outbox().messages), (0, 0));
    app.close().await.expect("a clean stop");
    for body in ["a", "b"] {
        assert_eq!(broker.client.get(&queue).await.expect("a message").body(), body.as_bytes());
    }
    assert!(broker.client.get(&queue).await.is_none(), "each was sent once");
    broker.client.delete(&queue).await;
}

/// RabbitMQ refuses everything on a channel that keeps to a leader which is gone.
async fn a_channel_on_which_messages_are_refused_is_replaced_and_no_message_sent_twice(
    broker: Arc<TestBroker>,
) {
    let way = FrameProxy::before(&broker).await;
    let (app, amqp, queue) = publisher(&broker, &way).await;
    amqp.publish("", &queue, "first").await.expect("confirmed");
    let connections = broker.proxy.connections();
    way.refuse();
    let mut sent = 1;
    let replaced = async {
        loop {
            let few = join_all((0..3).map(|number| amqp.publish("", &queue, &number))).await;
            sent += 3;
            let refused = |outcome: &Result<(), _>| *outcome == Err(PublishError::Nacked);
            assert!(few.iter().all(|outcome| outcome.is_ok() || refused(outcome)), "{few:?}");
            if few.iter().all(Result::is_ok) {
                return;
            }
        }
    };
    timeout(LIMIT, replaced).await.expect("everything is refused for good");
    assert!(sent > 4, "nothing was refused");
    assert_eq!(broker.proxy.connections(), connections, "the connection was kept");
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, sent, "the broker had them all");
    broker.client.delete(&queue).await;
}

async fn what_nobody_waits_for_outlives_any_number_of_lost_connections(broker: Arc<TestBroker>) {
    let way = FrameProxy::before(&broker).await;
    let (app, amqp, queue) = publisher(&broker, &way).await;
    way.unconfirmed(u64::MAX);
    amqp.publish_message(unwatched(&queue, "kept")).await.expect("accepted");
    for times in 1..=6 {
        until_depth(&broker, &queue, times).await;
        broker.proxy.cut();
        until_connected(&app, false).await;
        until_connected(&app, true).await;
    }
    way.unconfirmed(0);
    broker.proxy.cut();
    until(|| amqp.outbox().unwatched_confirmed == 1).await;
    assert_eq!(amqp.outbox().unwatched_failed, 0);
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn a_stop_while_a_channel_is_opened_is_quick_and_no_failure(broker: Arc<TestBroker>) {
    let way = FrameProxy::before(&broker).await;
    let (app, amqp, queue) = publisher(&broker, &way).await;
    amqp.publish("", &queue, "x").await.expect("confirmed");
    way.mute_channels(true);
    // The broker closes the channel for it, and the next one never confirms.
    let outcome = amqp.publish(&broker.name("missing"), &queue, "x").await;
    assert!(matches!(outcome, Err(PublishError::TimedOut { .. })), "{outcome:?}");
    let begun = Instant::now();
    let closed = timeout(STOP, app.close()).await.expect("the stop hangs");
    closed.expect("nothing was published that is not confirmed");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    broker.client.delete(&queue).await;
}

async fn an_expiration_beyond_what_the_broker_takes_is_cut(broker: Arc<TestBroker>) {
    let way = FrameProxy::before(&broker).await;
    let (app, amqp, queue) = publisher(&broker, &way).await;
    let message = Message::new("", &queue, "x").expiration(Duration::MAX);
    amqp.publish_message(message).await.expect("confirmed");
    assert_eq!(broker.only_message(&queue).await.body(), b"x");
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}
