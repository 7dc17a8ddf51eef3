//! What is declared, how, and what is said where the broker has it otherwise.

use std::sync::Arc;

use polyport_amqp::{Delivery, Exchange, Message, Queue};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
    testing::TestBootstrap,
};
use serde_json::{Value, json};

use crate::support::{LIMIT, Probe, TestBroker, Text, start_error, text, with_rabbitmq};

on_both_brokers! {
    a_mismatch_names_both_sides,
    several_mismatches_are_one_report,
    passive_names_everything_that_is_missing,
    of_more_than_is_asked_for_at_once_only_the_missing_are_named,
    what_belongs_to_a_refused_queue_is_not_asked_for,
    passive_starts_where_everything_is_there,
    none_leaves_the_broker_alone,
    a_queue_of_the_configuration_is_declared_and_consumed,
    an_exchange_routes_to_another_one,
    what_is_routed_nowhere_goes_to_the_alternate_exchange,
    a_message_of_a_quorum_queue_is_retried_and_parked_in_quorum_queues,
    an_exclusive_queue_is_consumed_and_goes_with_its_process,
    an_exclusive_queue_has_one_owner,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

/// An application that declares these queues and nothing else.
fn declaring(broker: &TestBroker, queues: Vec<Queue>) -> TestBootstrap {
    broker.app(&Probe::new(), move |routes| queues.iter().cloned().fold(routes, |r, q| r.queue(q)))
}

/// The report of a start that only looks for these queues, and does not find all of them.
async fn missing(broker: &TestBroker, queues: &[&str]) -> String {
    let queues = queues.iter().map(|name| Queue::new(*name)).collect();
    start_error(declaring(broker, queues).config("amqp.topology", "passive")).await
}

async fn declare(broker: &TestBroker, queues: Vec<Queue>) {
    let app = declaring(broker, queues).await.expect("starts");
    app.close().await.expect("a clean stop");
}

async fn a_mismatch_names_both_sides(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    declare(&broker, vec![Queue::new(&queue).max_length(7)]).await;
    let report = start_error(declaring(&broker, vec![Queue::new(&queue).max_length(5)])).await;
    for part in [
        &*format!("queue \"{queue}\", durable, x-max-length=5"),
        "x-max-length is 7 there and is 5 here",
        "delete it there",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    broker.client.delete(&queue).await;
}

async fn several_mismatches_are_one_report(broker: Arc<TestBroker>) {
    let (one, two, new, x) =
        (broker.name("one"), broker.name("two"), broker.name("new"), broker.name("x"));
    let (declared, exchange) = ([one.clone(), two.clone()], x.clone());
    let first = broker.app(&Probe::new(), move |routes| {
        let exchange = Exchange::topic(&exchange).durable(false).auto_delete();
        let [one, two] = &declared;
        let one = Queue::new(one).bind(exchange.name(), "key");
        routes.exchange(exchange).queue(one).queue(Queue::new(two).durable(false))
    });
    first.await.expect("starts").close().await.expect("a clean stop");

    let (declared, exchange) = ([one.clone(), new.clone(), two.clone()], x.clone());
    let second = broker.app(&Probe::new(), move |routes| {
        let exchange = Exchange::fanout(&exchange).durable(false).auto_delete();
        let [one, new, two] = &declared;
        let one = Queue::new(one).max_length(5);
        routes.exchange(exchange).queue(one).queue(Queue::new(new)).queue(Queue::new(two))
    });
    let report = start_error(second).await;
    for part in [
        "type is topic there and is fanout here",
        "x-max-length is not set there and is 5 here",
        "durable is false there and is true here",
        &x,
        &one,
        &two,
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(!report.contains(&new), "nothing is wrong with it: {report}");
    assert_eq!(broker.client.queue_depth(&new).await, 0, "it was declared all the same");
    for queue in [one, two, new] {
        broker.client.delete(&queue).await;
    }
}

async fn passive_names_everything_that_is_missing(broker: Arc<TestBroker>) {
    let (queue, there, x) = (broker.name("q"), broker.name("there"), broker.name("x"));
    declare(&broker, vec![Queue::new(&there)]).await;
    let (consumed, declared, exchange) = (queue.clone(), there.clone(), x.clone());
    let app = broker.app(&Probe::new(), move |routes| {
        routes
            .exchange(Exchange::topic(&exchange))
            .queue(Queue::new(&declared))
            .consume(&consumed, report)
    });
    let report = start_error(app.config("amqp.topology", "passive")).await;
    let exchange = format!("has no topic exchange \"{x}\"");
    assert!(report.contains(&exchange) && report.contains("topology = \"declare\""), "{report}");
    for suffix in ["", ".dead", ".retry.100ms", ".retry.200ms"] {
        let part = format!("has no queue \"{queue}{suffix}\"");
        assert!(report.contains(&part), "{part}: {report}");
    }
    assert!(!report.contains(&there), "{report}");
    let still = missing(&broker, &[&queue]).await;
    assert!(still.contains(&queue), "it was not made: {still}");
    broker.client.delete(&there).await;
}

async fn of_more_than_is_asked_for_at_once_only_the_missing_are_named(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let there: Vec<_> = (0..70).map(|number| format!("{queue}.{number:02}")).collect();
    declare(&broker, there.iter().map(Queue::new).collect()).await;
    let absent = [0, 1, 35, 69].map(|number| format!("{queue}.{number:02}.absent"));
    let all: Vec<_> = there.iter().chain(&absent).map(String::as_str).collect();
    let report = missing(&broker, &all).await;
    for queue in &absent {
        assert!(report.contains(&format!("has no queue \"{queue}\"")), "{queue}: {report}");
    }
    assert_eq!(report.matches("has no queue").count(), absent.len(), "{report}");
    for queue in there {
        broker.client.delete(&queue).await;
    }
}

async fn what_belongs_to_a_refused_queue_is_not_asked_for(broker: Arc<TestBroker>) {
    let (queue, nowhere, last) = (broker.name("q"), broker.name("x"), broker.name("z"));
    declare(&broker, vec![Queue::new(&queue)]).await;
    let bound = Queue::new(&queue).max_length(5).bind(&nowhere, "key");
    let report = start_error(declaring(&broker, vec![bound, Queue::new(&last)])).await;
    assert!(report.contains("x-max-length is not set there and is 5 here"), "{report}");
    assert!(!report.contains("binding"), "{report}");
    assert_eq!(broker.client.queue_depth(&last).await, 0, "what comes behind it is declared");
    for queue in [queue, last] {
        broker.client.delete(&queue).await;
    }
}

async fn passive_starts_where_everything_is_there(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let routes = move |routes: polyport_amqp::AmqpRoutes| routes.consume(&consumed, report);
    let maker = broker.app(&probe, routes.clone()).await.expect("starts");
    maker.close().await.expect("a clean stop");
    let app = broker.app(&probe, routes).config("amqp.topology", "passive");
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("hi")).await;
    assert_eq!(probe.next().await.text, "hi");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn none_leaves_the_broker_alone(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let app = declaring(&broker, vec![Queue::new(&queue)]).config("amqp.topology", "none");
    app.await.expect("starts").close().await.expect("a clean stop");
    let report = missing(&broker, &[&queue]).await;
    assert!(report.contains(&format!("has no queue \"{queue}\"")), "{report}");
}

async fn a_queue_of_the_configuration_is_declared_and_consumed(broker: Arc<TestBroker>) {
    let (probe, queue, x) = (Probe::new(), broker.name("q"), broker.name("x"));
    let exchanges = json!({ (&*x): { "kind": "headers", "durable": false, "auto_delete": true } });
    let arguments = json!({ "x-match": "all", "tenant": "acme" });
    let bindings = json!([{ "exchange": x, "arguments": arguments }]);
    let queues =
        json!({ (&*queue): { "type": "quorum", "message_ttl": "1m", "bindings": bindings } });
    let consumed = queue.clone();
    let app = broker
        .app(&probe, move |routes| routes.consume(&consumed, report))
        .config("amqp.exchanges", exchanges)
        .config("amqp.queues", queues);
    let app = app.await.expect("starts");
    let message = Message::json(&x, "", &text("hi")).expect("JSON").header("tenant", "acme");
    broker.client.send(message).await;
    assert_eq!(probe.next().await.delivery.exchange(), x);
    app.close().await.expect("a clean stop");
    let told = start_error(declaring(&broker, vec![Queue::new(&queue)])).await;
    assert!(told.contains("quorum") || told.contains("x-message-ttl"), "it was typed: {told}");
    broker.delete(&queue).await;
}

async fn an_exchange_routes_to_another_one(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let (source, target) = (broker.name("source"), broker.name("target"));
    let (consumed, from, to) = (queue.clone(), source.clone(), target.clone());
    let app = broker.app(&probe, move |routes| {
        routes
            .exchange(Exchange::topic(&to).durable(false).auto_delete().bind(&from, "im.#"))
            .exchange(Exchange::topic(&from).durable(false).auto_delete())
            .queue(Queue::new(&consumed).bind(&to, "im.message"))
            .consume(&consumed, report)
    });
    let app = app.await.expect("starts");
    broker.client.publish(&source, "im.message", &text("hi")).await;
    let delivery = probe.next().await.delivery;
    assert_eq!((delivery.exchange(), delivery.routing_key()), (&*source, "im.message"));
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn what_is_routed_nowhere_goes_to_the_alternate_exchange(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let (exchange, rest) = (broker.name("x"), broker.name("rest"));
    let (consumed, x, alternate) = (queue.clone(), exchange.clone(), rest.clone());
    let app = broker.app(&probe, move |routes| {
        routes
            .exchange(Exchange::direct(&x).durable(false).auto_delete().alternate(&alternate))
            .exchange(Exchange::fanout(&alternate).durable(false).auto_delete())
            .queue(Queue::new(&consumed).bind(&alternate, "").bind(&x, "known"))
            .consume(&consumed, report)
    });
    let app = app.await.expect("starts");
    broker.client.publish(&exchange, "unknown", &text("hi")).await;
    assert_eq!(probe.next().await.delivery.routing_key(), "unknown");
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn fail_twice(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Err(Fault::unavailable("DOWN", "the database is away"))
}

async fn a_message_of_a_quorum_queue_is_retried_and_parked_in_quorum_queues(
    broker: Arc<TestBroker>,
) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.queue(Queue::quorum(&consumed)).consume(&consumed, fail_twice)
    });
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("hi")).await;
    for attempt in 1..=3 {
        assert_eq!(probe.next().await.delivery.attempt(), attempt);
    }
    let parked = broker.only_message(&format!("{queue}.dead")).await;
    assert_eq!(parked.header("x-polyport-attempt").as_deref(), Some("3"));
    app.close().await.expect("a clean stop");
    let beside = ["dead", "retry.100ms", "retry.200ms"].map(|step| format!("{queue}.{step}"));
    let classic = beside.iter().map(Queue::new).collect();
    let told = start_error(declaring(&broker, classic)).await;
    for name in &beside {
        assert!(told.contains(name), "{name} is no classic queue: {told}");
    }
    broker.delete(&queue).await;
}

async fn an_exclusive_queue_is_consumed_and_goes_with_its_process(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| {
        routes.queue(Queue::new(&consumed).exclusive()).consume(&consumed, report)
    });
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("hi")).await;
    assert_eq!(probe.next().await.text, "hi");
    app.close().await.expect("a clean stop");
    let told = missing(&broker, &[&queue]).await;
    assert!(told.contains(&format!("has no queue \"{queue}\"")), "{told}");
    broker.delete(&queue).await;
}

async fn an_exclusive_queue_has_one_owner(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let routes = move |routes: polyport_amqp::AmqpRoutes| {
        routes.queue(Queue::new(&consumed).exclusive()).consume(&consumed, report)
    };
    let first = broker.app(&probe, routes.clone()).await.expect("starts");
    let told = start_error(broker.app(&probe, routes)).await;
    assert!(told.contains(&queue) && told.contains("belongs to another connection"), "{told}");
    first.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

/// Settings that no broker is needed for.
fn offline(exchanges: Value, queues: Value) -> TestBootstrap {
    polyport_bootstrap::testing::create_bootstrap(crate::support::bootstrap(
        &Probe::new(),
        |routes| routes.queue(Queue::new("im.messages").bind("elsewhere", "key")),
    ))
    .config("amqp.exchanges", exchanges)
    .config("amqp.queues", queues)
}

#[tokio::test]
async fn a_key_that_no_queue_has_and_a_kind_that_no_exchange_has_are_named() {
    let exchanges = json!({ "im": { "kind": "fan" } });
    let queues = json!({ "im.messages": { "max_lenght": 5 } });
    let report = start_error(offline(exchanges, queues)).await;
    for part in ["max_lenght", "max_length", "kind", "fanout"] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[tokio::test]
async fn what_code_and_configuration_say_of_one_queue_has_to_agree() {
    let queues = json!({ "im.messages": { "max_length": 5 } });
    let report = start_error(offline(json!({}), queues)).await;
    for part in ["module test", "amqp.queues.\"im.messages\"", "x-max-length=5"] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[tokio::test]
async fn an_exchange_that_nobody_declares_is_no_error_before_the_broker_says_so() {
    offline(json!({}), json!({})).check().await.expect("it may be on the broker");
}

/// Only RabbitMQ keeps dead letters until somebody has them, and only it tells how many it keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_quorum_queue_is_kept_while_that_is_gone() {
    let Some(instance) = Instance::of_the_tests() else {
        return; // A broker that nobody here can ask.
    };
    with_rabbitmq(|broker| async move {
        let queue = broker.name("q");
        let consumed = queue.clone();
        let app = broker.app(&Probe::new(), move |routes| {
            routes.queue(Queue::quorum(&consumed)).consume(&consumed, report)
        });
        app.await.expect("starts").close().await.expect("a clean stop");
        broker.client.delete(&queue).await;
        let waiting = format!("{queue}.retry.100ms");
        broker.client.publish("", &waiting, &text("kept")).await;
        // Its time is over when nothing is ready any more; it is still there, out of reach.
        let kept = async { while instance.messages(&waiting).await != (1, 0) {} };
        tokio::time::timeout(LIMIT, kept).await.expect("the broker has let go of it");
        broker.delete(&queue).await;
    })
    .await;
}

/// The RabbitMQ of the tests, where `scripts/rabbitmq` has started it.
struct Instance(String);

impl Instance {
    const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/rabbitmq");

    fn of_the_tests() -> Option<Self> {
        std::env::var_os("POLYPORT_TEST_AMQP_URL")?;
        let name = std::env::var("POLYPORT_TEST_RABBITMQ");
        let name = name.unwrap_or_else(|_| "default".to_owned());
        let mut status = std::process::Command::new(Self::SCRIPT);
        let status = status.args(["status", "--name", &name]).output().expect("the script runs");
        status.status.success().then_some(Self(name))
    }

    /// How many messages a queue has, and how many of them are ready.
    async fn messages(&self, queue: &str) -> (u32, u32) {
        let ask = ["ctl", "--name", &self.0, "--", "-q", "list_queues"];
        let mut command = tokio::process::Command::new(Self::SCRIPT);
        let output = command.args(ask).args(["name", "messages", "messages_ready"]).output();
        let listed = String::from_utf8(output.await.expect("the script runs").stdout);
        let listed = listed.expect("is text");
        let line = listed.lines().find(|line| line.starts_with(queue));
        let numbers = line.into_iter().flat_map(str::split_whitespace).skip(1);
        let numbers: Vec<u32> = numbers.map(|number| number.parse().expect("a number")).collect();
        match *numbers {
            [messages, ready] => (messages, ready),
            _ => (0, 0),
        }
    }
}
