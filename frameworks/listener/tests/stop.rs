//! The ordered stop: nothing that was asked is left unanswered, and nobody can hold it up.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use polyport_listener::{
    Handler, ListenerSettings, LongLived, ResponseBody, Server, SharedListener, handler_fn,
};
use support::{
    Gate, LONG, Raw, eventually,
    frames::{ACK, DATA, GOAWAY, HEADERS, PING, RawHttp2, WINDOW_UPDATE, frame, get_frame},
    get, hello, http2, is_refused, patient, serve, start_with, within,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::timeout,
};

/// More than the time for which connections without a call are waited for.
const BEYOND_GRACE: Duration = Duration::from_millis(800);

async fn is_pending(future: impl Future) -> bool {
    timeout(BEYOND_GRACE, future).await.is_err()
}

/// A server that waits longer than any test may take where it waits for a grace at all.
async fn serve_patiently(handler: impl Handler) -> Server {
    start_with(&SharedListener::new("test"), handler, patient()).await
}

#[tokio::test]
async fn a_slow_request_is_answered_while_new_clients_are_refused() {
    let gate = Gate::new();
    let (_shared, server) = serve(gate.handler()).await;
    let mut client = Raw::connect(server.local_addr().unwrap()).await;
    client.send("/").await;
    gate.reached().await;

    within(server.stop_intake()).await;
    assert!(is_refused(server.local_addr().unwrap()).await);
    assert!(is_pending(server.drain()).await);
    assert_eq!(server.active(), 1);

    gate.open();
    let reply = client.reply().await;
    assert_eq!((reply.body.as_str(), reply.closes()), ("done", true));
    assert!(client.rest().await.is_empty());
    within(server.drain()).await;
    assert_eq!((server.active(), server.connections()), (0, 0));
    assert_eq!(within(server.close(LONG)).await, 0);
}

#[tokio::test]
async fn http2_calls_are_answered_and_the_connection_ends() {
    let gate = Gate::new();
    let (_shared, server) = serve(gate.handler()).await;
    let (mut client, connection) = http2(server.local_addr().unwrap()).await;
    let call = client.send_request(get("/"));
    gate.reached().await;

    assert!(is_pending(server.drain()).await);
    gate.open();
    let answer = within(call).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(answer.to_bytes(), "done");
    within(server.drain()).await;
    within(connection).await.unwrap();
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_idle_http2_client_gets_goaway_and_does_not_hold() {
    let server = serve_patiently(hello()).await;
    let (mut client, connection) = http2(server.local_addr().unwrap()).await;
    within(client.send_request(get("/"))).await.unwrap();

    within(server.drain()).await;
    within(connection).await.unwrap();
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn idle_and_silent_clients_do_not_hold() {
    let server = serve_patiently(hello()).await;
    let mut idle = Raw::connect(server.local_addr().unwrap()).await;
    idle.get("/").await;
    let mut silent = Raw::connect(server.local_addr().unwrap()).await;
    eventually("both are connected", || server.connections() == 2).await;

    within(server.drain()).await;
    assert!(idle.rest().await.is_empty() && silent.rest().await.is_empty());
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn half_a_head_does_not_hold() {
    let (_shared, server) = serve(hello()).await;
    let mut fresh = Raw::connect(server.local_addr().unwrap()).await;
    fresh.write("GET / HTTP/1.1\r\nHo").await;
    let mut used = Raw::connect(server.local_addr().unwrap()).await;
    used.get("/").await;
    used.write("GET / HTTP/1.1\r\nHo").await;
    eventually("both are connected", || server.connections() == 2).await;

    within(server.drain()).await;
    assert!(fresh.rest().await.is_empty() && used.rest().await.is_empty());
}

#[tokio::test]
async fn a_client_that_still_sends_reads_its_answer_to_the_end() {
    // More than the client has room for, and less than the system takes.
    const LENGTH: usize = 100_000;
    /// By which h2 learns that all requests have come that the client sent before it knew.
    const LAST_PING: [u8; 8] = [0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54];
    let handler = handler_fn(async |_| Response::new(ResponseBody::from(vec![b'x'; LENGTH])));
    let server = serve_patiently(handler).await;
    let window = [0, 4, 0x7f, 0xff, 0xff, 0xff];
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = within(socket.connect(server.local_addr().unwrap())).await.unwrap();
    let mut client = RawHttp2::over(stream, &window).await;
    let all = frame(WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes());
    client.write(&[all, get_frame(1)].concat()).await;
    assert_eq!(client.next(HEADERS).await.stream, 1);

    let server = Arc::new(server);
    let stopping = Arc::clone(&server);
    let draining = tokio::spawn(async move { stopping.drain().await });
    eventually("all is written", || server.active() == 0).await;
    // The client cannot know of the ping that it answers: it has read nothing.
    let sent = [frame(PING, ACK, 0, &LAST_PING), frame(PING, 0, 0, &[1; 8])].concat();
    for _ in 0..100 {
        // A server that closes now is not to be found any more.
        let _ = client.0.write_all(&sent).await;
        tokio::task::yield_now().await;
    }
    let frames = client.rest().await;
    let answer = frames.iter().filter(|frame| frame.kind == DATA);
    assert_eq!(answer.map(|frame| frame.payload.len()).sum::<usize>(), LENGTH);
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY));
    drop(client);
    within(draining).await.unwrap();
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_dead_http2_peer_holds_for_the_grace_and_no_longer() {
    let (_shared, server) = serve(hello()).await;
    let mut dead = Raw::connect(server.local_addr().unwrap()).await;
    // The connection preface and empty SETTINGS (RFC 9113, 3.4), then nothing, not even PONG.
    dead.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    within(dead.0.read_u8()).await.unwrap();

    within(server.drain()).await;
    eventually("it is ended", || server.connections() == 0).await;
}

#[tokio::test]
async fn close_without_drain_ends_a_dead_peer_early_and_does_not_count_it() {
    let (_shared, server) = serve(hello()).await;
    let mut half = Raw::connect(server.local_addr().unwrap()).await;
    half.write("GET / HTTP/1.1\r\nHo").await;
    eventually("it is connected", || server.connections() == 1).await;

    assert_eq!(within(server.close(LONG * 2)).await, 0);
    assert!(half.rest().await.is_empty());
}

#[tokio::test]
async fn close_without_grace_counts_no_idle_client() {
    let server = serve_patiently(hello()).await;
    let mut idle = Raw::connect(server.local_addr().unwrap()).await;
    idle.get("/").await;
    assert_eq!(within(server.close(Duration::ZERO)).await, 0);
    assert!(idle.rest().await.is_empty());
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_request_on_its_way_when_the_stop_begins_is_answered() {
    let shared = SharedListener::new("test");
    let listening = shared.bind("127.0.0.1", 0).await.unwrap().listen().unwrap();
    let addr = listening.local_addr().unwrap();
    // Connected and asked before anything is accepted: all wait in the system's queue.
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = Raw::connect(addr).await;
        client.send("/").await;
        clients.push(client);
    }
    let settings = ListenerSettings::default();
    let server = shared.serve([listening], Arc::new(hello()), &settings).unwrap();

    within(server.drain()).await;
    for mut client in clients {
        let reply = client.reply().await;
        assert_eq!((reply.body.as_str(), reply.closes()), ("hello", true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_ask_without_a_pause_lose_nothing() {
    let (_shared, server) = serve(hello()).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..16)
        .map(|_| tokio::spawn(ask_until_told(server.local_addr().unwrap(), Arc::clone(&answered))))
        .collect();
    eventually("the clients are at work", || answered.load(SeqCst) > 500).await;

    within(server.drain()).await;
    for client in clients {
        within(client).await.expect("a request was lost");
    }
    assert_eq!(within(server.close(LONG)).await, 0);
}

async fn ask_until_told(addr: std::net::SocketAddr, answered: Arc<AtomicUsize>) {
    let mut client = Raw::connect(addr).await;
    while !client.get("/").await.closes() {
        answered.fetch_add(1, SeqCst);
    }
    assert!(client.rest().await.is_empty());
}

/// Sends "tick" and then nothing until the listener closes, then "bye".
fn stream(shared: &SharedListener, until_closing: bool) -> impl Handler + use<> {
    let closing = shared.closing();
    handler_fn(move |_| {
        let closing = closing.clone();
        let last = async move {
            if until_closing {
                closing.cancelled().await
            } else {
                std::future::pending().await
            }
            Ok::<_, String>(Frame::data(Bytes::from_static(b"bye")))
        };
        let first = async { Ok(Frame::data(Bytes::from_static(b"tick"))) };
        let frames = futures_util::StreamExt::chain(
            futures_util::stream::once(first),
            futures_util::stream::once(last),
        );
        let mut response = Response::new(ResponseBody::boxed(StreamBody::new(frames)));
        response.extensions_mut().insert(LongLived);
        std::future::ready(response)
    })
}

async fn with_stream(until_closing: bool) -> (Server, Raw) {
    let shared = SharedListener::new("test");
    let server = start_with(&shared, stream(&shared, until_closing), patient()).await;
    let mut client = Raw::connect(server.local_addr().unwrap()).await;
    client.send("/").await;
    client.head().await;
    let mut tick = [0; 9];
    within(client.0.read_exact(&mut tick)).await.unwrap();
    assert_eq!(&tick, b"4\r\ntick\r\n");
    (server, client)
}

#[tokio::test]
async fn a_long_lived_stream_does_not_hold_and_ends_when_it_is_told() {
    let (server, mut client) = with_stream(true).await;
    assert_eq!((server.active(), server.connections()), (0, 1));

    within(server.drain()).await;
    assert_eq!(server.connections(), 1);
    assert_eq!(within(server.close(LONG)).await, 0);
    assert_eq!(client.rest().await, b"3\r\nbye\r\n0\r\n\r\n");
}

#[tokio::test]
async fn what_does_not_end_is_cut_after_the_grace_and_counted() {
    let (server, mut client) = with_stream(false).await;
    let grace = Duration::from_millis(700);
    let begun = Instant::now();
    assert_eq!(within(server.close(grace)).await, 1);
    assert!(begun.elapsed() >= grace);
    assert!(client.rest().await.is_empty());
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_call_that_drain_gave_up_on_is_cut_by_close() {
    let gate = Gate::new();
    let (_shared, server) = serve(gate.handler()).await;
    let (mut client, _connection) = http2(server.local_addr().unwrap()).await;
    let call = client.send_request(get("/"));
    gate.reached().await;
    assert!(is_pending(server.drain()).await);

    assert_eq!(within(server.close(Duration::ZERO)).await, 1);
    within(call).await.unwrap_err();
    assert_eq!((server.active(), server.connections()), (0, 0));
}

#[tokio::test]
async fn a_stop_may_be_repeated_and_cut_short() {
    let (shared, server) = serve(hello()).await;
    drop(timeout(Duration::ZERO, server.drain()).await);
    for _ in 0..2 {
        within(server.stop_intake()).await;
        within(server.drain()).await;
        assert_eq!(within(server.close(LONG)).await, 0);
    }
    shared.spawn(|| async { panic!("nothing begins after the end") });
    assert_eq!(server.sockets(), 0);
}
