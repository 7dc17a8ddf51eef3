//! Slow, silent and greedy clients.

use futures_util::FutureExt;
use polyport_websocket::testing::WebSocketTest;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    Chat, Raw, address, chat, close_code, eventually, narrow, plain, receive, receive_json, send,
    start, websocket, within,
};

#[tokio::test]
async fn a_slow_client_is_closed_with_1013_and_holds_up_nobody() {
    let app = chat(Chat::new()).config("websocket.send_queue", 8).await.unwrap();
    let handle = websocket(&app);
    let mut slow = narrow(&app).await;
    let mut quick = app.websocket("/ws").await;
    send(&mut slow, Message::text(r#"{"event":"rooms.join","data":{"room":"a"},"id":1}"#)).await;
    receive_json(&mut slow).await;
    quick.call("rooms.join", &json!({ "room": "a" })).await;

    let text = "x".repeat(100_000);
    let mut pushed = 0;
    while handle.connections() == 2 {
        handle.room("a").emit("message", &text).unwrap();
        quick.expect_frame("message").await;
        pushed += 1;
        assert!(pushed < 1000, "the slow client is never given up");
    }
    assert_eq!(handle.members("a").len(), 1);
    assert_eq!(close_code(&mut slow).await, Some(1013));
    assert_eq!(quick.call("nothing", &()).await["event"], "nothing");
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_not_read() {
    let app = chat(Chat::new()).config("websocket.send_queue", 4).await.unwrap();
    let mut client = narrow(&app).await;
    let name = "x".repeat(50_000);
    let message = json!({ "event": "hello", "data": { "name": name }, "id": 1 }).to_string();
    let mut sent = 0;
    // Until the server takes nothing more, which the client then feels.
    while sent < 1000
        && tokio::time::timeout(
            std::time::Duration::from_millis(500),
            futures_util::SinkExt::send(&mut client, Message::text(message.clone())),
        )
        .await
        .is_ok()
    {
        sent += 1;
    }
    assert!(sent < 1000, "the server reads without end");
    for _ in 0..sent {
        assert_eq!(receive_json(&mut client).await["event"], "hello");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_lives_if_it_answers() {
    let app = chat(Chat::new())
        .config("websocket.ping_interval", "20ms")
        .config("websocket.pong_timeout", "5s")
        .await
        .unwrap();
    let mut client = plain(&app).await;
    for _ in 0..3 {
        assert_eq!(receive(&mut client).await, Some(Message::Ping(Default::default())));
        // tungstenite's answer goes out with the next read.
        let _ = futures_util::StreamExt::next(&mut client).now_or_never();
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_evicted() {
    let app = chat(Chat::new())
        .config("websocket.ping_interval", "20ms")
        .config("websocket.pong_timeout", "50ms")
        .await
        .unwrap();
    let mut client = Raw::connect(address(&app)).await;
    client.upgrade().await;
    let rest = client.rest().await;
    assert_eq!(rest, [0x89, 0]);
    eventually("it is gone", || websocket(&app).connections() == 0).await;
    app.close().await.unwrap();
}

#[tokio::test]
async fn an_event_has_a_deadline() {
    let app = chat(Chat::new()).config("websocket.timeout", "20ms").await.unwrap();
    let mut client = app.websocket("/ws").await;
    let frame = client.call("slow", &()).await;
    assert_eq!((frame["event"].as_str(), frame["id"].as_u64()), (Some("exception"), Some(1)));
    assert_eq!(frame["data"]["returnCode"], "ERR50400");
    app.close().await.unwrap();
}

#[tokio::test]
async fn many_clients_are_served_side_by_side() {
    let (app, _) = start().await;
    let clients = (0..50).map(|index| {
        let connecting = app.websocket("/ws");
        async move {
            let mut client = connecting.await;
            for _ in 0..20 {
                let frame = client.call("hello", &json!({ "name": index.to_string() })).await;
                assert_eq!(frame["data"]["data"], format!("hello, {index}"));
            }
            client.close().await
        }
    });
    let codes = within(futures_util::future::join_all(clients)).await;
    assert!(codes.iter().all(|code| *code == 1000));
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_slow_client_can_lose_the_oldest_pushes_and_keep_its_answers() {
    let app = chat(Chat::new())
        .config("websocket.send_queue", 8)
        .config("websocket.slow_consumer", "drop-oldest")
        .await
        .unwrap();
    let handle = websocket(&app);
    let mut slow = narrow(&app).await;
    send(&mut slow, Message::text(r#"{"event":"rooms.join","data":{"room":"a"},"id":1}"#)).await;
    receive_json(&mut slow).await;
    let socket = handle.members("a").remove(0);

    let text = "x".repeat(100_000);
    let mut pushed = 0;
    while handle.dropped() == 0 {
        handle.room("a").emit("message", &json!([pushed, text])).unwrap();
        pushed += 1;
        tokio::task::yield_now().await;
        assert!(pushed < 10_000, "nothing is ever dropped");
    }
    send(&mut slow, Message::text(r#"{"event":"hello","data":{"name":"tom"},"id":2}"#)).await;
    for _ in 0..20 {
        handle.room("a").emit("message", &json!([pushed, text])).unwrap();
        pushed += 1;
    }
    handle.room("a").emit("last", &()).unwrap();
    assert_eq!(socket.dropped(), handle.dropped());

    let (mut numbers, mut answered, mut last) = (Vec::new(), false, false);
    while !(answered && last) {
        let frame = receive_json(&mut slow).await;
        match frame["event"].as_str() {
            Some("message") => numbers.push(frame["data"][0].as_u64().unwrap()),
            Some("hello") => answered = frame["id"] == 2,
            Some("last") => last = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(numbers.is_sorted(), "the order is kept: {numbers:?}");
    assert_eq!(numbers.last(), Some(&(pushed - 1)), "the newest arrive");
    assert_eq!(numbers.len() as u64 + handle.dropped(), pushed);
    app.close().await.unwrap();
}
