//! HTTP/2 peers that ask for more than they may.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::{
    net::TcpStream,
    sync::{Arc, OnceLock},
    time::Duration,
};

use polyport_listener::{Http2Limits, Limits, Server, SharedListener, handler_fn};
use support::{
    Gate, Raw, at, eventually,
    frames::{ACK, GOAWAY, HEADERS, PING, RST_STREAM, RawHttp2, SETTINGS, frame, get_frame},
    hello, limited, serve, serve_with, text, within,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Error codes (RFC 9113, section 7).
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Longer than a busy machine lets anybody wait, shorter than a test may take.
const SOON: Duration = Duration::from_millis(600);

fn http2_limits(http2: Http2Limits) -> Limits {
    Limits { http2, ..Limits::default() }
}

#[tokio::test]
async fn one_stream_too_many_is_refused_and_the_others_go_on() {
    let gate = Gate::new();
    let limits = http2_limits(Http2Limits { streams: 2, ..Http2Limits::default() });
    let (_shared, server) = serve_with(gate.handler(), limited(limits)).await;
    let mut client = RawHttp2::connect(at(&server), &[]).await;
    let said = client.next(SETTINGS).await;
    assert!(said.payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]), "{said:?}");
    client.write(&frame(SETTINGS, ACK, 0, &[])).await;
    client.write(&[get_frame(1), get_frame(3), get_frame(5)].concat()).await;
    let refused = client.next(RST_STREAM).await;
    assert_eq!((refused.stream, refused.code()), (5, REFUSED_STREAM));
    gate.reached().await;
    gate.reached().await;
    gate.open();
    assert!([1, 3].contains(&client.next(HEADERS).await.stream));
}

/// How many answers have come that nobody has read.
fn answers(client: &TcpStream) -> usize {
    let mut bytes = [0; 4096];
    let length = client.peek(&mut bytes).unwrap_or(0);
    let (mut frames, mut count) = (&bytes[..length], 0);
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = frames {
        count += usize::from(*kind == HEADERS);
        frames = rest.get(u32::from_be_bytes([0, *a, *b, *c]) as usize..).unwrap_or(&[]);
    }
    count
}

/// A client that reads nothing by itself, and a server whose calls look what it could read when they
/// begin, and then compute for that long.
struct Watched {
    client: RawHttp2,
    seen: UnboundedReceiver<usize>,
    _server: (SharedListener, Server),
}

impl Watched {
    async fn computing(time: Duration) -> Self {
        let socket = Arc::new(OnceLock::<TcpStream>::new());
        let (saw, seen) = unbounded_channel();
        let client = Arc::clone(&socket);
        let handler = handler_fn(move |_| {
            let (client, saw) = (Arc::clone(&client), saw.clone());
            async move {
                saw.send(answers(client.get().expect("is connected"))).expect("is waited for");
                std::thread::sleep(time);
                text("hello")
            }
        });
        let (shared, server) = serve(handler).await;
        let client = RawHttp2::connect(at(&server), &[]).await.0.into_std().unwrap();
        socket.set(client.try_clone().unwrap()).expect("once");
        let client = RawHttp2(tokio::net::TcpStream::from_std(client).unwrap());
        Self { client, seen, _server: (shared, server) }
    }

    /// How many answers had come when each of these calls began.
    async fn call(&mut self, streams: [u32; 4]) -> Vec<usize> {
        self.client.write(&streams.map(get_frame).concat()).await;
        let mut seen = Vec::new();
        while seen.len() < 4 {
            seen.push(within(self.seen.recv()).await.unwrap());
        }
        seen
    }
}

/// On one thread, which runs first what was woken last.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_answer_does_not_wait_again_for_calls_that_compute() {
    let mut watched = Watched::computing(Duration::from_millis(5)).await;
    assert_eq!(watched.call([1, 3, 5, 7]).await, [0; 4]);
    let seen = watched.call([9, 11, 13, 15]).await;
    assert!(seen.iter().any(|answers| *answers > 4), "one is answered before the next: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calls_that_come_together_are_answered_together() {
    let mut watched = Watched::computing(Duration::ZERO).await;
    assert_eq!(watched.call([1, 3, 5, 7]).await, [0; 4]);
    let client = &mut watched.client;
    let mut answered = Vec::new();
    while answered.len() < 4 {
        answered.push(client.next(HEADERS).await.stream);
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 3, 5, 7]);
}

#[tokio::test]
async fn a_rapid_reset_ends_the_connection_and_costs_nobody_else() {
    let (_shared, server) = serve_with(hello(), limited(Limits::default())).await;
    let mut good = Raw::connect(at(&server)).await;
    let mut bad = RawHttp2::connect(at(&server), &[]).await;
    let flood: Vec<u8> = (0..1000u32)
        .flat_map(|index| {
            let stream = 2 * index + 1;
            [get_frame(stream), frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
        })
        .collect();
    // The server may have had enough before all is sent.
    let _ = within(tokio::io::AsyncWriteExt::write_all(&mut bad.0, &flood)).await;
    let said = bad.rest().await;
    let goaway = said.iter().find(|frame| frame.kind == GOAWAY).expect("a farewell");
    assert_eq!(goaway.code(), ENHANCE_YOUR_CALM);
    assert_eq!(good.get("/").await.body, "hello");
    eventually("no call is left", || (server.active(), server.connections()) == (0, 1)).await;
}

#[tokio::test]
async fn a_flood_of_pings_and_settings_is_cut_and_costs_nobody_else() {
    let (_shared, server) = serve_with(hello(), limited(Limits::default())).await;
    let mut good = Raw::connect(at(&server)).await;
    let bad = RawHttp2::connect(at(&server), &[]).await;
    let (mut reader, mut writer) = bad.0.into_split();
    let flood = [frame(PING, 0, 0, &[1; 8]), frame(SETTINGS, 0, 0, &[])].concat().repeat(500);
    let flooding = tokio::spawn(async move {
        while tokio::io::AsyncWriteExt::write_all(&mut writer, &flood).await.is_ok() {}
    });
    let drinking =
        tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    for _ in 0..100 {
        assert_eq!(good.get("/").await.body, "hello");
    }
    within(flooding).await.unwrap();
    let _ = within(drinking).await.unwrap();
    eventually("it is cut", || server.connections() == 1).await;
}

#[tokio::test]
async fn control_frames_below_their_limit_are_answered() {
    let (_shared, server) = serve_with(hello(), limited(Limits::default())).await;
    let mut client = RawHttp2::connect(at(&server), &[]).await;
    client.write(&frame(PING, 0, 0, &[1; 8]).repeat(900)).await;
    for _ in 0..900 {
        assert_eq!(client.next(PING).await.flags & ACK, ACK);
    }
    client.write(&get_frame(1)).await;
    assert_eq!(client.next(HEADERS).await.stream, 1);
}

#[tokio::test]
async fn answers_to_pings_that_nobody_reads_do_not_pile_up() {
    let limits = Limits { write_timeout: SOON, ..Limits::default() };
    let (_shared, server) = serve_with(hello(), limited(limits)).await;
    let mut bad = RawHttp2::connect(at(&server), &[]).await;
    let flood = frame(PING, 0, 0, &[1; 8]).repeat(10_000);
    let flooding =
        async { while tokio::io::AsyncWriteExt::write_all(&mut bad.0, &flood).await.is_ok() {} };
    within(flooding).await;
    eventually("it is cut", || server.connections() == 0).await;
}

#[tokio::test]
async fn a_peer_that_does_not_answer_a_ping_is_cut() {
    let keep_alive =
        Http2Limits { keep_alive: SOON, keep_alive_timeout: SOON, ..Http2Limits::default() };
    let gate = Gate::new();
    let (_shared, server) = serve_with(gate.handler(), limited(http2_limits(keep_alive))).await;
    let mut client = RawHttp2::connect(at(&server), &[]).await;
    client.write(&get_frame(1)).await;
    gate.reached().await;
    assert_eq!(client.next(PING).await.flags & ACK, 0);
    client.rest().await;
    eventually("it is cut", || server.connections() == 0).await;
}

#[tokio::test]
async fn an_idle_peer_is_told_before_the_connection_ends() {
    let limits = Limits { idle_timeout: SOON, ..Limits::default() };
    let (_shared, server) = serve_with(hello(), limited(limits)).await;
    let mut client = RawHttp2::connect(at(&server), &[]).await;
    let goaway = client.next(GOAWAY).await;
    assert_eq!(goaway.code(), 0);
    client.rest().await;
    eventually("it has ended", || server.connections() == 0).await;
}

#[tokio::test]
async fn pings_do_not_buy_a_stream_that_is_left_unread_more_time() {
    let limits = Limits { write_timeout: SOON, ..Limits::default() };
    let (_shared, server) = serve_with(hello(), limited(limits)).await;
    // No stream has room for a single byte.
    let no_window = [0, 4, 0, 0, 0, 0];
    let mut bad = RawHttp2::connect(at(&server), &no_window).await;
    bad.write(&get_frame(1)).await;
    assert_eq!(bad.next(HEADERS).await.stream, 1);
    let (mut reader, mut writer) = bad.0.into_split();
    let drinking =
        tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    let pinging = async {
        let ping = frame(PING, 0, 0, &[1; 8]);
        while tokio::io::AsyncWriteExt::write_all(&mut writer, &ping).await.is_ok() {
            tokio::time::sleep(SOON / 10).await;
        }
    };
    within(pinging).await;
    eventually("it is cut", || server.connections() == 0).await;
    drinking.abort();
}
