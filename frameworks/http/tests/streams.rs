//! Answers that come bit by bit.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use polyport_bootstrap::{
    Fault,
    operation::{ByteStream, Items},
    testing::create_bootstrap,
};
use polyport_http::{HttpRoutes, LastEventId, ServerEvent, testing::HttpTest};
use serde_json::{Value, json};
use support::{Raw, bootstrap, serve, within};
use tokio::sync::{Notify, mpsc};

async fn count() -> Result<Items<Value>, Fault> {
    Ok(Items::new(stream::iter((1..=3).map(|n| Ok::<_, Fault>(json!({ "n": n }))))))
}

async fn fails() -> Result<Items<u32>, Fault> {
    let items = [Ok(1), Err(Fault::not_found("GONE", "no more")), Ok(2)];
    Ok(Items::new(stream::iter(items)))
}

async fn panics() -> Result<Items<u32>, Fault> {
    let items = stream::iter(1..=2).map(|n| if n == 2 { panic!("secret") } else { n });
    Ok(Items::new(items.map(Ok::<_, Fault>)))
}

async fn broken_json() -> Result<Items<Box<serde_json::value::RawValue>>, Fault> {
    let raw = serde_json::value::RawValue::from_string("{\n\"a\":\r\n1}".to_owned());
    Ok(Items::new(stream::iter([
        raw.map_err(|e| Fault::internal(polyport_bootstrap::Error::from(e)))
    ])))
}

/// Never ends, and never says anything after the first item.
async fn endless() -> Result<Items<u32>, Fault> {
    Ok(Items::new(stream::iter([Ok::<_, Fault>(1)]).chain(stream::pending())))
}

fn routes(r: HttpRoutes) -> HttpRoutes {
    r.get("/count", count)
        .get("/fails", fails)
        .get("/panics", panics)
        .get("/raw", broken_json)
        .get("/endless", endless)
        .get("/flood", async || Ok::<_, Fault>(Items::new(stream::repeat(7).map(Ok::<_, Fault>))))
}

#[tokio::test]
async fn items_are_json_lines_or_events_as_the_client_asks() {
    within(async {
        let app = serve(routes).await;
        let reply = app.http().get("/count").await;
        assert_eq!(reply.header("content-type"), Some("application/jsonl"));
        assert_eq!(reply.header("vary"), Some("accept"));
        assert_eq!(reply.text(), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
        let reply = app.http().get("/count").header("accept", "text/event-stream").await;
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        assert_eq!(reply.text(), "data: {\"n\":1}\n\ndata: {\"n\":2}\n\ndata: {\"n\":3}\n\n");
        let reply = app.http().get("/raw").header("accept", "text/event-stream").await;
        assert_eq!(reply.text(), "data: { \"a\":  1}\n\n", "an event is one line");
        let reply = app.http().head("/count").await;
        assert_eq!((reply.header("content-type"), reply.text()), (Some("application/jsonl"), ""));
    })
    .await;
}

async fn ticks(LastEventId(last): LastEventId) -> Result<Items<ServerEvent>, Fault> {
    let first = last.map_or(1, |last| last.parse::<u32>().map_or(99, |last| last + 1));
    let tick = |n: u32| Ok::<_, Fault>(ServerEvent::json(&json!({ "n": n }))?.event("tick").id(n));
    let bye = ServerEvent::text("good\nbye").retry(Duration::from_secs(3));
    Ok(Items::new(stream::iter([tick(first), Ok(bye)])))
}

#[tokio::test]
async fn events_have_names_ids_and_times_and_go_on_where_the_client_was() {
    within(async {
        let app = serve(|r| r.get("/ticks", ticks)).await;
        let events = async |last: &str| {
            let request = app.http().get("/ticks").header("accept", "text/event-stream");
            request.header("last-event-id", last).await.text().to_owned()
        };
        let bye = "retry: 3000\ndata: good\ndata: bye\n\n";
        let first = "event: tick\nid: 1\ndata: {\"n\":1}\n\n";
        assert_eq!(events("").await, format!("{first}{bye}"));
        let eighth = "event: tick\nid: 8\ndata: {\"n\":8}\n\n";
        assert_eq!(events("7").await, format!("{eighth}{bye}"));
        let lines = app.http().get("/ticks").await;
        let tick = r#"{"event":"tick","id":"1","data":{"n":1}}"#;
        let bye = r#"{"retry":3000,"data":"good\nbye"}"#;
        assert_eq!(lines.text(), format!("{tick}\n{bye}\n"));
    })
    .await;
}

#[tokio::test]
async fn a_fault_or_a_panic_is_the_last_of_the_items() {
    within(async {
        let app = create_bootstrap(bootstrap(routes)).config("http.envelope", "return-code").await;
        let app = app.expect("it starts");
        let reply = app.http().get("/fails").header("accept", "text/event-stream").await;
        let fault = r#"{"returnCode":"ERR40400","errorMessage":"no more"}"#;
        assert_eq!(reply.text(), format!("data: 1\n\nevent: exception\ndata: {fault}\n\n"));
        let reply = app.http().get("/fails").await;
        assert_eq!(reply.text(), format!("1\n{{\"event\":\"exception\",\"data\":{fault}}}\n"));
        let reply = app.http().get("/panics").await;
        let (first, last) = reply.text().split_once('\n').expect("two lines");
        let last: Value = serde_json::from_str(last).expect("JSON");
        assert_eq!((first, &last["data"]["returnCode"]), ("1", &json!("ERR50000")));
        assert!(!reply.text().contains("secret"));
    })
    .await;
}

#[tokio::test]
async fn a_silent_stream_of_events_shows_that_it_lives() {
    within(async {
        let app = create_bootstrap(bootstrap(routes)).config("http.sse_keep_alive", "10ms").await;
        let app = app.expect("it starts");
        let mut raw = Raw::connect(&app).await;
        raw.send("GET /endless HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n").await;
        raw.until("data: 1\n\n").await;
        raw.until(":\n\n").await;
        raw.until(":\n\n").await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_when_its_caller_waits_no_longer() {
    within(async {
        // The framework's time ends when the answer begins, the caller's does not.
        let app = create_bootstrap(bootstrap(routes)).config("http.timeout", "20ms").await;
        let app = app.expect("it starts");
        let began = std::time::Instant::now();
        let patient = |path: &str| app.http().get(path).header("x-request-timeout-ms", "60");
        let reply = patient("/endless").await;
        let (first, last) = reply.text().split_once('\n').expect("two lines");
        let last: Value = serde_json::from_str(last).expect("JSON");
        assert_eq!((first, &last["data"]["reason"]), ("1", &json!("DEADLINE_EXCEEDED")));
        assert!(began.elapsed() >= Duration::from_millis(60), "{:?}", began.elapsed());
        let reply = patient("/endless").header("accept", "text/event-stream").await;
        assert!(reply.text().starts_with("data: 1\n\nevent: exception\ndata: {"), "{reply:?}");
        assert!(reply.text().contains("DEADLINE_EXCEEDED"), "{reply:?}");
        // One that always has something comes to its end as well.
        assert!(patient("/flood").await.text().contains("DEADLINE_EXCEEDED"));
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_with_the_process_and_does_not_hold_its_stop() {
    within(async {
        let app = serve(routes).await;
        let mut raw = Raw::connect(&app).await;
        raw.send("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await;
        raw.until("1\n").await;
        let began = std::time::Instant::now();
        let (closed, end) = tokio::join!(app.close(), raw.until("0\r\n\r\n"));
        closed.expect("nothing was cut");
        assert!(end.contains("\"STOPPING\""), "{end}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test]
async fn events_of_a_mounted_router_do_not_hold_a_stop_either() {
    within(async {
        let events = async || {
            let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from("data: 1\n\n"))]);
            let body = axum::body::Body::from_stream(first.chain(stream::pending()));
            ([("content-type", "text/event-stream")], body)
        };
        let router = axum::Router::new().route("/events", axum::routing::get(events));
        let app = serve(move |r| r.mount("/live", router.clone())).await;
        let mut raw = Raw::connect(&app).await;
        raw.send("GET /live/events HTTP/1.1\r\nhost: a\r\n\r\n").await;
        raw.until("data: 1\n\n").await;
        let began = std::time::Instant::now();
        app.close().await.expect_err("it knows nothing of the stop, and is cut");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    })
    .await;
}

/// Says when it is dropped.
struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_stream_is_dropped_when_its_client_leaves() {
    within(async {
        let dropped = Arc::new(Notify::new());
        let notify = Arc::clone(&dropped);
        let app = serve(move |r| {
            let notify = Arc::clone(&notify);
            let held = async move || {
                let held = Dropped(Arc::clone(&notify));
                let items = stream::iter([1]).chain(stream::pending());
                let items = items.map(move |n: u32| {
                    let _ = &held;
                    Ok::<_, Fault>(n)
                });
                Ok::<_, Fault>(Items::new(items))
            };
            r.get("/held", held)
        })
        .await;
        let mut raw = Raw::connect(&app).await;
        raw.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n").await;
        raw.until("1\n").await;
        drop(raw);
        dropped.notified().await;
    })
    .await;
}

#[tokio::test]
async fn bytes_are_sent_as_they_come_and_a_fault_breaks_the_connection() {
    within(async {
        let app = serve(|r| {
            r.get("/whole", async || {
                let pieces = ["ab", "cd"].map(|piece| Ok::<_, Fault>(Bytes::from(piece)));
                Ok::<_, Fault>(ByteStream::new("text/plain", stream::iter(pieces)).length(4))
            })
            .get("/broken", async || {
                let pieces =
                    [Ok(Bytes::from("ab")), Err(Fault::unavailable("LOST", "the source is gone"))];
                Ok::<_, Fault>(ByteStream::new("text/plain", stream::iter(pieces)))
            })
            .get("/panics", async || {
                let pieces = stream::iter(1..3).map(|n| match n {
                    1 => Ok::<_, Fault>(Bytes::from("ab")),
                    _ => panic!("in the middle"),
                });
                Ok::<_, Fault>(ByteStream::new("text/plain", pieces))
            })
            .get("/short", async || {
                let pieces = stream::iter([Ok::<_, Fault>(Bytes::from("ab"))]);
                Ok::<_, Fault>(ByteStream::new("text/plain", pieces).length(4))
            })
            .get("/long", async || {
                let pieces = stream::iter([Ok::<_, Fault>(Bytes::from("abcdef"))]);
                Ok::<_, Fault>(ByteStream::new("text/plain", pieces).length(4))
            })
        })
        .await;
        let reply = app.http().get("/whole").await;
        assert_eq!((reply.header("content-length"), reply.text()), (Some("4"), "abcd"));
        let reply = app.http().head("/whole").await;
        assert_eq!((reply.header("content-length"), reply.text()), (Some("4"), ""));
        for path in ["/broken", "/panics", "/short", "/long"] {
            let cut = app.http().get(path).send().await;
            assert!(cut.is_err(), "{path} looks whole: {cut:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn items_go_out_when_they_are_there() {
    within(async {
        let (sender, receiver) = mpsc::channel::<u32>(1);
        let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
        let taken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&taken);
        let app = serve(move |r| {
            let (receiver, flag) = (Arc::clone(&receiver), Arc::clone(&flag));
            r.get("/live", async move || {
                let receiver = receiver.lock().ok().and_then(|mut slot| slot.take());
                let receiver = receiver.ok_or_else(|| Fault::not_found("TAKEN", "taken"))?;
                flag.store(true, SeqCst);
                let items = stream::unfold(receiver, async |mut receiver| {
                    receiver.recv().await.map(|n| (Ok::<_, Fault>(n), receiver))
                });
                Ok::<_, Fault>(Items::new(items))
            })
        })
        .await;
        let mut raw = Raw::connect(&app).await;
        raw.send("GET /live HTTP/1.1\r\nhost: a\r\n\r\n").await;
        for n in [7, 8, 9] {
            sender.send(n).await.expect("it is listened to");
            raw.until(&format!("{n}\n")).await;
        }
        drop(sender);
        raw.until("0\r\n\r\n").await;
        assert!(taken.load(SeqCst));
    })
    .await;
}
