//! AMQP's rows of the contract.

use polyport::{FaultKind, testing::*};
use serde_json::{Value, json};

use crate::support::{Im, on_both_brokers, pushed};

on_both_brokers!(
    a_message_by_any_client_is_stored_and_pushed,
    a_malformed_message_is_parked_and_the_consumer_goes_on,
    a_request_is_answered_with_the_envelope_of_http,
    what_is_posted_is_stored_when_all_is_settled,
    a_message_that_is_parked_is_known_by_its_reason,
);

async fn a_message_by_any_client_is_stored_and_pushed(im: &Im) {
    let mut listener = im.websocket("/ws").await;
    listener.call("rooms.join", &json!({ "room": "lobby" })).await;
    let broker = im.amqp();
    broker.publish("im", "message.lobby", &json!({ "from": "bot", "text": "beep" })).await;
    let message = pushed(&mut listener).await;
    assert_eq!(message["from"], "bot");
    assert_eq!(message["room"], "lobby");

    let listed: Value = im.http().get("/rooms/lobby/messages").await.json();
    assert_eq!(listed["data"][0]["id"], message["id"]);
}

async fn a_malformed_message_is_parked_and_the_consumer_goes_on(im: &Im) {
    let mut listener = im.websocket("/ws").await;
    listener.call("rooms.join", &json!({ "room": "lobby" })).await;
    let broker = im.amqp();
    broker.publish_bytes("im", "message.lobby", "not JSON").await;
    broker.publish("im", "message.lobby", &json!({ "from": "bot" })).await;
    broker.publish("im", "message.lobby", &json!({ "from": "bot", "text": "fine" })).await;
    assert_eq!(pushed(&mut listener).await["text"], "fine");

    let mut parked = Vec::new();
    for _ in 0..2 {
        parked.push(broker.expect_on("im.messages.dead").await.body().to_vec());
    }
    parked.sort();
    assert_eq!(parked, [b"not JSON".to_vec(), br#"{"from":"bot"}"#.to_vec()]);
}

async fn a_request_is_answered_with_the_envelope_of_http(im: &Im) {
    let broker = im.amqp();
    for user in ["tom", "nobody", ""] {
        let over_amqp: Value = broker.request("users.get", &json!({ "userId": user })).await.json();
        let over_http: Value = im.http().get(&format!("/users?userId={user}")).await.json();
        assert_eq!(over_amqp, over_http);
    }
}

async fn what_is_posted_is_stored_when_all_is_settled(im: &Im) {
    for text in ["one", "two", "three"] {
        let message = json!({ "from": "tom", "text": text });
        im.http().post("/rooms/lobby/messages").json(&message).await;
    }
    im.settled().await.expect("nothing fails");
    let listed: Value = im.http().get("/rooms/lobby/messages").await.json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(3));
}

async fn a_message_that_is_parked_is_known_by_its_reason(im: &Im) {
    let broker = im.amqp();
    let id = broker.publish("im", "message.lobby", &json!({ "from": "bot" })).await;
    let parked = broker.expect_dead_lettered("im.messages", &id).await;
    assert_eq!(parked.fault, Some(FaultKind::InvalidArgument));
    let error = im.settled().await.expect_err("it is parked");
    assert!(error.to_string().contains("is parked in im.messages.dead"), "{error}");
}
