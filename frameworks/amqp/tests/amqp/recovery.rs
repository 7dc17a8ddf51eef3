use std::sync::Arc;

use polyport_amqp::{
    AmqpApp, AmqpFramework, AmqpModule, Delivery, Exchange, Queue, testing::AmqpTest,
};
use polyport_amqp_embedded::EmbeddedBroker;
use polyport_bootstrap::Application as _;
use polyport_bootstrap::{
    Fault, Health, HealthStatus, Module, ModuleBuilder,
    operation::{Inject, Input},
    testing::create_bootstrap,
};

use crate::support::{Probe, TestBroker, Text, bootstrap, text, until_connected};

on_both_brokers! {
    after_a_cut_consumers_and_publishers_come_back_and_health_tells,
    a_broker_that_is_not_required_degrades_the_process,
    a_message_whose_acknowledgement_was_cut_off_comes_again,
    a_deleted_queue_is_declared_and_consumed_again,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

async fn after_a_cut_consumers_and_publishers_come_back_and_health_tells(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let health = app.container().get::<Health>().await.expect("provided");
    for round in 0..3 {
        assert!(health.readiness().ready, "round {round}");
        broker.proxy.cut_off();
        until_connected(&app, false).await;
        let readiness = health.readiness();
        assert!(!readiness.ready);
        let reason = readiness.components[0].reason.clone();
        assert!(reason.is_some_and(|reason| !reason.is_empty()));
        broker.proxy.mend();
        until_connected(&app, true).await;
        amqp.publish("", &queue, &text(&round.to_string())).await.expect("confirmed");
        // The message before may come again: its acknowledgement can be cut off.
        while probe.next().await.text != round.to_string() {}
    }
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
}

async fn a_broker_that_is_not_required_degrades_the_process(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, report));
    let app = app.config("amqp.health", "degraded").await.expect("starts");
    let health = app.container().get::<Health>().await.expect("provided");
    assert_eq!(health.readiness().status, HealthStatus::Up);
    broker.proxy.cut_off();
    until_connected(&app, false).await;
    let readiness = health.readiness();
    assert_eq!((readiness.ready, readiness.status), (true, HealthStatus::Degraded));
    assert!(readiness.reason.is_some_and(|reason| reason.starts_with("amqp is down: ")));
    broker.proxy.mend();
    until_connected(&app, true).await;
    assert_eq!(health.readiness().status, HealthStatus::Up);
    app.close().await.expect("a clean stop");
    broker.delete(&queue).await;
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

async fn a_message_whose_acknowledgement_was_cut_off_comes_again(broker: Arc<TestBroker>) {
    let (probe, queue) = (Probe::new(), broker.name("q"));
    let consumed = queue.clone();
    let app = broker.app(&probe, move |routes| routes.consume(&consumed, wait));
    let app = app.await.expect("starts");
    broker.client.publish("", &queue, &text("hi")).await;
    assert!(!probe.next().await.delivery.redelivered());
    broker.proxy.cut();
    assert!(probe.next().await.delivery.redelivered(), "the broker gives it out again");
    probe.open(2);
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    broker.delete(&queue).await;
}

async fn a_deleted_queue_is_declared_and_consumed_again(broker: Arc<TestBroker>) {
    let (probe, queue, exchange) = (Probe::new(), broker.name("q"), broker.name("x"));
    let (declared, bound, other) = (queue.clone(), exchange.clone(), broker.name("other"));
    let routes_other = other.clone();
    let app = broker.app(&probe, move |routes| {
        routes
            .exchange(Exchange::fanout(&bound).durable(false))
            .queue(Queue::new(&declared).bind(&bound, ""))
            .consume(&declared, report)
            .consume(&routes_other, wait)
    });
    let app = app.await.expect("starts");
    broker.client.publish("", &other, &text("under way")).await;
    probe.next().await;
    broker.client.delete(&queue).await;
    let publish = async {
        while probe.rest().await.is_empty() {
            let amqp = app.app::<AmqpApp>().expect("loaded");
            amqp.publish(&exchange, "", &text("again")).await.expect("confirmed");
        }
    };
    tokio::time::timeout(crate::support::LIMIT, publish).await.expect("consumed again");
    probe.open(1);
    app.close().await.expect("a clean stop");
    assert_eq!(broker.client.queue_depth(&other).await, 0, "the other consumer was not disturbed");
    broker.delete(&queue).await;
    broker.delete(&other).await;
}

/// What a broker that lost everything knows is declared anew. The in-memory broker forgets all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_was_restarted_empty_is_set_up_again() {
    let broker = EmbeddedBroker::start().await.expect("a free port");
    let (address, url) = (broker.local_addr().expect("a port"), broker.url());
    let probe = Probe::new();
    let routes = |routes: polyport_amqp::AmqpRoutes| {
        routes
            .exchange(Exchange::topic("im"))
            .queue(Queue::new("im.messages").bind("im", "message.*"))
            .consume("im.messages", report)
    };
    let app = create_bootstrap(bootstrap(&probe, routes)).config("amqp.url", url);
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    amqp.publish("im", "message.lobby", &text("before")).await.expect("confirmed");
    assert_eq!(probe.next().await.text, "before");
    broker.stop().await;
    until_connected(&app, false).await;
    let broker = EmbeddedBroker::builder().address(address).start().await.expect("free again");
    until_connected(&app, true).await;
    amqp.publish("im", "message.lobby", &text("after")).await.expect("confirmed");
    assert_eq!(probe.next().await.text, "after");
    app.close().await.expect("a clean stop");
    broker.stop().await;
}

/// The broker that an application starts by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_url_the_in_memory_broker_serves() {
    let probe = Probe::new();
    let app = create_bootstrap(bootstrap(&probe, |routes| routes.consume("users.get", report)));
    let app = app.await.expect("starts");
    let amqp = app.app::<AmqpApp>().expect("loaded");
    assert!(
        amqp.embedded() && amqp.url().is_some_and(|url| url.starts_with("amqp://guest@127.0.0.1:"))
    );
    app.amqp().publish("", "users.get", &text("hi")).await;
    assert_eq!(probe.next().await.text, "hi");
    app.close().await.expect("a clean stop");
}

/// Two brokers, each with its own framework.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frameworks_with_different_names_have_brokers_of_their_own() {
    struct Orders;
    impl Module for Orders {
        fn name(&self) -> &'static str {
            "orders"
        }

        fn configure(&self, m: &mut ModuleBuilder<'_>) -> polyport_bootstrap::Result<()> {
            m.amqp_on("orders", |routes| routes.consume("same", report));
            Ok(())
        }
    }
    let probe = Probe::new();
    let bootstrap = bootstrap(&probe, |routes| routes.queue(Queue::new("same")));
    let bootstrap = bootstrap.load(AmqpFramework::named("orders")).module(Orders);
    let app = create_bootstrap(bootstrap).config("amqp_orders.prefetch", 1);
    let app = app.await.expect("starts");
    app.amqp().publish("", "same", &text("not consumed")).await;
    app.amqp_on("orders").publish("", "same", &text("consumed")).await;
    assert_eq!(probe.next().await.text, "consumed");
    assert_eq!(app.amqp().queue_depth("same").await, 1);
    app.close().await.expect("a clean stop");
}
