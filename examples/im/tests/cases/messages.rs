//! A message goes by the broker, whoever posts it.

use polyport::{FaultKind, testing::*};
use polyport_proto::im::v1::{SubscribeRequest, chat_service_client::ChatServiceClient};
use serde_json::{Value, json};

const LOBBY: &str = "/rooms/lobby/messages";

#[polyport::test(crate::app)]
async fn what_is_posted_is_listed_when_all_is_settled(app: &TestApp) {
    let sent: Value =
        app.http().post(LOBBY).json(&json!({ "from": "tom", "text": "hi" })).await.json();
    app.settled().await.expect("nothing fails");

    let listed: Value = app.http().get(LOBBY).await.json();
    assert_eq!((&listed[0]["id"], &listed[0]["text"]), (&sent["id"], &json!("hi")));
    assert_eq!(app.recorder().by_route(RecordedKind::Published, "im message.lobby").len(), 1);
    assert_eq!(app.recorder().by_route(RecordedKind::Consumed, "im.messages").len(), 1);
}

#[polyport::test(crate::app)]
async fn whoever_is_in_the_room_hears_it(app: &TestApp) {
    let mut socket = app.websocket("/ws").await;
    socket.request::<Value>("rooms.join", &json!({ "room": "lobby" })).await.expect("joins");
    let mut chat = app.grpc(ChatServiceClient::new);
    let room = SubscribeRequest { room: "lobby".to_owned() };
    let mut stream = chat.subscribe(room).await.expect("subscribes").into_inner();

    app.http().post(LOBBY).json(&json!({ "from": "tom", "text": "hi" })).await;

    assert_eq!(socket.expect_event::<Value>("message").await["text"], "hi");
    assert_eq!(stream.message().await.expect("goes on").expect("a message").text, "hi");
}

#[polyport::test(crate::app)]
async fn a_message_of_any_client_is_acknowledged_when_it_is_stored(app: &TestApp) {
    let amqp = app.amqp();
    let id = amqp.publish("im", "message.lobby", &json!({ "from": "bot", "text": "beep" })).await;
    amqp.expect_acked("im.messages", &id).await;

    let listed: Value = app.http().get(LOBBY).await.json();
    assert_eq!(listed[0]["id"], id);
}

#[polyport::test(crate::app)]
async fn a_malformed_message_is_parked_with_its_reason(app: &TestApp) {
    let amqp = app.amqp();
    let id = amqp.publish("im", "message.lobby", &json!({ "from": "bot" })).await;

    let parked = amqp.expect_dead_lettered("im.messages", &id).await;
    assert_eq!(parked.fault, Some(FaultKind::InvalidArgument));
    let error = app.settled().await.expect_err("it is a failure");
    assert!(error.to_string().contains("im.messages.dead"), "{error}");
    assert_eq!(amqp.expect_on("im.messages.dead").await.message_id(), Some(id));
}
