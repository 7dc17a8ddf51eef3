//! What HTTP and WebSocket suites call.

#![allow(clippy::expect_used, reason = "helpers of tests want to fail with its words")]

use std::{future::IntoFuture, time::Duration};

use futures_util::{SinkExt, StreamExt};
use polyport::{
    Application,
    http::HttpApp,
    testing::{HttpTest, TestApp, create_bootstrap},
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future.into_future()).await.expect("it hangs")
}

async fn start() -> TestApp {
    soon(create_bootstrap(polyport_conformance::bootstrap())).await.expect("it starts")
}

#[tokio::test]
async fn http_says_hello_and_sends_back() {
    let app = start().await;
    let answer = soon(app.http().get("/")).await;
    assert_eq!((answer.status().as_u16(), answer.text()), (200, "Hello!\n"));
    soon(app.close()).await.expect("stops cleanly");
}

#[tokio::test]
async fn a_web_socket_sends_back_every_message_in_its_kind() {
    let app = start().await;
    let address = app.app::<HttpApp>().expect("it is loaded").local_addr().expect("it is bound");
    let connecting = connect_async(format!("ws://{address}/echo"));
    let (mut socket, _) = soon(connecting).await.expect("connects");
    let long = "x".repeat(100_000);
    for message in [
        Message::text("plain"),
        Message::text(""),
        Message::text("{\"a\":1}"),
        Message::text("ö☺😈"),
        Message::text(long),
        Message::binary(vec![0, 1, 254, 255]),
        Message::binary(Vec::new()),
    ] {
        soon(socket.send(message.clone())).await.expect("it is sent");
        let answer = soon(socket.next()).await.expect("open").expect("a message");
        assert_eq!(answer, message);
    }
    soon(socket.close(None)).await.expect("it is closed");
    soon(app.close()).await.expect("stops cleanly");
}
