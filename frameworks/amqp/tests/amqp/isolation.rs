//! What one queue or exchange lacks disturbs no consumer of another.

use std::sync::Arc;

use crate::{
    proxy::Proxy,
    support::{Probe, TestBroker, Text, text, until_connected, until_told},
};
use polyport_amqp::{AmqpApp, AmqpRoutes, Consumer, Delivery, Exchange, Queue};
use polyport_bootstrap::{
    Fault,
    operation::{Inject, Input},
};

on_both_brokers! {
    a_queue_that_nobody_declares_any_more_stops_no_other_consumer,
    a_queue_that_was_made_otherwise_stops_no_other_consumer_and_no_publisher,
    an_exchange_that_is_gone_stops_no_other_consumer,
}

async fn report(
    Inject(probe): Inject<Probe>,
    delivery: Delivery,
    Input(input): Input<Text>,
) -> Result<(), Fault> {
    probe.report(input, delivery);
    Ok(())
}

async fn passes(broker: &TestBroker, probe: &Probe, queue: &str, words: &str) {
    broker.client.publish("", queue, &text(words)).await;
    // One before may come again: its acknowledgement can be cut off.
    while probe.next().await.text != words {}
}

async fn a_queue_that_nobody_declares_any_more_stops_no_other_consumer(broker: Arc<TestBroker>) {
    let (probe, a, b) = (Probe::new(), broker.name("a"), broker.name("b"));
    let routes = {
        let (a, b) = (a.clone(), b.clone());
        move |routes: AmqpRoutes| routes.consume(&a, report).consume(&b, report)
    };
    let operator = broker.app(&probe, routes.clone()).await.expect("starts");
    operator.close().await.expect("a clean stop");
    let app = broker.app(&probe, routes.clone()).config("amqp.topology", "none");
    let app = app.await.expect("starts");
    passes(&broker, &probe, &a, "a before").await;
    broker.client.delete(&a).await;
    until_told(&app, "amqp consuming", Some(&a)).await;
    passes(&broker, &probe, &b, "b alone").await;
    assert!(app.app::<AmqpApp>().expect("loaded").state().connected);
    // A connection that is lost finds it missing from the start.
    broker.proxy.cut();
    until_connected(&app, true).await;
    passes(&broker, &probe, &b, "b after a cut").await;
    let declared = a.clone();
    let operator = broker.app(&Probe::new(), move |routes| routes.queue(Queue::new(&declared)));
    operator.await.expect("starts").close().await.expect("a clean stop");
    until_told(&app, "amqp consuming", None).await;
    passes(&broker, &probe, &a, "a again").await;
    app.close().await.expect("a clean stop");
    broker.delete(&a).await;
    broker.delete(&b).await;
}

async fn a_queue_that_was_made_otherwise_stops_no_other_consumer_and_no_publisher(
    broker: Arc<TestBroker>,
) {
    let way = Proxy::to(format!("127.0.0.1:{}", broker.proxy.port)).await;
    let direct = format!(":{}/", broker.proxy.port);
    let url = broker.url().replace(&direct, &format!(":{}/", way.port));
    let (probe, a, b) = (Probe::new(), broker.name("a"), broker.name("b"));
    let (declared, consumed) = (a.clone(), b.clone());
    let app = broker.app(&probe, move |routes| {
        let queue = Queue::new(&declared).max_length(5);
        routes.queue(queue).consume(&declared, report).consume(&consumed, report)
    });
    let app = app.config("amqp.url", url).await.expect("starts");
    way.cut_off();
    until_connected(&app, false).await;
    broker.client.delete(&a).await;
    let declared = a.clone();
    let other =
        broker.app(&Probe::new(), move |routes| routes.queue(Queue::new(&declared).max_length(7)));
    let other = other.await.expect("starts");
    way.mend();
    until_connected(&app, true).await;
    until_told(&app, "amqp topology", Some("x-max-length")).await;
    let amqp = app.app::<AmqpApp>().expect("loaded");
    for queue in [&a, &b] {
        amqp.publish("", queue, &text(queue)).await.expect("confirmed");
        while &probe.next().await.text != queue {}
    }
    // Declared as it should be, it is well again.
    broker.client.delete(&a).await;
    until_told(&app, "amqp topology", None).await;
    passes(&broker, &probe, &b, "b in the end").await;
    for app in [app, other] {
        app.close().await.expect("a clean stop");
    }
    broker.delete(&a).await;
    broker.delete(&b).await;
}

async fn an_exchange_that_is_gone_stops_no_other_consumer(broker: Arc<TestBroker>) {
    let (probe, exchange, queue) = (Probe::new(), broker.name("x"), broker.name("q"));
    let declare = {
        let (exchange, queue) = (exchange.clone(), queue.clone());
        move |routes: AmqpRoutes| {
            let exchange = Exchange::fanout(&exchange).durable(false).auto_delete();
            routes.exchange(exchange).queue(Queue::new(&queue))
        }
    };
    let operator = broker.app(&Probe::new(), declare.clone()).await.expect("starts");
    operator.close().await.expect("a clean stop");
    let (bound, consumed) = (exchange.clone(), queue.clone());
    let app = broker.app(&probe, move |routes| {
        routes.consume(Consumer::each_instance(&bound), report).consume(&consumed, report)
    });
    let app = app.config("amqp.topology", "none").await.expect("starts");
    // The last queue that is bound takes the exchange along.
    broker.proxy.cut_off();
    until_connected(&app, false).await;
    broker.proxy.mend();
    until_connected(&app, true).await;
    until_told(&app, "amqp consuming", Some(&exchange)).await;
    passes(&broker, &probe, &queue, "another").await;
    let operator = broker.app(&Probe::new(), declare).await.expect("starts");
    until_told(&app, "amqp consuming", None).await;
    broker.client.publish(&exchange, "", &text("bound again")).await;
    assert_eq!(probe.next().await.text, "bound again");
    for app in [app, operator] {
        app.close().await.expect("a clean stop");
    }
    broker.delete(&queue).await;
}
