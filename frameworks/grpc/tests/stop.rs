//! What becomes of calls and streams when the process stops.

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use polyport_bootstrap::{Application, Bootstrap, Phase, testing::create_bootstrap};
use polyport_grpc::{GrpcApp, GrpcFramework, fault_from_status, testing::GrpcTest};
use polyport_proto::{
    helloworld::greeter_client::GreeterClient, im::v1::chat_service_client::ChatServiceClient,
};
use support::{Gate, Serves, address, all, closed, named, room, sample, soon, start};
use tonic::Code;

#[tokio::test]
async fn a_call_in_flight_is_answered() {
    let (bootstrap, gate, mut begins) = sample(all);
    let app = soon(bootstrap).await.expect("it starts");
    let address = address(&app);
    let mut client = app.grpc(GreeterClient::new);
    let call = tokio::spawn(async move { client.say_hello(named("gate")).await });
    assert_eq!(soon(begins.recv()).await, Some("begun"));
    app.stop("test");
    soon(closed(address)).await;
    assert_eq!(app.phase(), Phase::Stopping);
    gate.open();
    let reply = soon(call).await.expect("no panic").expect("answered");
    assert_eq!(reply.into_inner().message, "through the gate");
    soon(app.close()).await.expect("stops cleanly");
}

#[tokio::test]
async fn an_open_stream_ends_with_unavailable_and_does_not_hold_up_the_stop() {
    let app = start().await;
    let mut client = app.grpc(ChatServiceClient::new);
    let mut stream = soon(client.subscribe(room("open"))).await.expect("begins").into_inner();
    for text in ["one", "two"] {
        assert_eq!(soon(stream.message()).await.expect("lives").expect("an item").text, text);
    }
    let begun = Instant::now();
    let (end, stopped) = soon(async { tokio::join!(stream.message(), app.close()) }).await;
    stopped.expect("stops cleanly");
    assert!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
    let status = end.expect_err("it is over");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(fault_from_status(&status).reason(), "STOPPING");
}

#[tokio::test]
async fn a_stream_that_never_waits_ends_too() {
    let app = start().await;
    let mut client = app.grpc(ChatServiceClient::new);
    let mut stream = soon(client.subscribe(room("flood"))).await.expect("begins").into_inner();
    let read = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended as if all were well"),
                Err(status) => return status,
            }
        }
    };
    let (status, stopped) = soon(async { tokio::join!(read, app.close()) }).await;
    stopped.expect("stops cleanly");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(fault_from_status(&status).reason(), "STOPPING");
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_is_still_answered() {
    let (bootstrap, _, mut begins) = sample(all);
    let app = soon(bootstrap.config("shutdown.drain", "100ms")).await.expect("it starts");
    let mut client = app.grpc(GreeterClient::new);
    let call = tokio::spawn(async move { client.say_hello(named("forever")).await });
    assert_eq!(soon(begins.recv()).await, Some("begun"));
    let error = soon(app.close()).await.expect_err("a call was cut");
    assert!(
        error.to_string().contains("1 call was cut, not finished after 100ms: say_hello ("),
        "{error:?}"
    );
    let status = soon(call).await.expect("no panic").expect_err("not finished");
    assert_eq!(
        (status.code(), fault_from_status(&status).reason()),
        (Code::Unavailable, "STOPPING")
    );
}

#[tokio::test]
async fn nothing_listens_after_the_stop() {
    let app = start().await;
    let address = address(&app);
    let mut client = app.grpc(GreeterClient::new);
    soon(app.close()).await.expect("stops cleanly");
    assert!(support::is_refused(address).await);
    let status = soon(client.say_hello(named("Tom"))).await.expect_err("nobody is there");
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn nothing_is_held_after_the_stop() {
    let (gate, _begins) = Gate::new();
    let held = Arc::downgrade(&gate);
    let bootstrap = Bootstrap::new().load(GrpcFramework::new()).module(Serves(gate, all));
    let app = soon(create_bootstrap(bootstrap)).await.expect("it starts");
    let handle = app.app::<GrpcApp>().expect("it is loaded");
    let mut client = app.grpc(GreeterClient::new);
    soon(client.say_hello(named("Tom"))).await.expect("answered");
    soon(app.close()).await.expect("stops cleanly");
    assert!(held.upgrade().is_none(), "somebody still holds a singleton");
    assert!(handle.container().is_none(), "the handle holds the container");
}
