//! The stop: what was read is answered, and every client is told.

use std::time::{Duration, Instant};

use polyport_websocket::testing::{Received, WebSocketTest};
use serde_json::json;

use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    Chat, Raw, address, chat, close_code, eventually, narrow, receive_json, send, start, websocket,
    within,
};

#[tokio::test]
async fn what_is_handled_is_answered_and_then_the_client_is_told() {
    let (app, gate) = start().await;
    let mut busy = app.websocket("/ws").await;
    let mut idle = app.websocket("/ws").await;
    busy.send_text(r#"{"event":"slow","id":1}"#).await;
    busy.send_text(r#"{"event":"hello","data":{"name":"tom"},"id":2}"#).await;
    gate.reached().await;
    // Read, since it is answered in the same round.
    idle.call("nothing", &()).await;
    app.stop("test");
    let closing = within(async {
        eventually("no client is taken", || std::net::TcpStream::connect(address(&app)).is_err())
            .await;
        gate.open();
        for id in [1, 2] {
            let Received::Frame(frame) = busy.next().await else { panic!("{id} is lost") };
            assert_eq!(
                (&frame["id"], &frame["data"]["returnCode"]),
                (&json!(id), &json!("SUC00000"))
            );
        }
        assert_eq!(busy.expect_close().await.0, 1001);
        assert_eq!(idle.expect_close().await.0, 1001);
    });
    closing.await;
    within(app.wait()).await.unwrap();
}

#[tokio::test]
async fn events_that_come_during_the_stop_are_refused() {
    let (app, gate) = start().await;
    let mut busy = app.websocket("/ws").await;
    let mut late = app.websocket("/ws").await;
    late.call("nothing", &()).await;
    busy.send_text(r#"{"event":"slow","id":1}"#).await;
    gate.reached().await;
    app.stop("test");
    eventually("no client is taken", || std::net::TcpStream::connect(address(&app)).is_err()).await;
    let frame = late.call("hello", &json!({ "name": "tom" })).await;
    assert_eq!(
        (&frame["event"], &frame["data"]["returnCode"]),
        (&json!("exception"), &json!("ERR50300"))
    );
    gate.open();
    assert_eq!(busy.expect_frame("slow").await["id"], 1);
    assert_eq!(late.expect_close().await.0, 1001);
    within(app.wait()).await.unwrap();
}

#[tokio::test]
async fn clients_that_do_not_answer_hold_the_stop_up_for_a_moment_only() {
    let (app, _) = start().await;
    let mut deaf = Raw::connect(address(&app)).await;
    deaf.upgrade().await;
    let begun = Instant::now();
    within(app.close()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(deaf.rest().await[..4], [0x88, 24, 3, 0xe9]);
}

#[tokio::test]
async fn an_event_that_never_ends_is_cut_and_reported() {
    let module = Chat::new();
    let gate = std::sync::Arc::clone(&module.0);
    let app = chat(module).config("shutdown.drain", "50ms").await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.emit("slow", &()).await;
    gate.reached().await;
    let stopped = tokio::spawn(app.close());
    assert_eq!(client.expect_close().await.0, 1001);
    let error = within(stopped).await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("1 call was cut, not finished after 50ms: slow (slow)"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_drain_lasts_until_the_answers_are_written() {
    let (app, gate) = start().await;
    let mut client = narrow(&app).await;
    send(&mut client, Message::text(r#"{"event":"slow"}"#)).await;
    gate.reached().await;
    let text = "x".repeat(500_000);
    for _ in 0..12 {
        websocket(&app).everybody().emit("hello", &text).unwrap();
    }
    gate.open();
    app.stop("test");
    let early = tokio::time::timeout(Duration::from_millis(1500), app.wait()).await;
    assert!(early.is_err(), "it stops before all is written: {early:?}");
    for event in [["hello"; 12].as_slice(), &["slow"]].concat() {
        assert_eq!(receive_json(&mut client).await["event"], event);
    }
    assert_eq!(close_code(&mut client).await, Some(1001));
    within(app.wait()).await.unwrap();
}
