//! WebSocket's rows of the contract.

use polyport::testing::*;
use serde_json::{Value, json};

use crate::support::{Im, frame, on_both_brokers, pushed};

on_both_brokers!(
    hello_is_answered_with_its_id,
    an_invalid_hello_is_an_exception_with_its_id,
    users_and_messages_are_served_as_over_http,
    who_joined_hears_messages_until_leaving,
    what_is_no_known_event_is_an_exception_and_the_connection_lives_on,
);

/// Sends a text and takes the next frame.
async fn answer(im: &Im, text: &str) -> Value {
    let mut socket = im.websocket("/ws").await;
    socket.send_text(text).await;
    frame(&mut socket).await
}

fn exception(code: &str, frame: &Value) {
    assert_eq!(frame["event"], "exception", "{frame}");
    assert_eq!(frame["data"]["returnCode"], code, "{frame}");
    assert!(frame["data"]["errorMessage"].is_string(), "{frame}");
}

async fn hello_is_answered_with_its_id(im: &Im) {
    let frame = answer(im, r#"{"event":"hello","data":{"name":"w4ngzhen"},"id":1}"#).await;
    assert_eq!(
        frame,
        json!({
            "event": "hello", "id": 1,
            "data": { "returnCode": "SUC00000", "data": "received reqData" },
        }),
    );
}

async fn an_invalid_hello_is_an_exception_with_its_id(im: &Im) {
    let frame = answer(im, r#"{"event":"hello","data":{},"id":2}"#).await;
    exception("ERR40000", &frame);
    assert_eq!(frame["id"], 2);
}

async fn users_and_messages_are_served_as_over_http(im: &Im) {
    let mut socket = im.websocket("/ws").await;
    let user = socket.call("users.get", &json!({ "userId": "tom" })).await;
    let same = im.http().get("/users?userId=tom").await.json::<Value>();
    assert_eq!(user["data"], same);
    let nobody = socket.call("users.get", &json!({ "userId": "nobody" })).await;
    exception("ERR40400", &nobody);

    let message = json!({ "room": "lobby", "from": "tom", "text": "hi" });
    let sent = socket.call("messages.send", &message).await;
    assert_eq!(sent["data"]["returnCode"], "SUC00000");
    assert!(sent["data"]["data"]["id"].is_string());
    let bad = socket.call("messages.send", &json!({ "room": "lobby", "from": "tom" })).await;
    exception("ERR40000", &bad);
    im.settled().await.expect("the message is handled, too");
}

async fn who_joined_hears_messages_until_leaving(im: &Im) {
    let room = json!({ "room": "lobby" });
    let mut tom = im.websocket("/ws").await;
    let mut jerry = im.websocket("/ws").await;
    for socket in [&mut tom, &mut jerry] {
        assert_eq!(socket.call("rooms.join", &room).await["data"]["returnCode"], "SUC00000");
    }
    let message = json!({ "room": "lobby", "from": "tom", "text": "one" });
    let sent = jerry.call("messages.send", &message).await;
    for socket in [&mut tom, &mut jerry] {
        let message = pushed(socket).await;
        let mut keys: Vec<_> = message.as_object().expect("an object").keys().collect();
        keys.sort();
        assert_eq!(keys, ["from", "id", "room", "sentAt", "text"]);
        assert_eq!(message["id"], sent["data"]["data"]["id"]);
        assert_eq!(message["text"], "one");
    }

    jerry.call("rooms.leave", &room).await;
    let message = json!({ "room": "lobby", "from": "tom", "text": "two" });
    tom.call("messages.send", &message).await;
    assert_eq!(pushed(&mut tom).await["text"], "two");
    // Whoever left hears nothing: the very next frame is the answer to the next call.
    jerry.send_text(r#"{"event":"hello","data":{"name":"x"},"id":9}"#).await;
    assert_eq!(frame(&mut jerry).await["id"], 9);
}

async fn what_is_no_known_event_is_an_exception_and_the_connection_lives_on(im: &Im) {
    let mut socket = im.websocket("/ws").await;
    socket.send_text(r#"{"event":"no.such","id":"x"}"#).await;
    let unknown = frame(&mut socket).await;
    exception("ERR40400", &unknown);
    assert_eq!(unknown["id"], "x");
    for text in ["not JSON", "[]", r#"{"data":{}}"#] {
        socket.send_text(text).await;
        exception("ERR40000", &frame(&mut socket).await);
    }
    let alive = socket.call("hello", &json!({ "name": "x" })).await;
    assert_eq!(alive["data"]["returnCode"], "SUC00000");
}
