//! HTTP's rows of the contract.

use polyport::testing::*;
use serde_json::{Value, json};

use crate::support::{Im, on_both_brokers, pushed};

on_both_brokers!(
    a_user_is_found,
    a_missing_or_empty_user_id_is_refused,
    an_unknown_user_is_not_found,
    a_posted_message_is_accepted_and_listed_newest_last,
    bad_calls_are_answered_in_the_envelope,
    health_is_told,
);

async fn get(im: &Im, path: &str) -> (u16, Value) {
    let reply = im.http().get(path).await;
    (reply.status().as_u16(), reply.json())
}

fn fault(code: &str, reply: &Value) {
    assert_eq!(reply["returnCode"], code, "{reply}");
    assert!(reply["errorMessage"].as_str().is_some_and(|text| !text.is_empty()), "{reply}");
}

async fn a_user_is_found(im: &Im) {
    let reply = im.http().get("/users?userId=tom").await;
    assert_eq!(reply.status(), 200);
    assert_eq!(
        reply.text(),
        r#"{"returnCode":"SUC00000","data":{"userId":"tom","username":"Tom","age":10}}"#,
    );
}

async fn a_missing_or_empty_user_id_is_refused(im: &Im) {
    for path in ["/users", "/users?userId="] {
        let (status, reply) = get(im, path).await;
        assert_eq!(status, 400);
        fault("ERR40000", &reply);
    }
}

async fn an_unknown_user_is_not_found(im: &Im) {
    let (status, reply) = get(im, "/users?userId=nobody").await;
    assert_eq!(status, 404);
    fault("ERR40400", &reply);
}

async fn a_posted_message_is_accepted_and_listed_newest_last(im: &Im) {
    let mut listener = im.websocket("/ws").await;
    listener.call("rooms.join", &json!({ "room": "lobby" })).await;
    let mut ids = Vec::new();
    for text in ["first", "second"] {
        let message = json!({ "from": "tom", "text": text });
        let reply = im.http().post("/rooms/lobby/messages").json(&message).await;
        assert_eq!(reply.status(), 202);
        let reply: Value = reply.json();
        assert_eq!(reply["returnCode"], "SUC00000");
        ids.push(reply["data"]["id"].clone());
        // Stored before it is pushed.
        assert_eq!(pushed(&mut listener).await["text"], text);
    }
    let (status, reply) = get(im, "/rooms/lobby/messages?limit=50").await;
    assert_eq!(status, 200);
    let listed = reply["data"].as_array().expect("a list");
    assert_eq!(listed.iter().map(|message| message["id"].clone()).collect::<Vec<_>>(), ids);
    assert_eq!(listed[1]["room"], "lobby");
    assert_eq!(listed[1]["text"], "second");
    let (_, last) = get(im, "/rooms/lobby/messages?limit=1").await;
    assert_eq!(last["data"][0]["id"], ids[1]);
}

async fn bad_calls_are_answered_in_the_envelope(im: &Im) {
    let messages = "/rooms/lobby/messages";
    let malformed = im.http().post(messages).body("application/json", "{\"from\":").await;
    assert_eq!(malformed.status(), 400);
    fault("ERR40000", &malformed.json());

    let missing = im.http().post(messages).json(&json!({ "from": "tom" })).await;
    assert_eq!(missing.status(), 400);
    let reply: Value = missing.json();
    fault("ERR40000", &reply);
    assert!(reply["errorMessage"].as_str().expect("text").contains("text"), "{reply}");

    let (status, reply) = get(im, "/nothing/here").await;
    assert_eq!(status, 404);
    fault("ERR40400", &reply);

    let wrong_method = im.http().delete("/users").await;
    assert_eq!(wrong_method.status(), 405);
    assert!(wrong_method.header("allow").expect("allow").contains("GET"));
    fault("ERR40500", &wrong_method.json());
}

async fn health_is_told(im: &Im) {
    assert_eq!(get(im, "/health/live").await.0, 200);
    assert_eq!(get(im, "/health/ready").await.0, 200);
}
