//! Events, answers and faults.

use polyport_websocket::testing::{Received, WebSocketTest, frame_fault};
use serde_json::json;

use crate::support::{Raw, address, answer, masked, start};

#[tokio::test]
async fn an_event_is_answered_with_its_id_in_the_envelope() {
    let (app, _) = start().await;
    let mut client = app.websocket("/ws").await;
    client.send_text(r#"{"event":"hello","data":{"name":"w4ngzhen"},"id":1}"#).await;
    let expected = answer("hello", 1, json!("hello, w4ngzhen"));
    assert_eq!(client.next().await, Received::Frame(expected));
    let user = client.call("users.get", &json!({ "userId": "tom" })).await;
    assert_eq!(user["data"]["data"], json!({ "userId": "tom", "age": 10 }));
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_fault_is_an_exception_with_the_id() {
    let (app, _) = start().await;
    let mut client = app.websocket("/ws").await;
    for (text, code) in [
        (r#"{"event":"hello","data":{},"id":2}"#, "ERR40000"),
        (r#"{"event":"hello","id":2}"#, "ERR40000"),
        (r#"{"event":"hello","data":7,"id":2}"#, "ERR40000"),
        (r#"{"event":"users.get","data":{"userId":"nobody"},"id":2}"#, "ERR40400"),
        (r#"{"event":"panics","id":2}"#, "ERR50000"),
        (r#"{"event":"no.such","id":2}"#, "ERR40400"),
        (r#"{"event":7,"id":2}"#, "ERR40000"),
    ] {
        client.send_text(text).await;
        let frame = client.expect_frame("exception").await;
        assert_eq!((&frame["id"], &frame["data"]["returnCode"]), (&json!(2), &json!(code)));
        assert!(frame["data"]["errorMessage"].is_string(), "{frame}");
        let fault = frame_fault(&frame).expect("a fault");
        assert_eq!(format!("ERR{}00", fault.status()), code);
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn what_is_no_event_is_an_exception_and_the_connection_lives_on() {
    let (app, _) = start().await;
    let mut client = app.websocket("/ws").await;
    for text in ["", "hello", "[]", "{}", r#"{"event":"no.such"}"#, "{\"event\":\"hello\""] {
        client.send_text(text).await;
        let frame = client.expect_frame("exception").await;
        assert_eq!(frame.get("id"), None, "{frame}");
    }
    client.send_binary(vec![1, 2, 3]).await;
    let frame = client.expect_frame("exception").await;
    assert_eq!(frame["data"]["returnCode"], "ERR40000");
    assert_eq!(client.call("nothing", &()).await, answer("nothing", 1, json!(null)));
    app.close().await.unwrap();
}

#[tokio::test]
async fn an_operation_without_a_value_answers_only_where_there_is_an_id() {
    let (app, _) = start().await;
    let mut client = app.websocket("/ws").await;
    client.emit("nothing", &()).await;
    client.emit("hello", &json!({ "name": "tom" })).await;
    let Received::Frame(first) = client.next().await else { panic!("closed") };
    assert_eq!(first["event"], "hello");
    assert_eq!(first.get("id"), None);
    assert_eq!(client.call("nothing", &()).await["event"], "nothing");
    app.close().await.unwrap();
}

#[tokio::test]
async fn an_id_is_echoed_as_it_was_given() {
    let (app, _) = start().await;
    let mut client = app.websocket("/ws").await;
    for id in [json!("a\"b"), json!({ "n": [1, 2.5] }), json!(false)] {
        let text = json!({ "event": "nothing", "id": id }).to_string();
        client.send_text(&text).await;
        assert_eq!(client.expect_frame("nothing").await["id"], id);
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn answers_come_in_the_order_of_their_events() {
    let (app, gate) = start().await;
    let mut client = app.websocket("/ws").await;
    client.send_text(r#"{"event":"slow","id":0}"#).await;
    for id in 1..200 {
        client.send_text(&format!(r#"{{"event":"hello","data":{{"name":"x"}},"id":{id}}}"#)).await;
    }
    gate.reached().await;
    gate.open();
    for id in 0..200 {
        let Received::Frame(frame) = client.next().await else { panic!("closed") };
        assert_eq!(frame["id"], id);
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn nothing_is_lost_that_comes_with_the_handshake() {
    let (app, _) = start().await;
    let mut client = Raw::connect(address(&app)).await;
    let mut bytes = b"GET /ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n"
        .to_vec();
    bytes.extend(masked(0x81, br#"{"event":"nothing","id":1}"#));
    bytes.extend(masked(0x81, br#"{"event":"nothing","id":2}"#));
    bytes.extend(masked(0x88, &1000_u16.to_be_bytes()));
    client.write(bytes).await;
    let head = client.head().await;
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    // The answers may be cut off by the close frame, but that is answered.
    assert!(client.rest().await.ends_with(&[0x88, 2, 3, 0xe8]));
    app.close().await.unwrap();
}

#[tokio::test]
async fn events_before_a_close_frame_are_handled() {
    let (app, gate) = start().await;
    let mut client = app.websocket("/ws").await;
    client.emit("slow", &()).await;
    client.emit("slow", &()).await;
    assert_eq!(client.close().await, 1000);
    for _ in 0..2 {
        gate.reached().await;
        gate.open();
    }
    app.close().await.unwrap();
}
