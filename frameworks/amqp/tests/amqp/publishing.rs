use std::{collections::BTreeSet, sync::Arc};

use futures_util::{FutureExt, future::join_all};
use polyport_amqp::{AmqpApp, Message, PublishError, PublishMode, Queue};
use polyport_bootstrap::testing::TestApp;

use crate::support::{Probe, TestBroker, Text, text, until, until_connected, with_rabbitmq};

on_both_brokers! {
    a_published_message_is_confirmed_and_carries_what_it_was_given,
    unroutable_messages_are_told_from_routed_ones_under_way_with_them,
    a_message_that_a_full_queue_refuses_is_told,
    a_missing_exchange_fails_its_message_and_no_other,
    what_is_too_large_is_refused_and_the_connection_lives,
    without_a_connection_nothing_is_sent_and_the_error_says_so,
    what_is_published_during_an_outage_arrives_when_it_is_over,
    what_was_confirmed_is_there_however_often_the_connection_is_lost,
    a_caller_that_leaves_disturbs_nobody,
}

/// An application that declares one queue and consumes nothing.
async fn publisher(broker: &TestBroker, queue: &str) -> (TestApp, AmqpApp) {
    publisher_within(broker, queue, "20s").await
}

async fn publisher_within(broker: &TestBroker, queue: &str, timeout: &str) -> (TestApp, AmqpApp) {
    let declared = queue.to_owned();
    let app = broker.app(&Probe::new(), move |routes| routes.queue(Queue::new(&declared)));
    let app = app.config("amqp.publish.timeout", timeout).await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    (app, amqp)
}

async fn a_published_message_is_confirmed_and_carries_what_it_was_given(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue).await;
    amqp.publish("", &queue, &text("hi")).await.expect("confirmed");
    let message = broker.only_message(&queue).await;
    assert_eq!(message.json::<Text>(), text("hi"));
    assert_eq!(message.content_type().as_deref(), Some("application/json"));
    assert!(message.is_persistent());
    assert_eq!(message.message_id().map(|id| id.len()), Some(36));

    let sent = Message::new("", &queue, vec![1, 2]).message_id("m1").correlation_id("c1");
    let sent = sent.header("n", 7).header("s", "ä").transient().mandatory();
    amqp.publish_message(sent).await.expect("confirmed");
    let message = broker.only_message(&queue).await;
    assert_eq!(message.body(), [1, 2]);
    assert_eq!(message.message_id().as_deref(), Some("m1"));
    assert_eq!(message.correlation_id().as_deref(), Some("c1"));
    assert_eq!((message.header("n"), message.header("s")), (Some("7".into()), Some("ä".into())));
    assert!(!message.is_persistent());
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn unroutable_messages_are_told_from_routed_ones_under_way_with_them(
    broker: Arc<TestBroker>,
) {
    let queue = broker.name("q");
    let (app, amqp) = publisher_within(&broker, &queue, "30s").await;
    let nowhere = broker.name("nowhere");
    let publish = |number: usize| {
        let (routed, mandatory) = (!number.is_multiple_of(3), !number.is_multiple_of(7));
        let message = Message::new("", if routed { &queue } else { &nowhere }, "x");
        let message = if mandatory { message.mandatory() } else { message };
        let published = amqp.publish_message(message);
        async move { (routed || !mandatory, published.await) }
    };
    for (expected, outcome) in join_all((0..2000).map(publish)).await {
        match outcome {
            Ok(()) => assert!(expected, "a message was lost and not told"),
            Err(PublishError::Unroutable { routing_key, .. }) => {
                assert!(!expected && routing_key == nowhere, "a routed message was blamed");
            }
            Err(error) => panic!("{error}"),
        }
    }
    let routed = (0..2000).filter(|number: &usize| !number.is_multiple_of(3)).count();
    assert_eq!(broker.client.queue_depth(&queue).await as usize, routed);
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn a_message_that_a_full_queue_refuses_is_told(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let declared = queue.clone();
    let app = broker.app(&Probe::new(), move |routes| {
        let full = Queue::new(&declared).argument("x-max-length", 1);
        routes.queue(full.argument("x-overflow", "reject-publish"))
    });
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    amqp.publish("", &queue, &1).await.expect("there is room for one");
    for message in [Message::new("", &queue, "2"), Message::new("", &queue, "3").mandatory()] {
        assert_eq!(amqp.publish_message(message).await, Err(PublishError::Nacked));
    }
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn a_missing_exchange_fails_its_message_and_no_other(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue).await;
    let missing = broker.name("missing");
    let publish = |number: usize| {
        let faulty = number == 40 || number == 90;
        let exchange = if faulty { &missing } else { "" };
        let published = amqp.publish(exchange, &queue, &number);
        async move { (faulty, published.await) }
    };
    for (faulty, outcome) in join_all((0..120).map(publish)).await {
        match outcome {
            Ok(()) => assert!(!faulty),
            Err(PublishError::Rejected { reason }) => {
                assert!(faulty && reason.contains(&missing), "{reason}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(amqp.state().connected, "the connection was not touched");
    let depth = broker.client.queue_depth(&queue).await;
    assert!(depth >= 118, "{depth} of 118 messages arrived");
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn what_is_too_large_is_refused_and_the_connection_lives(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue).await;
    let body = Message::new("", &queue, vec![0; 16 * 1024 * 1024 + 1]);
    let headers = Message::new("", &queue, "").header("x", "x".repeat(131_000));
    let name = Message::new("", "k".repeat(256), "");
    for (message, part) in [(body, "body"), (headers, "headers"), (name, "routing key")] {
        let error = amqp.publish_message(message).await.expect_err("too large");
        assert!(matches!(error, PublishError::TooLarge { what, .. } if what == part), "{error}");
    }
    amqp.publish("", &queue, &1).await.expect("the connection lives");
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn without_a_connection_nothing_is_sent_and_the_error_says_so(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher_within(&broker, &queue, "2s").await;
    broker.proxy.cut_off();
    until_connected(&app, false).await;
    let error = amqp.publish("", &queue, &1).await.expect_err("no connection");
    let PublishError::NotConnected { reason } = &error else { panic!("{error}") };
    assert!(reason.contains("not connected"), "{reason}");
    assert!(!error.to_string().contains("guest:guest"), "{error}");
    broker.proxy.mend();
    until_connected(&app, true).await;
    amqp.publish("", &queue, &2).await.expect("connected again");
    assert_eq!(broker.only_message(&queue).await.json::<u8>(), 2);
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn what_is_published_during_an_outage_arrives_when_it_is_over(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue).await;
    broker.proxy.cut_off();
    until_connected(&app, false).await;
    let published = join_all((0..50).map(|number| amqp.publish("", &queue, &number)));
    let mend = async { broker.proxy.mend() };
    for outcome in tokio::join!(published, mend).0 {
        outcome.expect("confirmed");
    }
    for number in 0..50 {
        let message = broker.client.get(&queue).await.expect("a message");
        assert_eq!(message.json::<u8>(), number, "in the order in which they were published");
    }
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn what_was_confirmed_is_there_however_often_the_connection_is_lost(broker: Arc<TestBroker>) {
    const ALL: usize = 1000;
    const CUTS: usize = 5;
    let queue = broker.name("q");
    let (app, amqp) = publisher_within(&broker, &queue, "60s").await;
    let publish = |number: usize| {
        let message = Message::new("", &queue, number.to_string());
        // Some of them are numbered, and would be told from others that come back.
        let message = if number.is_multiple_of(2) { message.mandatory() } else { message };
        amqp.publish_message(message)
    };
    let publishing = join_all((0..ALL).map(publish));
    let cutting = async {
        for cut in 1..=CUTS {
            let left = ALL - cut * ALL / (CUTS + 1);
            until(|| amqp.outbox().messages <= left).await;
            broker.proxy.cut();
        }
    };
    let (outcomes, ()) = tokio::join!(publishing, cutting);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let mut there = BTreeSet::new();
    while let Some(message) = broker.client.get(&queue).await {
        there.insert(String::from_utf8(message.body().to_vec()).expect("a number"));
    }
    assert_eq!(there, (0..ALL).map(|number| number.to_string()).collect());
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn a_caller_that_leaves_disturbs_nobody(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let (app, amqp) = publisher(&broker, &queue).await;
    let leaves = |number: &i32| amqp.publish("", &queue, number).now_or_never().is_none();
    // Where the machine lets the caller wait, one may be confirmed before it can leave.
    assert!((0..20).filter(leaves).count() > 0, "they are confirmed too soon");
    amqp.publish("", &queue, &99).await.expect("confirmed");
    app.close().await.expect("a clean stop");
    let mut last = None;
    while let Some(message) = broker.client.get(&queue).await {
        last = Some(message.json::<u8>());
    }
    assert_eq!(last, Some(99));
    broker.client.delete(&queue).await;
}

/// RabbitMQ closes the connection of whoever publishes to a malformed address of its direct
/// reply-to; anybody who asks for a reply can name one. The in-memory broker drops the message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_closes_the_connection_is_found_and_the_others_arrive() {
    with_rabbitmq(|broker| async move {
        let queue = broker.name("q");
        let (app, amqp) = publisher(&broker, &queue).await;
        let unwatched = Message::new("", "amq.rabbitmq.reply-to.c.d", "x");
        let unwatched = unwatched.mode(PublishMode::FireAndForget);
        amqp.publish_message(unwatched).await.expect("accepted");
        let publish = |number: u8| {
            let faulty = number == 20;
            let key = if faulty { "amq.rabbitmq.reply-to.a.b" } else { &queue };
            let published = amqp.publish("", key, &number);
            async move { (faulty, published.await) }
        };
        for (faulty, outcome) in join_all((0..60).map(publish)).await {
            match outcome {
                Ok(()) => assert!(!faulty),
                Err(PublishError::Rejected { .. }) => assert!(faulty),
                Err(error) => panic!("{error}"),
            }
        }
        amqp.publish("", &queue, &60).await.expect("confirmed");
        assert_eq!(amqp.outbox().unwatched_failed, 1, "it is rejected too");
        app.close().await.expect("a clean stop");
        broker.client.delete(&queue).await;
    })
    .await;
}
