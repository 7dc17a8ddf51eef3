//! Rooms and broadcast.

use polyport_websocket::testing::{Received, WebSocketTest};
use serde_json::json;

use crate::support::{eventually, start, websocket};

#[tokio::test]
async fn a_room_reaches_its_members_and_nobody_else() {
    let (app, _) = start().await;
    let handle = websocket(&app);
    let (mut tom, mut ann) = (app.websocket("/ws").await, app.websocket("/ws").await);
    tom.call("rooms.join", &json!({ "room": "lobby" })).await;
    assert_eq!(handle.rooms(), ["lobby"]);
    assert_eq!(handle.members("lobby").len(), 1);

    assert_eq!(handle.room("lobby").emit("message", &json!({ "text": "hi" })).unwrap(), 1);
    assert_eq!(
        tom.next().await,
        Received::Frame(json!({ "event": "message", "data": { "text": "hi" } })),
    );
    assert_eq!(handle.everybody().emit("all", &1).unwrap(), 2);
    for client in [&mut tom, &mut ann] {
        assert_eq!(client.next().await, Received::Frame(json!({ "event": "all", "data": 1 })));
    }

    tom.call("rooms.leave", &json!({ "room": "lobby" })).await;
    assert_eq!(handle.room("lobby").emit("message", &()).unwrap(), 0);
    assert!(handle.rooms().is_empty());
    app.close().await.unwrap();
}

#[tokio::test]
async fn whoever_says_something_can_be_left_out() {
    let (app, _) = start().await;
    let (mut tom, mut ann) = (app.websocket("/ws").await, app.websocket("/ws").await);
    for client in [&mut tom, &mut ann] {
        client.call("rooms.join", &json!({ "room": "lobby" })).await;
    }
    let said = tom.call("say", &json!({ "room": "lobby", "text": "hi" })).await;
    assert_eq!(said["data"]["data"], 1);
    assert_eq!(ann.expect_frame("message").await["data"]["text"], "hi");
    let said = ann.call("say", &json!({ "room": "lobby", "text": "ho" })).await;
    assert_eq!(said["data"]["data"], 1);
    assert_eq!(tom.expect_frame("message").await["data"]["text"], "ho");
    app.close().await.unwrap();
}

#[tokio::test]
async fn whoever_disconnects_has_left_all_rooms() {
    let (app, _) = start().await;
    let handle = websocket(&app);
    let mut tom = app.websocket("/ws").await;
    for room in ["a", "b"] {
        tom.call("rooms.join", &json!({ "room": room })).await;
    }
    let socket = handle.members("a").remove(0);
    assert_eq!(handle.socket(socket.id()).unwrap().rooms(), ["a", "b"]);
    drop(tom);
    eventually("tom is gone", || handle.connections() == 0).await;
    assert!(handle.rooms().is_empty());
    assert!(socket.send_event("late", &()).is_err());

    let mut ann = app.websocket("/ws").await;
    ann.call("rooms.join", &json!({ "room": "a" })).await;
    assert_eq!(ann.close().await, 1000);
    eventually("ann is gone", || handle.connections() == 0).await;
    assert!(handle.rooms().is_empty());
    app.close().await.unwrap();
}

#[tokio::test]
async fn pushes_come_between_answers() {
    let (app, gate) = start().await;
    let mut tom = app.websocket("/ws").await;
    tom.call("rooms.join", &json!({ "room": "a" })).await;
    tom.send_text(r#"{"event":"slow","id":7}"#).await;
    gate.reached().await;
    websocket(&app).room("a").emit("message", &1).unwrap();
    assert_eq!(tom.next().await, Received::Frame(json!({ "event": "message", "data": 1 })));
    gate.open();
    assert_eq!(tom.expect_frame("slow").await["id"], 7);
    app.close().await.unwrap();
}
