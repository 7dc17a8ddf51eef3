//! Binary messages, and text that is no event.

use bytes::Bytes;
use polyport_bootstrap::{
    Fault, Module, ModuleBuilder, Result,
    operation::{App, Body, Raw},
};
use polyport_websocket::{
    Socket, WebSocketApp, WebSocketModule,
    testing::{Received, WebSocketTest},
};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Raw as RawSocket, address, chat, masked, plain, receive, send, websocket};

/// Bytes are reversed, but for some that stand for other answers.
async fn reverse(Body(bytes): Body) -> Result<Raw, Fault> {
    if bytes.is_empty() {
        return Err(Fault::invalid_argument("EMPTY", "there is nothing to reverse"));
    }
    let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    Ok(Raw::new("application/octet-stream", reversed))
}

async fn share(
    socket: Socket,
    App(app): App<WebSocketApp>,
    Body(bytes): Body,
) -> Result<usize, Fault> {
    socket.send_binary(&b"thanks"[..])?;
    Ok(app.everybody().except(socket.id()).emit_binary(bytes))
}

async fn swallow(_: Body) -> Result<(), Fault> {
    Ok(())
}

struct Bytewise(fn(polyport_websocket::WebSocketRoutes) -> polyport_websocket::WebSocketRoutes);

impl Module for Bytewise {
    fn name(&self) -> &'static str {
        "bytewise"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.websocket(self.0);
        Ok(())
    }
}

#[tokio::test]
async fn a_binary_message_is_answered_by_one_and_a_fault_by_an_exception() {
    let app = chat(Bytewise(|g| g.on_binary(reverse))).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.send_binary(vec![0, 1, 255]).await;
    assert_eq!(client.next().await, Received::Binary(Bytes::from_static(&[255, 1, 0])));
    client.send_binary(Bytes::new()).await;
    let frame = client.expect_frame("exception").await;
    assert_eq!((frame.get("id"), &frame["data"]["returnCode"]), (None, &json!("ERR40000")));
    client.send_text("no frame").await;
    assert_eq!(client.expect_frame("exception").await["data"]["returnCode"], "ERR40000");
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_value_is_the_event_binary_and_no_value_is_nothing() {
    let app = chat(Bytewise(|g| g.on_binary(share).on_text(swallow))).await.unwrap();
    let (mut tom, mut ann) = (app.websocket("/ws").await, app.websocket("/ws").await);
    tom.send_text("no answer comes to this").await;
    tom.send_binary(vec![7; 3]).await;
    assert_eq!(tom.next().await, Received::Binary(Bytes::from_static(b"thanks")));
    let frame = json!({ "event": "binary", "data": { "returnCode": "SUC00000", "data": 1 } });
    assert_eq!(tom.next().await, Received::Frame(frame));
    assert_eq!(ann.expect_binary().await, vec![7; 3]);
    assert_eq!(websocket(&app).everybody().emit_binary(vec![8]), 2);
    assert_eq!(
        (tom.expect_binary().await, ann.expect_binary().await),
        (vec![8].into(), vec![8].into())
    );
    app.close().await.unwrap();
}

#[tokio::test]
async fn text_that_is_no_event_can_be_answered_by_text() {
    let app = chat(Bytewise(|g| g.on_text(reverse))).await.unwrap();
    let mut client = plain(&app).await;
    send(&mut client, Message::text("abc")).await;
    assert_eq!(receive(&mut client).await, Some(Message::text("cba")));
    // Reversed, it is text no more.
    send(&mut client, Message::text("ü")).await;
    assert_eq!(receive(&mut client).await, Some(Message::binary(vec![0xbc, 0xc3])));
    // A frame is an event, as ever.
    send(&mut client, Message::text(r#"{"event":"x"}"#)).await;
    assert!(receive(&mut client).await.unwrap().to_text().unwrap().contains("ERR40400"));
    app.close().await.unwrap();
}

#[tokio::test]
async fn fragments_are_one_message() {
    let app = chat(Bytewise(|g| g.on_binary(reverse))).await.unwrap();
    let mut client = RawSocket::connect(address(&app)).await;
    client.upgrade().await;
    client.write([masked(0x02, b"ab"), masked(0x89, b"!"), masked(0x80, b"c")].concat()).await;
    // The ping in between is answered first.
    assert_eq!(client.read(3 + 5).await, [&[0x8a, 1, b'!', 0x82, 3][..], b"cba"].concat());
    app.close().await.unwrap();
}

#[tokio::test]
async fn there_is_one_operation_for_binary_messages() {
    let start = chat(Bytewise(|g| g.on_binary(reverse).on_binary(share))).await;
    let report = format!("{:?}", start.unwrap_err());
    assert!(report.contains("(on_binary)") && report.contains("served twice"), "{report}");
}
