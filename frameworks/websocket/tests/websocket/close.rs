//! How connections end (RFC 6455, section 7).

use bytes::Bytes;
use polyport_websocket::testing::WebSocketTest;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use crate::support::{
    Raw, address, chat, close_code, eventually, masked, plain, receive, send, start, websocket,
    within,
};

#[tokio::test]
async fn a_close_frame_is_echoed() {
    let (app, _) = start().await;
    for code in [1000, 1001, 3000, 4999] {
        let mut client = plain(&app).await;
        let frame = CloseFrame { code: code.into(), reason: "done".into() };
        send(&mut client, Message::Close(Some(frame.clone()))).await;
        assert_eq!(receive(&mut client).await, Some(Message::Close(Some(frame))));
        assert_eq!(receive(&mut client).await, None);
    }
    let mut client = plain(&app).await;
    send(&mut client, Message::Close(None)).await;
    assert_eq!(receive(&mut client).await, Some(Message::Close(None)));
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_close_frame_is_answered_while_an_event_is_handled() {
    let (app, gate) = start().await;
    let mut client = app.websocket("/ws").await;
    client.emit("slow", &()).await;
    gate.reached().await;
    assert_eq!(client.close().await, 1000);
    assert_eq!(websocket(&app).connections(), 0);
    gate.open();
    app.close().await.unwrap();
}

#[tokio::test]
async fn the_application_closes_after_what_it_has_sent() {
    let (app, _) = start().await;
    let mut client = app.websocket("/ws").await;
    client.emit("kick", &()).await;
    assert_eq!(client.expect_frame("bye").await["data"], "you were kicked");
    assert_eq!(client.expect_close().await.0, 4001);
    app.close().await.unwrap();
}

#[tokio::test]
async fn every_violation_has_its_code() {
    let (app, _) = start().await;
    let unmasked = vec![0x81, 2, b'{', b'}'];
    for (bytes, code) in [
        (unmasked, 1002),
        (masked(0xc1, b"x"), 1002),
        (masked(0x83, b"x"), 1002),
        (masked(0x09, b""), 1002),
        (masked(0x80, b"x"), 1002),
        (masked(0x88, b"x"), 1002),
        (masked(0x88, &999_u16.to_be_bytes()), 1002),
        (masked(0x81, &[0xff]), 1007),
        (masked(0x88, &[3, 0xe8, 0xff]), 1007),
    ] {
        let mut client = Raw::connect(address(&app)).await;
        client.upgrade().await;
        client.write(&bytes).await;
        let rest = client.rest().await;
        let [high, low] = u16::to_be_bytes(code);
        assert_eq!((rest[0], &rest[2..4]), (0x88, &[high, low][..]), "{bytes:?} got {rest:?}");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_frame_that_is_too_big_is_refused_with_1009_before_its_payload_comes() {
    let app =
        chat(crate::support::Chat::new()).config("websocket.max_frame_size", 1_000).await.unwrap();
    let mut client = Raw::connect(address(&app)).await;
    client.upgrade().await;
    client.write(masked(0x01, &[b'x'; 100])).await;
    // A head alone: 1,001 bytes are to come.
    client.write(vec![0x80, 0x80 | 126, 0x03, 0xe9, 0, 0, 0, 0]).await;
    within(client.0.shutdown()).await.unwrap();
    let rest = client.rest().await;
    assert_eq!(rest[2..4], 1009_u16.to_be_bytes());
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_too_big_is_refused_with_1009() {
    let app = chat(crate::support::Chat::new())
        .config("websocket.max_message_size", 100_000)
        .await
        .unwrap();
    let mut client = plain(&app).await;
    send(&mut client, Message::text("x".repeat(100_000))).await;
    assert!(receive(&mut client).await.unwrap().to_text().unwrap().contains("exception"));
    // All of it is on its way when the server refuses it, and still the code arrives.
    let _ = futures_util::SinkExt::send(&mut client, Message::text("x".repeat(100_001))).await;
    assert_eq!(close_code(&mut client).await, Some(1009));

    let mut client = Raw::connect(address(&app)).await;
    client.upgrade().await;
    client.write(masked(0x01, &[b'x'; 100])).await;
    // What still comes when the server has refused it resets nothing.
    client.write(masked(0x00, &[b'x'; 100]).repeat(10_000)).await;
    within(client.0.shutdown()).await.unwrap();
    let rest = client.rest().await;
    assert_eq!(rest[2..4], 1009_u16.to_be_bytes());
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_ping_is_answered_while_an_event_is_handled() {
    let (app, gate) = start().await;
    let mut client = plain(&app).await;
    send(&mut client, Message::text(r#"{"event":"slow","id":1}"#)).await;
    gate.reached().await;
    for payload in [&b"a"[..], b"b"] {
        let payload = Bytes::from_static(payload);
        send(&mut client, Message::Ping(payload.clone())).await;
        assert_eq!(receive(&mut client).await, Some(Message::Pong(payload)));
    }
    gate.open();
    assert!(receive(&mut client).await.unwrap().to_text().unwrap().contains("done"));
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_client_that_vanishes_is_forgotten() {
    let (app, gate) = start().await;
    let mut client = app.websocket("/ws").await;
    client.call("rooms.join", &json!({ "room": "a" })).await;
    client.emit("slow", &()).await;
    gate.reached().await;
    drop(client);
    eventually("it is gone", || websocket(&app).connections() == 0).await;
    assert!(websocket(&app).rooms().is_empty());
    gate.open();
    app.close().await.unwrap();
}
