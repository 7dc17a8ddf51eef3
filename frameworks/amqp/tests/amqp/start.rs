use std::sync::Arc;

use polyport_amqp::{AmqpFramework, AmqpModule, Delivery, Exchange, Queue};
use polyport_bootstrap::{
    Bootstrap, Environment, Fault, Module, ModuleBuilder, Result,
    operation::{OperationInfo, Protocol},
    testing::create_bootstrap,
};

use tokio::io::AsyncWriteExt;

use crate::{
    free_port::FreePort,
    support::{Probe, TestBroker, bootstrap, start_error},
};

on_both_brokers! {
    a_queue_that_the_broker_knows_otherwise_is_named,
    a_binding_to_a_missing_exchange_is_named,
}

async fn nothing() -> Result<(), Fault> {
    Ok(())
}

async fn a_queue_that_the_broker_knows_otherwise_is_named(broker: Arc<TestBroker>) {
    let queue = broker.name("q");
    let declared = queue.clone();
    let first = broker.app(&Probe::new(), move |routes| routes.queue(Queue::new(&declared)));
    let first = first.await.expect("starts");
    let declared = queue.clone();
    let second = broker.app(&Probe::new(), move |routes| {
        routes.queue(Queue::new(&declared).argument("x-max-length", 5))
    });
    let report = start_error(second).await;
    assert!(report.contains(&queue) && report.contains("x-max-length"), "{report}");
    first.close().await.expect("a clean stop");
    broker.client.delete(&queue).await;
}

async fn a_binding_to_a_missing_exchange_is_named(broker: Arc<TestBroker>) {
    let (queue, exchange) = (broker.name("q"), broker.name("x"));
    let (declared, bound) = (queue.clone(), exchange.clone());
    let app = broker
        .app(&Probe::new(), move |routes| routes.queue(Queue::new(&declared).bind(&bound, "key")));
    let report = start_error(app).await;
    assert!(report.contains(&exchange) && report.contains("binding"), "{report}");
    broker.client.delete(&queue).await;
}

fn to(url: &str) -> polyport_bootstrap::testing::TestBootstrap {
    let routes = |routes: polyport_amqp::AmqpRoutes| routes.consume("q", nothing);
    create_bootstrap(bootstrap(&Probe::new(), routes)).config("amqp.url", url)
}

#[tokio::test]
async fn a_broker_that_is_down_is_named_without_its_password() {
    let nobody = FreePort::reserve();
    let address = nobody.address();
    let report = start_error(to(&format!("amqp://tom:hunter2@{address}/%2f"))).await;
    let expected = format!("the AMQP broker at {address} cannot be reached");
    assert!(report.contains(&expected) && report.contains("amqp.url"), "{report}");
    assert!(!report.contains("hunter2"), "{report}");
    assert_eq!(report.matches("Connection refused").count(), 1, "{report}");
}

#[tokio::test]
async fn a_peer_that_speaks_something_else_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let answer = async {
        let (mut client, _) = listener.accept().await.expect("a client");
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("sent");
        std::future::pending().await
    };
    let report = tokio::select! {
        report = start_error(to(&format!("amqp://127.0.0.1:{port}"))) => report,
        () = answer => unreachable!("it waits"),
    };
    assert!(report.contains("what it sends is not AMQP 0-9-1"), "{report}");
}

#[tokio::test]
async fn a_peer_that_is_silent_does_not_hang_the_start() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = silent.local_addr().expect("an address").port();
    let app = to(&format!("amqp://127.0.0.1:{port}")).config("amqp.connect_timeout", "200ms");
    let report = start_error(app).await;
    assert!(report.contains("no answer within 200ms"), "{report}");
}

#[tokio::test]
async fn wrong_credentials_and_a_missing_virtual_host_are_told_apart() {
    let Ok(url) = std::env::var("POLYPORT_TEST_AMQP_URL") else {
        return; // The in-memory broker lets everybody in.
    };
    let (_, rest) = url.rsplit_once('@').expect("credentials");
    let (address, _) = rest.split_once('/').expect("a virtual host");
    let report = start_error(to(&format!("amqp://guest:hunter2@{address}/%2f"))).await;
    assert!(report.contains("refuses user \"guest\" or its password"), "{report}");
    assert_eq!(report.matches("ACCESS_REFUSED").count(), 1, "{report}");
    assert!(report.contains("amqp.url") && !report.contains("hunter2"), "{report}");
    let report = start_error(to(&format!("amqp://guest:guest@{address}/nowhere"))).await;
    assert!(report.contains("no virtual host \"nowhere\""), "{report}");
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn tls_that_is_not_built_in_is_refused() {
    let report = start_error(to("amqps://tom:hunter2@localhost")).await;
    assert!(report.contains("amqp.url asks for TLS"), "{report}");
    assert!(!report.contains("hunter2"), "{report}");
}

#[tokio::test]
async fn production_without_a_url_is_an_error() {
    let app = create_bootstrap(bootstrap(&Probe::new(), |routes| routes));
    let report = start_error(app.environment(Environment::production())).await;
    assert!(report.contains("amqp.url is not set"), "{report}");
    assert!(report.contains("POLYPORT__AMQP__URL"), "{report}");
}

struct Named(&'static str, fn(polyport_amqp::AmqpRoutes) -> polyport_amqp::AmqpRoutes);

impl Module for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.amqp(self.1);
        Ok(())
    }
}

#[tokio::test]
async fn what_does_not_fit_together_is_one_report() {
    let chat = Named("chat", |routes| {
        routes.exchange(Exchange::topic("im")).consume("users.get", nothing)
    });
    let audit = Named("audit", |routes| {
        routes.exchange(Exchange::fanout("im")).consume("users.get", nothing)
    });
    let bootstrap = Bootstrap::new().load(AmqpFramework::new()).module(chat).module(audit);
    let report = start_error(create_bootstrap(bootstrap)).await;
    for part in [
        "topic exchange \"im\"",
        "\"users.get\" is consumed twice",
        "consume_types",
        "chat",
        "audit",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn an_operation_that_takes_the_delivery_is_refused_elsewhere() {
    async fn takes(delivery: Delivery) -> Result<(), Fault> {
        drop(delivery);
        Ok(())
    }
    fn info<M>(operation: impl polyport_bootstrap::operation::Operation<M>) -> OperationInfo {
        operation.info()
    }
    let refusal = info(takes).refusal_on(Protocol::new("http")).expect("refused");
    assert!(refusal.contains("Delivery") && refusal.contains("amqp"), "{refusal}");
    assert!(info(takes).refusal_on(polyport_amqp::PROTOCOL).is_none());
}
