//! The test client: what it is given, and how it fails.

use std::{future::Future, sync::Arc};

use polyport_amqp::{AmqpRoutes, Exchange, Overflow, Queue};
use polyport_bootstrap::testing::TestApp;

use crate::support::{Probe, TestBroker};

on_both_brokers!(
    messages_of_a_queue_are_given_out_once_and_in_order,
    what_no_queue_takes_fails_at_once,
    what_the_broker_refuses_fails,
    a_queue_that_is_missing_is_named,
);

async fn declared(
    broker: &TestBroker,
    routes: impl Fn(AmqpRoutes) -> AmqpRoutes + Send + Sync + 'static,
) -> TestApp {
    broker.app(&Probe::new(), routes).await.expect("starts")
}

/// What a test says that does this.
async fn failure<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> String {
    let failed = tokio::spawn(async move { drop(work.await) }).await.expect_err("it fails");
    let panic = failed.into_panic();
    panic.downcast_ref::<String>().expect("says why").clone()
}

async fn messages_of_a_queue_are_given_out_once_and_in_order(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let own = queue.clone();
    let app = declared(&broker, move |routes| routes.queue(Queue::new(&own))).await;
    for number in 0..10 {
        broker.client.publish("", &queue, &number).await;
    }
    for number in 0..10 {
        let message = broker.client.expect_on(&queue).await;
        assert_eq!((message.json::<u32>(), message.redelivered()), (number, false));
    }
    assert_eq!(broker.client.queue_depth(&queue).await, 0);
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn what_no_queue_takes_fails_at_once(broker: Arc<TestBroker>) {
    let exchange = broker.name("x");
    let own = exchange.clone();
    let app = declared(&broker, move |routes| routes.exchange(Exchange::direct(&own))).await;
    let missing = broker.name("missing");
    let no_queue = format!("publish to queue {missing:?}: there is no such queue (312 NO_ROUTE)");
    let (client, queue) = (broker.client.clone(), missing.clone());
    let said = failure(async move { client.request(&queue, &1).await }).await;
    assert!(said.ends_with(&no_queue), "{said}");
    let (client, queue) = (broker.client.clone(), missing.clone());
    let said = failure(async move { client.publish("", &queue, &1).await }).await;
    assert!(said.ends_with(&no_queue), "{said}");
    assert!(said.starts_with(file!()), "the line of the test: {said}");
    let (client, place) = (broker.client.clone(), exchange.clone());
    let said = failure(async move { client.publish(&place, "tom", &1).await }).await;
    let place = format!("publish to exchange {exchange:?} with routing key \"tom\": ");
    assert!(said.ends_with(&(place + "it has no queue for that (312 NO_ROUTE)")), "{said}");
    app.close().await.expect("a clean stop");
}

async fn what_the_broker_refuses_fails(broker: Arc<TestBroker>) {
    let queue = broker.name("full");
    let own = queue.clone();
    let app = declared(&broker, move |routes| {
        routes.queue(Queue::new(&own).max_length(1).overflow(Overflow::RejectPublish))
    });
    let app = app.await;
    broker.client.publish("", &queue, &1).await;
    let (client, full) = (broker.client.clone(), queue.clone());
    let said = failure(async move { client.publish("", &full, &2).await }).await;
    let refused = format!("publish to queue {queue:?}: the broker refuses it (basic.nack)");
    assert!(said.ends_with(&refused), "{said}");
    app.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn a_queue_that_is_missing_is_named(broker: Arc<TestBroker>) {
    let missing = broker.name("missing");
    let gone = format!("NOT_FOUND - no queue '{missing}'");
    let client = || (broker.client.clone(), missing.clone());
    let (own, queue) = client();
    let looked = failure(async move { own.queue_depth(&queue).await }).await;
    let (own, queue) = client();
    let taken = failure(async move { own.get(&queue).await }).await;
    let (own, queue) = client();
    let expected = failure(async move { own.expect_on(&queue).await }).await;
    for (said, what) in
        [(looked, "look at queue"), (taken, "take from queue"), (expected, "consume from queue")]
    {
        assert!(said.contains(&format!("{what} {missing:?}: {gone}")), "{said}");
    }
}
