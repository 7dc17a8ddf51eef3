//! Requests and their replies.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use polyport_amqp::{AmqpApp, Delivery, Message, Reply};
use polyport_bootstrap::{
    Fault, FaultKind,
    operation::{App, Inject, Input, Items},
    testing::TestApp,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    frames::FrameProxy,
    support::{LIMIT, Probe, TestBroker, Text, text, until_connected},
};

on_both_brokers! {
    requests_get_their_replies_with_many_under_way,
    a_value_is_taken_out_of_each_envelope,
    a_fault_comes_back_as_the_fault_that_it_was,
    a_request_that_no_queue_takes_ends_at_once_and_disturbs_no_other,
    a_request_waits_no_longer_than_it_says_and_a_late_reply_is_dropped,
    a_request_in_a_call_waits_no_longer_than_the_call,
    a_request_ends_when_the_connection_is_lost_and_the_next_one_is_answered,
    without_a_connection_a_request_says_that_it_was_not_sent,
    while_the_broker_takes_no_messages_no_request_is_sent,
    a_request_that_was_held_back_is_sent_over_the_next_connection,
    a_request_may_wait_for_ever_and_be_answered,
    a_request_with_a_delay_is_refused,
    a_caller_that_leaves_disturbs_no_other,
    a_request_to_a_missing_exchange_fails_and_those_to_queues_are_answered,
    items_come_one_after_the_other_and_end,
    a_request_under_way_ends_when_the_process_stops,
    what_is_too_large_is_no_request,
}

async fn shout(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<String, Fault> {
    match input.text.as_str() {
        "wait" => {
            probe.report(input, delivery);
            probe.pass().await;
            Ok("late".to_owned())
        }
        "down" => Err(Fault::unavailable("DOWN", "the database is away")),
        "teapot" => Err(Fault::not_found("NO_TEA", "no tea left")
            .with_code("T-7")
            .with_details(json!({ "cups": 0 }))),
        text => Ok(text.to_uppercase()),
    }
}

/// An application that answers requests to its queue, and can make some itself.
async fn shouting(
    broker: &TestBroker,
    probe: &Arc<Probe>,
    settings: &[(&str, Value)],
) -> (TestApp, AmqpApp, String) {
    let queue = broker.name("q");
    let consumed = queue.clone();
    let mut app = broker.app(probe, move |routes| routes.consume(&consumed, shout));
    for (key, value) in settings {
        app = app.config(format!("amqp.{key}"), value.clone());
    }
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    (app, amqp, queue)
}

async fn end(broker: &TestBroker, app: TestApp, queue: &str) {
    app.close().await.expect("a clean stop");
    broker.delete(queue).await;
}

/// What kind of fault came, and its reason.
fn told(outcome: Result<impl Sized, Fault>) -> (FaultKind, String) {
    let fault = outcome.map(drop).expect_err("a fault");
    (fault.kind(), fault.reason().to_owned())
}

async fn requests_get_their_replies_with_many_under_way(broker: Arc<TestBroker>) {
    let (app, amqp, queue) = shouting(&broker, &Probe::new(), &[]).await;
    let requests = (0..500).map(|number| amqp.request(&queue, &text(&format!("m{number}"))));
    for (number, reply) in join_all(requests).await.into_iter().enumerate() {
        let reply: String = reply.expect("a reply");
        assert_eq!(reply, format!("M{number}"));
    }
    end(&broker, app, &queue).await;
}

async fn a_value_is_taken_out_of_each_envelope(broker: Arc<TestBroker>) {
    for envelope in ["plain", "return-code", "code-message-data"] {
        let (app, amqp, queue) =
            shouting(&broker, &Probe::new(), &[("envelope", json!(envelope))]).await;
        let reply: String = amqp.request(&queue, &text("hi")).await.expect("a reply");
        assert_eq!(reply, "HI", "{envelope}");
        let message =
            Message::json("", &queue, &text("raw")).expect("JSON").header("x-tenant", "a");
        let reply: Reply = amqp.request_message(message).await.expect("a reply");
        assert_eq!(reply.content_type(), Some("application/json"));
        assert!(reply.header("x-request-id").is_some());
        assert_eq!(reply.body().starts_with(b"{"), envelope != "plain");
        assert_eq!(reply.json::<Value>().expect("JSON"), "RAW");
        assert_eq!(told(reply.json::<u32>()).0, FaultKind::Internal, "it is no number");
        end(&broker, app, &queue).await;
    }
}

async fn a_fault_comes_back_as_the_fault_that_it_was(broker: Arc<TestBroker>) {
    for envelope in ["plain", "return-code", "code-message-data"] {
        let (app, amqp, queue) =
            shouting(&broker, &Probe::new(), &[("envelope", json!(envelope))]).await;
        let outcome: Result<Value, Fault> = amqp.request(&queue, &text("teapot")).await;
        let fault = outcome.expect_err("a fault");
        assert_eq!((fault.kind(), fault.reason()), (FaultKind::NotFound, "NO_TEA"), "{envelope}");
        assert_eq!((fault.message(), fault.code()), ("no tea left", Some("T-7")), "{envelope}");
        if envelope != "return-code" {
            assert_eq!(fault.details(), Some(&json!({ "cups": 0 })), "{envelope}");
        }
        let outcome = amqp.request::<_, Value>(&queue, &text("down")).await;
        assert_eq!(told(outcome), (FaultKind::Unavailable, "DOWN".to_owned()));
        let outcome = amqp.request::<_, Value>(&queue, &text("")).await;
        assert_eq!(told(outcome), (FaultKind::InvalidArgument, "INVALID_INPUT".to_owned()));
        end(&broker, app, &queue).await;
    }
}

async fn a_request_that_no_queue_takes_ends_at_once_and_disturbs_no_other(broker: Arc<TestBroker>) {
    let (app, amqp, queue) =
        shouting(&broker, &Probe::new(), &[("request_timeout", json!("60s"))]).await;
    let nowhere = broker.name("nowhere");
    let request = |number: usize| {
        let is_lost = number.is_multiple_of(3);
        let requested = amqp.request(if is_lost { &nowhere } else { &queue }, &text("hi"));
        async move { (is_lost, requested.await as Result<String, Fault>) }
    };
    let outcomes = timeout(LIMIT, join_all((0..90).map(request))).await.expect("at once");
    for (is_lost, outcome) in outcomes {
        match outcome {
            Ok(reply) => assert!(!is_lost && reply == "HI"),
            outcome @ Err(_) => {
                assert!(is_lost);
                let expected = (FaultKind::Unavailable, "NO_SUCH_QUEUE".to_owned());
                assert_eq!(told(outcome), expected);
            }
        }
    }
    end(&broker, app, &queue).await;
}

async fn a_request_waits_no_longer_than_it_says_and_a_late_reply_is_dropped(
    broker: Arc<TestBroker>,
) {
    let probe = Probe::new();
    let settings = [("request_timeout", json!("2s")), ("concurrency", json!(1))];
    let (app, amqp, queue) = shouting(&broker, &probe, &settings).await;
    let began = Instant::now();
    let outcome = amqp.request::<_, Value>(&queue, &text("wait")).await;
    assert_eq!(told(outcome), (FaultKind::DeadlineExceeded, "NO_REPLY".to_owned()));
    assert!(began.elapsed() >= Duration::from_secs(2));
    let delivery = probe.next().await.delivery;
    assert_eq!(delivery.header("x-request-timeout-ms"), Some("2000"));
    probe.open(1);
    let message = Message::json("", &queue, &text("own")).expect("JSON");
    let message = message.expiration(Duration::from_secs(20)).mandatory();
    let reply = amqp.request_message(message).await.expect("a reply");
    assert_eq!(reply.json::<String>().expect("JSON"), "OWN", "not the late one");
    end(&broker, app, &queue).await;
}

async fn a_request_in_a_call_waits_no_longer_than_the_call(broker: Arc<TestBroker>) {
    let (probe, queue, outer) = (Probe::new(), broker.name("q"), broker.name("outer"));
    let (consumed, asked, target) = (queue.clone(), outer.clone(), queue.clone());
    let ask = move |App(amqp): App<AmqpApp>| async move {
        amqp.request::<_, Value>(&target, &text("wait")).await
    };
    let app = broker
        .app(&probe, move |routes| routes.consume(&consumed, shout).consume(&asked, ask.clone()));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let message = Message::new("", &outer, "").expiration(Duration::from_secs(2));
    let began = Instant::now();
    assert_eq!(told(amqp.request_message(message).await).0, FaultKind::DeadlineExceeded);
    assert!(began.elapsed() < Duration::from_secs(8));
    let delivery = probe.next().await.delivery;
    let left: u64 = delivery.header("x-request-timeout-ms").expect("said").parse().expect("ms");
    assert!((1..=2000).contains(&left), "{left}");
    probe.open(1);
    end(&broker, app, &queue).await;
    broker.delete(&outer).await;
}

async fn a_request_ends_when_the_connection_is_lost_and_the_next_one_is_answered(
    broker: Arc<TestBroker>,
) {
    let probe = Probe::new();
    let (app, amqp, queue) = shouting(&broker, &probe, &[("request_timeout", json!("60s"))]).await;
    for _ in 0..3 {
        let lost = tokio::spawn(amqp.request::<_, Value>(&queue, &text("wait")));
        probe.next().await;
        broker.proxy.cut();
        let outcome = timeout(LIMIT, lost).await.expect("at once").expect("no panic");
        assert_eq!(told(outcome), (FaultKind::Unavailable, "REPLY_LOST".to_owned()));
        // The request itself is handled again, as its acknowledgement was cut off.
        probe.next().await;
        probe.open(2);
        let reply: String = amqp.request(&queue, &text("hi")).await.expect("a reply");
        assert_eq!(reply, "HI");
    }
    end(&broker, app, &queue).await;
}

async fn without_a_connection_a_request_says_that_it_was_not_sent(broker: Arc<TestBroker>) {
    let settings = [("request_timeout", json!("300ms"))];
    let (app, amqp, queue) = shouting(&broker, &Probe::new(), &settings).await;
    broker.proxy.cut_off();
    until_connected(&app, false).await;
    let outcome = amqp.request::<_, Value>(&queue, &text("hi")).await;
    assert_eq!(told(outcome), (FaultKind::Unavailable, "BROKER_UNAVAILABLE".to_owned()));
    broker.proxy.mend();
    let message = Message::json("", &queue, &text("hi")).expect("JSON");
    let reply = amqp.request_message(message.expiration(LIMIT)).await.expect("it has waited");
    assert_eq!(reply.json::<String>().expect("JSON"), "HI");
    end(&broker, app, &queue).await;
}

async fn while_the_broker_takes_no_messages_no_request_is_sent(broker: Arc<TestBroker>) {
    let (queue, way) = (broker.name("q"), FrameProxy::before(&broker).await);
    let declared = queue.clone();
    let app =
        broker.app(&Probe::new(), move |routes| routes.queue(polyport_amqp::Queue::new(&declared)));
    let app = app.config("amqp.url", &*way.url).config("amqp.request_timeout", "300ms");
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    way.block("low on disk");
    let mut states = amqp.state_changes();
    states.wait_for(|state| state.blocked.is_some()).await.expect("it lives");
    let fault = amqp.request::<_, Value>(&queue, &text("hi")).await.expect_err("not sent");
    assert!(fault.message().contains("low on disk"), "{}", fault.message());
    way.unblock();
    states.wait_for(|state| state.blocked.is_none()).await.expect("it lives");
    amqp.publish("", &queue, &2).await.expect("confirmed");
    assert_eq!(broker.only_message(&queue).await.json::<u8>(), 2, "the request was never sent");
    end(&broker, app, &queue).await;
}

async fn a_request_that_was_held_back_is_sent_over_the_next_connection(broker: Arc<TestBroker>) {
    let (queue, way) = (broker.name("q"), FrameProxy::before(&broker).await);
    let consumed = queue.clone();
    let app = broker.app(&Probe::new(), move |routes| routes.consume(&consumed, shout));
    let app = app.config("amqp.url", &*way.url).config("amqp.request_timeout", "30s");
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    for before in [false, true] {
        if before {
            // From now on there is a channel for requests.
            let reply: String = amqp.request(&queue, &text("before")).await.expect("a reply");
            assert_eq!(reply, "BEFORE");
        }
        way.block("low on memory");
        let mut states = amqp.state_changes();
        states.wait_for(|state| state.blocked.is_some()).await.expect("it lives");
        let held = tokio::spawn(amqp.request::<_, String>(&queue, &text("held")));
        // Time enough for it to be taken.
        assert_eq!(broker.client.queue_depth(&queue).await, 0);
        broker.proxy.cut();
        until_connected(&app, false).await;
        let reply = timeout(LIMIT, held).await.expect("it is stuck").expect("no panic");
        assert_eq!(reply.expect("a reply"), "HELD");
    }
    end(&broker, app, &queue).await;
}

async fn a_request_may_wait_for_ever_and_be_answered(broker: Arc<TestBroker>) {
    let (app, amqp, queue) = shouting(&broker, &Probe::new(), &[]).await;
    let message = Message::json("", &queue, &text("hi")).expect("JSON").expiration(Duration::MAX);
    let reply = amqp.request_message(message).await.expect("a reply");
    assert_eq!(reply.json::<String>().expect("JSON"), "HI");
    end(&broker, app, &queue).await;
}

async fn a_request_with_a_delay_is_refused(broker: Arc<TestBroker>) {
    let (app, amqp, queue) = shouting(&broker, &Probe::new(), &[]).await;
    let message =
        Message::json("", &queue, &text("hi")).expect("JSON").delay(Duration::from_secs(1));
    assert_eq!(told(amqp.request_message(message).await).0, FaultKind::Internal);
    end(&broker, app, &queue).await;
}

async fn a_caller_that_leaves_disturbs_no_other(broker: Arc<TestBroker>) {
    let (app, amqp, queue) = shouting(&broker, &Probe::new(), &[]).await;
    for _ in 0..300 {
        let left = amqp.request::<_, Value>(&queue, &text("hi")).now_or_never();
        assert!(left.is_none(), "no reply can be there yet");
    }
    let reply: String = amqp.request(&queue, &text("stays")).await.expect("a reply");
    assert_eq!(reply, "STAYS");
    end(&broker, app, &queue).await;
}

async fn a_request_to_a_missing_exchange_fails_and_those_to_queues_are_answered(
    broker: Arc<TestBroker>,
) {
    let probe = Probe::new();
    let (app, amqp, queue) = shouting(&broker, &probe, &[("request_timeout", json!("60s"))]).await;
    let waits = tokio::spawn(amqp.request::<_, String>(&queue, &text("wait")));
    probe.next().await;
    let missing = broker.name("missing");
    let faulty = amqp.request_message(Message::new(&missing, "k", "")).await;
    let fault = faulty.expect_err("no such exchange");
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.message().contains(&missing), "{}", fault.message());
    probe.open(1);
    assert_eq!(waits.await.expect("no panic").expect("a reply"), "late", "it was under way");
    let reply: String = amqp.request(&queue, &text("hi")).await.expect("a reply");
    assert_eq!(reply, "HI");
    end(&broker, app, &queue).await;
}

async fn count(delivery: Delivery, Input(input): Input<Text>) -> Result<Items<u32>, Fault> {
    assert!(delivery.header("x-request-timeout-ms").is_some(), "it says how long it is waited for");
    let mut numbers = vec![Ok(1), Ok(2)];
    if input.text == "fault" {
        numbers.push(Err(Fault::unavailable("DOWN", "the database is away")));
    }
    Ok(Items::new(futures_util::stream::iter(numbers)))
}

async fn items_come_one_after_the_other_and_end(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, count));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    for (input, fault) in [("all", None), ("fault", Some("DOWN"))] {
        let message = Message::json("", &queue, &text(input)).expect("JSON");
        let mut items = amqp.request_items(message).await.expect("sent");
        for number in [1, 2] {
            assert_eq!(items.next_json::<u32>().await.expect("an item").expect("JSON"), number);
        }
        let last = items.next().await;
        assert_eq!(last.map(|last| told(last).1).as_deref(), fault, "{input}");
        assert!(items.next().await.is_none());
    }
    let nowhere = Message::new("", broker.name("nowhere"), "");
    let mut items = amqp.request_items(nowhere).await.expect("sent");
    assert_eq!(told(items.next().await.expect("a fault")).1, "NO_SUCH_QUEUE");
    end(&broker, app, &queue).await;
}

async fn a_request_under_way_ends_when_the_process_stops(broker: Arc<TestBroker>) {
    let probe = Probe::new();
    let (other, _, queue) = shouting(&broker, &probe, &[]).await;
    let app = broker.app(&Probe::new(), |routes| routes).await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let waits = tokio::spawn(amqp.request::<_, Value>(&queue, &text("wait")));
    probe.next().await;
    app.close().await.expect("a clean stop");
    let outcome = timeout(LIMIT, waits).await.expect("at once").expect("no panic");
    assert_eq!(told(outcome), (FaultKind::Unavailable, "REPLY_LOST".to_owned()));
    let late = amqp.request::<_, Value>(&queue, &text("hi")).await;
    assert_eq!(told(late), (FaultKind::Unavailable, "BROKER_UNAVAILABLE".to_owned()));
    probe.open(1);
    end(&broker, other, &queue).await;
}

async fn what_is_too_large_is_no_request(broker: Arc<TestBroker>) {
    let settings = [("max_message_size", json!(1000))];
    let (app, amqp, queue) = shouting(&broker, &Probe::new(), &settings).await;
    let outcome = amqp.request::<_, Value>(&queue, &text(&"x".repeat(2000))).await;
    assert_eq!(told(outcome), (FaultKind::InvalidArgument, "MESSAGE_TOO_LARGE".to_owned()));
    let long = amqp.request::<_, Value>(&"q".repeat(300), &text("hi")).await;
    assert_eq!(told(long).1, "MESSAGE_TOO_LARGE");
    end(&broker, app, &queue).await;
}
