//! Starting and stopping.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{Fixture, connect, queue, raw::Raw, within};
use polyport_amqp_embedded::{EmbeddedBroker, StartError};
use tokio::net::TcpStream;

#[tokio::test]
async fn only_loopback_addresses_are_taken() {
    for address in ["0.0.0.0:0", "192.0.2.1:5672", "[::]:0"] {
        let address = address.parse().unwrap();
        let refused = EmbeddedBroker::builder().address(address).start().await;
        let error = refused.expect_err("not refused");
        assert!(matches!(error, StartError::NotLoopback(it) if it == address));
        assert!(error.to_string().contains("use 127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let first = EmbeddedBroker::start().await.unwrap();
    let port = first.local_addr().unwrap().port();
    let error = EmbeddedBroker::builder().port(port).start().await.expect_err("bound twice");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    first.stop().await;
    EmbeddedBroker::builder().port(port).start().await.unwrap();
}

#[tokio::test]
async fn stopping_closes_connections_with_320_and_frees_the_port() {
    let broker = EmbeddedBroker::start().await.unwrap();
    let address = broker.local_addr().unwrap();
    let mut raw = Raw::open(&broker, 0).await;
    let closed = tokio::spawn(async move { raw.closed_with().await });
    within(broker.stop()).await;
    assert_eq!(closed.await.unwrap(), 320);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn dropping_stops_too() {
    let broker = EmbeddedBroker::start().await.unwrap();
    let mut raw = Raw::open(&broker, 0).await;
    drop(broker);
    assert_eq!(raw.closed_with().await, 320);
}

#[tokio::test]
async fn what_is_declared_outlives_its_connection_and_not_the_broker() {
    let on = Fixture::new().await;
    queue(&on.channel, "q", []).await;
    within(on.connection.close(200, "".into())).await.unwrap();
    let again = connect(&on.broker).await;
    let channel = again.create_channel().await.unwrap();
    common::publish(&channel, "", "q", "1").await;
    common::confirms(&channel).await;
    assert_eq!(on.broker.queue("q").unwrap().ready, 1);
    let another = EmbeddedBroker::start().await.unwrap();
    assert_eq!(another.queue("q"), None);
}
