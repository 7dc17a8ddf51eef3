//! Events that wait for no other.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures_util::stream;
use polyport_bootstrap::{
    Fault, Module, ModuleBuilder, Result,
    operation::{Inject, Input, Items},
};
use polyport_websocket::{WebSocketModule, testing::WebSocketTest};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::{Number, chat, eventually, within};

/// How many events run, and who lets them end.
struct Works {
    running: AtomicUsize,
    most: AtomicUsize,
    done: Semaphore,
}

async fn work(
    Inject(works): Inject<Works>,
    Input(Number(number)): Input<Number>,
) -> Result<u32, Fault> {
    let running = works.running.fetch_add(1, SeqCst) + 1;
    works.most.fetch_max(running, SeqCst);
    works.done.acquire().await.expect("never closed").forget();
    works.running.fetch_sub(1, SeqCst);
    Ok(number)
}

async fn quick(Input(Number(number)): Input<Number>) -> Result<u32, Fault> {
    Ok(number)
}

async fn count(Input(Number(number)): Input<Number>) -> Result<Items<u32>, Fault> {
    Ok(Items::new(stream::iter((0..number).map(Ok::<_, Fault>))))
}

struct Working(Arc<Works>);

impl Working {
    fn new() -> Self {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Works { running, most, done: Semaphore::new(0) }))
    }
}

impl Module for Working {
    fn name(&self) -> &'static str {
        "working"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::clone(&self.0));
        m.websocket(|g| {
            g.on("slow", work)
                .on("quick", quick)
                .on_independent("work", work)
                .on_independent("ping", quick)
                .on_independent("count", count)
        });
        Ok(())
    }
}

#[tokio::test]
async fn an_independent_event_overtakes_others_which_keep_their_order() {
    let module = Working::new();
    let works = Arc::clone(&module.0);
    let app = chat(module).await.unwrap();
    let mut client = app.websocket("/ws").await;
    for (event, id) in [("slow", 1), ("quick", 2), ("ping", 3)] {
        let frame = json!({ "event": event, "data": id, "id": id });
        client.send_text(&frame.to_string()).await;
    }
    assert_eq!(
        client.call("count", &2).await["data"]["data"],
        0,
        "nothing came before but the ping"
    );
    assert_eq!(client.expect_frame("ping").await["data"]["data"], 3);
    works.done.add_permits(1);
    for (event, id) in [("slow", 1), ("quick", 2)] {
        let polyport_websocket::testing::Received::Frame(frame) = skip_count(&mut client).await
        else {
            panic!("closed")
        };
        assert_eq!((frame["event"].as_str(), frame["id"].as_u64()), (Some(event), Some(id)));
    }
    app.close().await.unwrap();
}

/// The next that is no item of `count`.
async fn skip_count(
    client: &mut polyport_websocket::testing::WebSocketClient,
) -> polyport_websocket::testing::Received {
    loop {
        match client.next().await {
            polyport_websocket::testing::Received::Frame(frame) if frame["event"] == "count" => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn so_many_run_at_once_and_the_others_follow() {
    let module = Working::new();
    let works = Arc::clone(&module.0);
    let app = chat(module).config("websocket.max_concurrent_events", 3).await.unwrap();
    let mut client = app.websocket("/ws").await;
    let ask = |id: u32| json!({ "event": "work", "data": id, "id": id }).to_string();
    for id in 0..10 {
        client.send_text(&ask(id)).await;
    }
    eventually("three run", || works.running.load(SeqCst) == 3).await;
    // Others still have their turn.
    assert_eq!(client.call("quick", &1).await["data"]["data"], 1);
    // Of so many not all are read at once.
    for id in 10..40 {
        client.send_text(&ask(id)).await;
    }
    works.done.add_permits(40);
    let mut answered: Vec<u64> = Vec::new();
    for _ in 0..40 {
        answered.push(client.expect_frame("work").await["id"].as_u64().unwrap());
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..40).collect::<Vec<_>>());
    assert_eq!(works.most.load(SeqCst), 3);
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_stop_waits_for_those_that_run() {
    let module = Working::new();
    let works = Arc::clone(&module.0);
    let app = chat(module).await.unwrap();
    let mut client = app.websocket("/ws").await;
    for id in 0..2 {
        client.send_text(&json!({ "event": "work", "data": id, "id": id }).to_string()).await;
    }
    eventually("both run", || works.running.load(SeqCst) == 2).await;
    let closing = tokio::spawn(app.close());
    works.done.add_permits(2);
    for _ in 0..2 {
        client.expect_frame("work").await;
    }
    assert_eq!(client.expect_close().await.0, 1001);
    within(closing).await.unwrap().unwrap();
}
