//! Server streams of operations.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

mod support;

use polyport_bootstrap::testing::TestApp;
use polyport_grpc::{fault_from_status, testing::GrpcTest};
use polyport_proto::im::v1::{Message, chat_service_client::ChatServiceClient};
use support::{all, call, framed, room, sample, soon, start};
use tonic::{Code, Request, Status, Streaming};

async fn subscribe(app: &TestApp, name: &str) -> Streaming<Message> {
    let mut client = app.grpc(ChatServiceClient::new);
    soon(client.subscribe(room(name))).await.expect("it begins").into_inner()
}

/// All texts, and how it ended.
async fn to_the_end(mut stream: Streaming<Message>) -> (Vec<String>, Result<(), Status>) {
    let mut texts = Vec::new();
    loop {
        match soon(stream.message()).await {
            Ok(Some(message)) => texts.push(message.text),
            Ok(None) => return (texts, Ok(())),
            Err(status) => return (texts, Err(status)),
        }
    }
}

#[tokio::test]
async fn the_items_of_a_stream_arrive_in_order() {
    let app = start().await;
    let (texts, end) = to_the_end(subscribe(&app, "lobby").await).await;
    assert_eq!(texts, ["one", "two"]);
    end.expect("an ordinary end");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_stream_need_not_be_boxed_and_its_operation_takes_no_input() {
    let app = start().await;
    let answer = call(&app, "test.v1.Test/Numbers", &[], framed(&())).await;
    assert_eq!(answer.grpc_status(), Some("0"));
    let numbers =
        ["1", "2", "3"].map(|text| Message { text: text.to_owned(), ..Message::default() });
    assert_eq!(answer.body, numbers.map(|message| framed(&message)).concat());
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_fault_before_the_stream_is_the_answer() {
    let app = start().await;
    let mut client = app.grpc(ChatServiceClient::new);
    let status = soon(client.subscribe(room("closed"))).await.expect_err("refused");
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(fault_from_status(&status).reason(), "CLOSED");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_fault_in_the_middle_ends_the_stream_after_its_items() {
    let app = start().await;
    let (texts, end) = to_the_end(subscribe(&app, "fault").await).await;
    let status = end.expect_err("a fault");
    assert_eq!(texts, ["one", "two"]);
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "it left"));
    assert_eq!(fault_from_status(&status).reason(), "GONE");
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_panic_in_a_stream_is_internal_after_its_items() {
    let app = start().await;
    for name in ["panic", "conversion"] {
        let (texts, end) = to_the_end(subscribe(&app, name).await).await;
        let status = end.expect_err("a fault");
        assert_eq!(texts, ["one", "two"]);
        assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
    }
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn the_peers_deadline_ends_a_stream_and_the_settings_do_not() {
    let (bootstrap, _, mut begins) = sample(all);
    let app = soon(bootstrap.config("grpc.timeout", "1ms")).await.expect("it starts");
    let headers = [("grpc-timeout", "100m")];
    let answer = call(&app, "im.v1.ChatService/Subscribe", &headers, framed(&room("open"))).await;
    assert!(!answer.body.is_empty(), "the items came");
    assert_eq!(answer.grpc_status(), Some("4"));
    assert_eq!(soon(begins.recv()).await, Some("dropped"));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_client_that_leaves_drops_the_stream() {
    let (bootstrap, _, mut begins) = sample(all);
    let app = soon(bootstrap).await.expect("it starts");
    let mut stream = subscribe(&app, "open").await;
    assert_eq!(soon(stream.message()).await.expect("lives").expect("an item").text, "one");
    drop(stream);
    assert_eq!(soon(begins.recv()).await, Some("dropped"));
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn metadata_of_a_stream_carries_the_request_id() {
    let app = start().await;
    let mut client = app.grpc(ChatServiceClient::new);
    let mut request = Request::new(room("lobby"));
    request.metadata_mut().insert("x-request-id", "abc-2".parse().expect("ASCII"));
    let answer = soon(client.subscribe(request)).await.expect("it begins");
    assert_eq!(answer.metadata().get("x-request-id").expect("an id"), "abc-2");
    app.close().await.expect("stops cleanly");
}
