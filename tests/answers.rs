//! A value that panics when it is written costs its caller the value, and nobody anything else.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{future::Future, time::Duration};

use futures_util::stream;
use polyport::{
    Bootstrap,
    operation::{ByteStream, Items},
    prelude::*,
    testing::*,
};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// Cannot be written.
struct Bomb;

impl Serialize for Bomb {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        panic!("the password is hunter2")
    }
}

/// Cannot be dropped.
#[derive(Serialize)]
struct Mine(u8);

impl Drop for Mine {
    fn drop(&mut self) {
        panic!("the password is hunter2")
    }
}

async fn one() -> Result<Bomb, Fault> {
    Ok(Bomb)
}

async fn many() -> Result<Items<Bomb>, Fault> {
    Ok(Items::new(stream::iter([Ok::<_, Fault>(Bomb)])))
}

async fn mine() -> Result<Mine, Fault> {
    Ok(Mine(7))
}

/// Whether the code of a stream finds its call.
async fn called() -> Result<Items<bool>, Fault> {
    let find = async {
        tokio::task::yield_now().await;
        Ok::<_, Fault>(Context::current().is_some())
    };
    Ok(Items::new(stream::once(find)))
}

async fn called_bytes() -> Result<ByteStream, Fault> {
    let find = async { Ok::<_, Fault>(format!("{}", Context::current().is_some()).into()) };
    Ok(ByteStream::new("text/plain", stream::once(find)))
}

async fn fine() -> Result<u8, Fault> {
    Ok(7)
}

async fn app() -> TestApp {
    let bootstrap = Bootstrap::new()
        .load(HttpFramework::new())
        .load(WebSocketFramework::new())
        .load(AmqpFramework::new())
        .module(module("answers", |m| {
            m.http(|r| {
                r.get("/one", one)
                    .get("/many", many)
                    .get("/mine", mine)
                    .get("/fine", fine)
                    .get("/called", called)
                    .get("/bytes", called_bytes)
            });
            m.websocket(|r| {
                r.on("one", one)
                    .on("many", many)
                    .on("mine", mine)
                    .on("fine", fine)
                    .on("called", called)
                    .on("bytes", called_bytes)
            });
            m.amqp(|r| {
                let r = r.consume("answers.one", one).consume("answers.many", many);
                r.consume("answers.mine", mine)
                    .consume("answers.called", called)
                    .consume("answers.bytes", called_bytes)
            });
            Ok(())
        }));
    create_bootstrap(bootstrap)
        .root("no/such/folder")
        .config("amqp.retry.delays", [""; 0])
        .await
        .expect("starts")
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("an answer")
}

fn is_told(answer: &str) -> bool {
    answer.contains("internal error") && !answer.contains("hunter2")
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_it_is_a_fault() {
    let app = app().await;
    for path in ["/one", "/many", "/mine"] {
        let reply = soon(app.http().get(path).send()).await.expect("a whole reply");
        assert!(is_told(reply.text()), "{path}: {}", reply.text());
    }
    app.close().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_websocket_it_is_a_frame_and_the_connection_stays() {
    let app = app().await;
    let mut socket = app.websocket("/ws").await;
    for event in ["one", "many", "mine"] {
        let answer = soon(socket.call(event, &json!(null))).await;
        assert_eq!(answer["event"], "exception");
        assert!(is_told(&answer.to_string()), "{event}: {answer}");
    }
    assert_eq!(soon(socket.call("fine", &json!(null))).await["data"], 7);
    app.close().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_amqp_it_is_a_reply_and_the_message_is_settled() {
    let app = app().await;
    let client = app.amqp();
    for queue in ["answers.one", "answers.many", "answers.mine"] {
        let reply = soon(client.request(queue, &json!(null))).await;
        assert!(is_told(&reply.json::<Value>().to_string()), "{queue}");
    }
    client.publish("", "answers.mine", &json!("nobody waits")).await;
    soon(client.expect_on("answers.mine.dead")).await;
    app.close().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_a_stream_finds_its_call() {
    let app = app().await;
    assert_eq!(soon(app.http().get("/called").send()).await.expect("a reply").text(), "true\n");
    assert_eq!(soon(app.http().get("/bytes").send()).await.expect("a reply").text(), "true");
    let mut socket = app.websocket("/ws").await;
    assert_eq!(soon(socket.call("bytes", &json!(null))).await["data"], "true");
    assert_eq!(soon(socket.items("called", &json!(null))).await[0]["data"], true);
    let client = app.amqp();
    let reply = soon(client.request("answers.bytes", &json!(null))).await;
    assert_eq!(reply.body(), b"true");
    let replies = soon(client.request_items("answers.called", &json!(null))).await;
    assert_eq!(replies[0].json::<Value>(), json!(true));
    app.close().await.expect("stops");
}
