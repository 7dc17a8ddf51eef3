//! Answers of many items, and of bytes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use garde::Validate;
use polyport_bootstrap::{
    Fault, FaultKind, Module, ModuleBuilder, Result,
    operation::{ByteStream, Inject, Input, Items, NoContent, Raw},
};
use polyport_websocket::{
    Socket, WebSocketModule,
    testing::{WebSocketTest, frame_fault},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    answer, chat, close_code, eventually, narrow, receive, receive_json, send, within,
};

/// How many items were made, and how many streams are there.
#[derive(Default)]
struct Made {
    items: AtomicUsize,
    streams: AtomicUsize,
}

struct Open(Arc<Made>);

impl Open {
    fn new(made: &Arc<Made>) -> Self {
        made.streams.fetch_add(1, SeqCst);
        Self(Arc::clone(made))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, SeqCst);
    }
}

#[derive(Deserialize, Validate)]
#[garde(allow_unvalidated)]
struct How {
    how: String,
}

async fn count(
    Inject(made): Inject<Made>,
    Input(input): Input<How>,
) -> std::result::Result<Items<Value>, Fault> {
    let (open, made) = (Open::new(&made), made);
    let two = stream::iter([1, 2].map(|number| Ok(json!(number))));
    let items = match input.how.as_str() {
        "fault" => two.chain(stream::iter([Err(Fault::unavailable("GONE", "it left"))])).boxed(),
        "panic" => two.chain(stream::once(async { panic!("on purpose") })).boxed(),
        "open" => two.chain(stream::pending()).boxed(),
        "flood" => stream::repeat_with(|| Ok(json!("x".repeat(1024)))).boxed(),
        _ => two.boxed(),
    };
    Ok(Items::new(items.inspect(move |_: &std::result::Result<Value, Fault>| {
        let _ = &open;
        made.items.fetch_add(1, SeqCst);
    })))
}

async fn text() -> std::result::Result<ByteStream, Fault> {
    let parts = ["a", "b"].map(|part| Ok::<_, Fault>(Bytes::from(part)));
    Ok(ByteStream::new("text/plain; charset=utf-8", stream::iter(parts)))
}

async fn endless() -> std::result::Result<ByteStream, Fault> {
    let endless = stream::repeat_with(|| Ok::<_, Fault>(Bytes::from(vec![0; 1 << 16])));
    Ok(ByteStream::new("application/octet-stream", endless))
}

async fn image() -> std::result::Result<Raw, Fault> {
    Ok(Raw::new("image/png", vec![0, 255]))
}

async fn nothing() -> std::result::Result<NoContent, Fault> {
    Ok(NoContent)
}

async fn hello(socket: Socket) -> std::result::Result<(), Fault> {
    Ok(socket.send_event("hello", &1)?)
}

struct Streams(Arc<Made>);

impl Module for Streams {
    fn name(&self) -> &'static str {
        "streams"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::clone(&self.0));
        m.websocket(|g| {
            g.on("count", count)
                .on("text", text)
                .on("endless", endless)
                .on("image", image)
                .on("nothing", nothing)
                .on("hello", hello)
        });
        Ok(())
    }
}

fn how(how: &str) -> Value {
    json!({ "how": how })
}

#[tokio::test]
async fn items_are_frames_of_the_event_and_the_last_frame_says_so() {
    let app = chat(Streams(Arc::default())).await.unwrap();
    let mut client = app.websocket("/ws").await;
    let frames = client.items("count", &how("two")).await;
    let done = json!({ "event": "count", "id": 1, "data": null, "done": true });
    assert_eq!(frames, [answer("count", 1, json!(1)), answer("count", 1, json!(2)), done]);
    client.emit("count", &how("two")).await;
    for _ in 0..2 {
        assert!(client.expect_frame("count").await.get("id").is_none());
    }
    assert_eq!(client.expect_frame("count").await["done"], true);
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_fault_among_the_items_ends_them_with_an_exception() {
    let app = chat(Streams(Arc::default())).await.unwrap();
    let mut client = app.websocket("/ws").await;
    for (input, kind) in [("fault", FaultKind::Unavailable), ("panic", FaultKind::Internal)] {
        let frames = client.items("count", &how(input)).await;
        assert_eq!(frames.len(), 3);
        assert_eq!(frame_fault(&frames[2]).expect("a fault").kind(), kind);
    }
    let frame = json!({
        "event": "count", "id": "d", "data": how("open"),
        "metadata": { "x-request-timeout-ms": "50" },
    });
    client.send_text(&frame.to_string()).await;
    let fault = frame_fault(&client.expect_frame("exception").await).expect("a fault");
    assert_eq!(fault.kind(), FaultKind::DeadlineExceeded);
    app.close().await.unwrap();
}

#[tokio::test]
async fn other_events_are_answered_while_a_stream_is_open_and_too_many_streams_are_refused() {
    let made = Arc::new(Made::default());
    let app = chat(Streams(Arc::clone(&made))).config("websocket.max_streams", 2).await.unwrap();
    let mut client = app.websocket("/ws").await;
    for _ in 0..2 {
        client.call("count", &how("open")).await;
    }
    let refused = client.call("count", &how("open")).await;
    let fault = frame_fault(&refused).expect("a fault");
    assert_eq!(fault.kind(), FaultKind::ResourceExhausted);
    assert_eq!(client.call("image", &json!(null)).await["data"]["data"], "AP8=");
    assert_eq!(made.streams.load(SeqCst), 2);
    drop(client);
    eventually("the streams end with the connection", || made.streams.load(SeqCst) == 0).await;
    app.close().await.unwrap();
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_a_stop() {
    let made = Arc::new(Made::default());
    let app = chat(Streams(Arc::clone(&made))).await.unwrap();
    let mut client = app.websocket("/ws").await;
    client.call("count", &how("open")).await;
    let stopping = tokio::time::timeout(Duration::from_secs(5), app.close());
    stopping.await.expect("the stream holds it up").unwrap();
    assert_eq!((client.expect_close().await.0, made.streams.load(SeqCst)), (1001, 0));
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_its_stream_at_its_pace() {
    let made = Arc::new(Made::default());
    let bootstrap = chat(Streams(Arc::clone(&made))).config("websocket.send_queue", 8);
    let app = bootstrap.config("websocket.pong_timeout", "20s").await.unwrap();
    let mut client = narrow(&app).await;
    let event = json!({ "event": "count", "data": how("flood"), "id": 1 }).to_string();
    send(&mut client, Message::text(event)).await;
    // What the system takes in comes first; then nothing more is made while nobody reads.
    let mut before = usize::MAX;
    within(async {
        while before != made.items.load(SeqCst) {
            before = made.items.load(SeqCst);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    assert!(before < 20_000, "{before} items of 1 KiB wait for one client");
    for _ in 0..before + 50 {
        assert_eq!(receive_json(&mut client).await["event"], "count");
    }
    assert!(made.items.load(SeqCst) > before, "it goes on when there is room");
    // A ping is answered, and what others push arrives, in the middle of the flood.
    send(&mut client, Message::Ping(Bytes::from_static(b"?"))).await;
    send(&mut client, Message::text(json!({ "event": "hello" }).to_string())).await;
    let (mut ponged, mut greeted) = (false, false);
    while !(ponged && greeted) {
        match receive(&mut client).await.expect("the connection lives") {
            Message::Pong(_) => ponged = true,
            Message::Text(text) => greeted |= text.contains("hello"),
            other => panic!("{other:?}"),
        }
    }
    send(&mut client, Message::Close(None)).await;
    close_code(&mut client).await;
    eventually("the stream ends", || made.streams.load(SeqCst) == 0).await;
    app.close().await.unwrap();
}

#[tokio::test]
async fn bytes_are_text_or_base64_and_collected_up_to_the_largest_message() {
    let app = chat(Streams(Arc::default())).await.unwrap();
    let mut client = app.websocket("/ws").await;
    assert_eq!(client.call("text", &json!(null)).await["data"]["data"], "ab");
    assert_eq!(client.call("image", &json!(null)).await["data"]["data"], "AP8=");
    let fault = frame_fault(&client.call("endless", &json!(null)).await).expect("a fault");
    assert_eq!(fault.kind(), FaultKind::Internal);
    assert_eq!(client.call("nothing", &json!(null)).await["data"]["data"], Value::Null);
    app.close().await.unwrap();
}
