//! A message by any protocol reaches every client of its room.

use polyport::testing::*;
use polyport_proto::im::v1::{
    SendMessageRequest, SubscribeRequest, chat_service_client::ChatServiceClient,
};
use serde_json::json;

use crate::support::{Im, on_both_brokers, pushed};

on_both_brokers!(a_message_by_any_protocol_reaches_every_client_of_its_room);

async fn a_message_by_any_protocol_reaches_every_client_of_its_room(im: &Im) {
    let room = json!({ "room": "lobby" });
    let mut sockets = [im.websocket("/ws").await, im.websocket("/ws").await];
    for socket in &mut sockets {
        socket.call("rooms.join", &room).await;
    }
    let mut elsewhere = im.websocket("/ws").await;
    elsewhere.call("rooms.join", &json!({ "room": "other" })).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut chat = im.grpc(ChatServiceClient::new);
        let request = SubscribeRequest { room: "lobby".to_owned() };
        streams.push(chat.subscribe(request).await.expect("subscribes").into_inner());
    }

    let body = |text: &str| json!({ "from": "tom", "text": text });
    im.http().post("/rooms/lobby/messages").json(&body("by HTTP")).await;
    let mut by_websocket = body("by WebSocket");
    by_websocket["room"] = json!("lobby");
    elsewhere.call("messages.send", &by_websocket).await;
    let request = SendMessageRequest {
        room: "lobby".to_owned(),
        from: "tom".to_owned(),
        text: "by gRPC".to_owned(),
    };
    im.grpc(ChatServiceClient::new).send_message(request).await.expect("is taken");
    im.amqp().publish("im", "message.lobby", &body("by AMQP")).await;

    let mut expected = ["by AMQP", "by HTTP", "by WebSocket", "by gRPC"];
    expected.sort_unstable();
    for socket in &mut sockets {
        let mut heard = Vec::new();
        for _ in 0..4 {
            heard.push(pushed(socket).await["text"].as_str().expect("text").to_owned());
        }
        heard.sort();
        assert_eq!(heard, expected);
    }
    for stream in &mut streams {
        let mut heard = Vec::new();
        for _ in 0..4 {
            heard.push(stream.message().await.expect("goes on").expect("is open").text);
        }
        heard.sort();
        assert_eq!(heard, expected);
    }
    let listed = elsewhere.call("messages.list", &room).await;
    assert_eq!(listed["data"]["data"].as_array().map(Vec::len), Some(4));
}
