//! Bodies that come bit by bit, on protocols that have read the whole of them.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use polyport_bootstrap::{
    Container, Context, Fault,
    container::ContainerBuilder,
    operation::{BodySource, BodyStream, Call, Endpoint, Protocol, RawInput},
};

async fn measure(body: BodyStream) -> Result<usize, Fault> {
    Ok(body.collect().await?.len())
}

fn call(endpoint: &Endpoint, container: Container) -> Call {
    Call::new(Protocol::new("test"), Arc::clone(endpoint.info()), container)
}

#[tokio::test]
async fn a_message_that_is_there_already_is_one_piece() {
    let container = ContainerBuilder::new().build().expect("is complete");
    let endpoint = Endpoint::json(measure);
    assert!(endpoint.info().streams_body());
    for (body, length) in [("", 0), ("abc", 3)] {
        let input = RawInput::json(Bytes::from(body));
        let context = Context::new(Call { input, ..call(&endpoint, container.clone()) });
        let reply = endpoint.call(&context).await.expect("is measured");
        assert_eq!(reply.value::<usize>(), Some(&length));
    }
}

#[tokio::test]
async fn a_fault_of_the_body_ends_the_call() {
    let container = ContainerBuilder::new().build().expect("is complete");
    let endpoint = Endpoint::json(measure);
    let mut call = call(&endpoint, container);
    let pieces = [Ok(Bytes::from("abc")), Err(Fault::cancelled("GONE", "the client has left"))];
    call.extensions.insert(BodySource::new(stream::iter(pieces)));
    let fault = endpoint.call(&Context::new(call)).await.expect_err("was cut short");
    assert_eq!(fault.reason(), "GONE");
}
