//! What peers may ask for, and what they get beyond that.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use polyport_listener::{BodyTooSlow, Handler, Limits, ResponseBody, handler_fn};
use support::{
    Gate, LONG, Raw, at, eventually, get, hello, http2, is_pending, limited, serve_with, text,
    within,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

/// Longer than a busy machine lets anybody wait, shorter than a test may take.
const SOON: Duration = Duration::from_millis(600);

#[tokio::test]
async fn a_peer_with_too_many_connections_gets_no_further_one_until_one_ends() {
    let limits = Limits { connections_per_peer: 2, ..Limits::default() };
    let (_shared, server) = serve_with(hello(), limited(limits)).await;
    let mut first = Raw::connect(at(&server)).await;
    let mut second = Raw::connect(at(&server)).await;
    assert_eq!(first.get("/").await.body, "hello");
    Raw::connect(at(&server)).await.is_cut().await;
    assert_eq!(second.get("/").await.body, "hello");

    drop(first);
    eventually("its place is free", || server.connections() == 1).await;
    assert_eq!(Raw::connect(at(&server)).await.get("/").await.body, "hello");
}

#[tokio::test]
async fn beyond_the_total_clients_wait_until_a_connection_ends() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let (_shared, server) = serve_with(hello(), limited(limits)).await;
    let mut first = Raw::connect(at(&server)).await;
    let mut second = Raw::connect(at(&server)).await;
    assert_eq!((first.get("/").await.body, second.get("/").await.body).0, "hello");
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut client = Raw::connect(at(&server)).await;
        client.send("/").await;
        waiting.push(client);
    }
    assert!(is_pending(waiting[0].0.read_u8()).await);
    assert_eq!(server.connections(), 2);

    drop((first, second));
    for mut client in waiting {
        assert_eq!(client.reply().await.body, "hello");
    }
}

#[tokio::test]
async fn clients_that_wait_beyond_the_total_are_answered_when_the_intake_stops() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let (_shared, server) = serve_with(hello(), limited(limits)).await;
    let mut first = Raw::connect(at(&server)).await;
    first.get("/").await;
    let mut waiting = Raw::connect(at(&server)).await;
    waiting.send("/").await;
    within(server.drain()).await;
    assert_eq!(waiting.reply().await.body, "hello");
}

#[tokio::test]
async fn long_heads_and_many_headers_are_answered_with_431() {
    let limits = Limits { header_size: 2048, header_count: 10, ..Limits::default() };
    let (_shared, server) = serve_with(hello(), limited(limits)).await;
    let long = format!("X: {}\r\n", "x".repeat(4096));
    let many: String = (0..20).map(|index| format!("X-{index}: 1\r\n")).collect();
    for headers in [long, many] {
        let mut client = Raw::connect(at(&server)).await;
        client.write(&format!("GET / HTTP/1.1\r\nHost: test\r\n{headers}\r\n")).await;
        assert!(client.head().await.starts_with("HTTP/1.1 431 "));
        client.is_cut().await;
    }
    let (mut client, _connection) = http2(at(&server)).await;
    let long = Request::get("http://test/").header("x", "x".repeat(4096));
    let many = (0..20).fold(Request::get("http://test/"), |request, index| {
        request.header(format!("x-{index}"), "1")
    });
    for request in [long, many] {
        let request = request.body(Full::default()).unwrap();
        let status = within(client.send_request(request)).await.map(|answer| answer.status());
        assert_eq!(status.unwrap(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    assert_eq!(within(client.send_request(get("/"))).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_ends_the_connection() {
    let limits = Limits { header_timeout: SOON, ..Limits::default() };
    let (_shared, server) = serve_with(hello(), limited(limits)).await;
    let mut begun = Raw::connect(at(&server)).await;
    let mut kept = Raw::connect(at(&server)).await;
    assert_eq!(kept.get("/").await.body, "hello");
    let since = Instant::now();
    kept.write("GET / HT").await;
    begun.write("GET / HTTP/1.1\r\nHo").await;
    kept.is_cut().await;
    begun.is_cut().await;
    assert!(since.elapsed() < SOON * 10, "{:?}", since.elapsed());
}

#[tokio::test]
async fn bytes_that_trickle_in_do_not_buy_a_head_more_time() {
    let limits = Limits { header_timeout: SOON, ..Limits::default() };
    let (_shared, server) = serve_with(hello(), limited(limits)).await;
    let mut client = Raw::connect(at(&server)).await;
    let trickle = async {
        client.write("GET / HTTP/1.1\r\nX: ").await;
        while client.0.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    within(trickle).await;
    eventually("it is closed", || server.connections() == 0).await;
}

#[tokio::test]
async fn idle_connections_end_and_used_ones_do_not() {
    let limits = Limits { idle_timeout: SOON, ..Limits::default() };
    let (_shared, server) = serve_with(hello(), limited(limits)).await;
    let mut idle = Raw::connect(at(&server)).await;
    let (_idle, connection) = http2(at(&server)).await;
    let mut used = Raw::connect(at(&server)).await;
    assert_eq!(idle.get("/").await.body, "hello");
    for _ in 0..20 {
        assert_eq!(used.get("/").await.body, "hello");
        sleep(SOON / 5).await;
    }
    idle.is_cut().await;
    within(connection).await.unwrap();
    eventually("only the used one is left", || server.connections() <= 1).await;
}

#[tokio::test]
async fn a_call_is_no_idleness() {
    let limits = Limits { idle_timeout: SOON, header_timeout: SOON, ..Limits::default() };
    let gate = Gate::new();
    let (_shared, server) = serve_with(gate.handler(), limited(limits)).await;
    let mut one = Raw::connect(at(&server)).await;
    one.send("/").await;
    gate.reached().await;
    sleep(SOON * 3).await;
    gate.open();
    assert_eq!(one.reply().await.body, "done");
}

/// Says how the body of a request ended.
fn reader() -> impl Handler {
    handler_fn(async |request: Request<polyport_listener::RequestBody>| {
        match request.into_body().collect().await {
            Ok(body) => Response::new(ResponseBody::from(body.to_bytes().len().to_string())),
            Err(error) if error.is::<BodyTooSlow>() => text("too slow"),
            Err(_) => text("broken"),
        }
    })
}

fn rated() -> Limits {
    Limits { body_rate: 1000, body_grace: SOON, ..Limits::default() }
}

#[tokio::test]
async fn a_body_that_stands_still_is_not_waited_for() {
    let (_shared, server) = serve_with(reader(), limited(rated())).await;
    let mut client = Raw::connect(at(&server)).await;
    client.write("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nabc").await;
    assert_eq!(client.reply().await.body, "too slow");
    client.is_cut().await;
}

#[tokio::test]
async fn a_body_that_trickles_in_is_not_waited_for() {
    let (_shared, server) = serve_with(reader(), limited(rated())).await;
    let mut client = Raw::connect(at(&server)).await;
    client.write("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9999\r\n\r\n").await;
    let (reader, mut writer) = client.0.into_inner().into_split();
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    let mut answer = String::new();
    let _ = within(tokio::io::BufReader::new(reader).read_to_string(&mut answer)).await;
    assert!(answer.ends_with("too slow"), "{answer}");
    trickle.abort();
}

#[tokio::test]
async fn a_body_that_comes_fast_enough_is_read_to_its_end() {
    let (_shared, server) = serve_with(reader(), limited(rated())).await;
    let mut client = Raw::connect(at(&server)).await;
    client.write("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4000\r\n\r\n").await;
    for _ in 0..8 {
        client.write(&"x".repeat(500)).await;
        sleep(SOON / 3).await;
    }
    assert_eq!(client.reply().await.body, "4000");
}

fn large() -> impl Handler {
    handler_fn(async |_| Response::new(vec![b'x'; 64 << 20].into()))
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut() {
    let limits = Limits { write_timeout: SOON, ..Limits::default() };
    let (_shared, server) = serve_with(large(), limited(limits)).await;
    let mut client = Raw::connect(at(&server)).await;
    client.send("/").await;
    client.head().await;
    eventually("it is cut", || server.connections() == 0).await;
    let mut rest = Vec::new();
    assert!(within(client.0.read_to_end(&mut rest)).await.is_err(), "reset, not closed");
}

#[tokio::test]
async fn a_peer_that_leaves_a_stream_of_http2_unread_is_cut() {
    let limits = Limits { write_timeout: SOON, ..Limits::default() };
    let (_shared, server) = serve_with(large(), limited(limits)).await;
    let (mut client, connection) = http2(at(&server)).await;
    // The connection itself is read, only that there is room for more is never said.
    let _unread = within(client.send_request(get("/"))).await.unwrap();
    within(connection).await.unwrap();
    eventually("it is cut", || server.connections() == 0).await;
}

#[tokio::test]
async fn a_peer_that_reads_slowly_is_served_to_the_end() {
    let limits = Limits { write_timeout: SOON, ..Limits::default() };
    let (_shared, server) = serve_with(large(), limited(limits)).await;
    let mut client = Raw::connect(at(&server)).await;
    client.send("/").await;
    client.head().await;
    let (mut total, mut piece) = (0, vec![0; 4 << 20]);
    while total < 64 << 20 {
        let read = within(client.0.read(&mut piece)).await.unwrap();
        assert_ne!(read, 0, "ended after {total}");
        total += read;
        if total % 3 == 0 {
            sleep(Duration::from_millis(15)).await;
        }
    }
}

#[tokio::test]
async fn many_bad_peers_do_not_keep_a_good_one_from_being_served() {
    let limits = Limits { header_timeout: LONG * 3, ..Limits::default() };
    let (_shared, server) = serve_with(reader(), limited(limits)).await;
    let mut bad = Vec::new();
    for index in 0..300 {
        let mut client = Raw::connect(at(&server)).await;
        let words =
            ["GET / HTTP/1.1\r\nX", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"];
        client.write(words[index % 2]).await;
        bad.push(client);
    }
    let mut good = Raw::connect(at(&server)).await;
    for _ in 0..50 {
        assert_eq!(good.get("/").await.body, "0");
    }
}

/// A body that has always something more, and counts how much was asked for.
struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])))))
    }
}

#[tokio::test]
async fn an_answer_that_never_waits_lets_others_have_their_turn() {
    let asked = Arc::new(AtomicUsize::new(0));
    let endless = {
        let asked = Arc::clone(&asked);
        handler_fn(move |_| {
            let body = ResponseBody::boxed(Endless(Arc::clone(&asked)));
            async move { Response::new(body) }
        })
    };
    let (_shared, server) = serve_with(endless, limited(Limits::default())).await;
    let mut client = Raw::connect(at(&server)).await;
    client.send("/").await;
    // On one thread the server has a turn for each of this task's.
    let watching = tokio::spawn(async move {
        let (mut before, mut most) = (0, 0);
        while before < 1000 {
            end_of_turn().await;
            let now = asked.load(SeqCst);
            most = most.max(now - before);
            before = now;
        }
        most
    });
    let most = within(watching).await.unwrap();
    assert!(most <= 64, "{most} pieces in one turn");
}

/// Lets every other task that is ready have one turn: tokio's own yield waits for the driver, too.
async fn end_of_turn() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
