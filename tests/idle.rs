//! A stop of the chat server with thousands of idle clients. It has a binary of its own, which
//! `cargo test` runs alone; `.config/nextest.toml` says the same to nextest.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the tests of start and stop use the rest")]
#[path = "common/program.rs"]
mod program;

use std::{net::SocketAddr, process::Command, time::Duration};

use futures_util::StreamExt;
use polyport_proto::im::v1::{Message as Pushed, SubscribeRequest, chat_service_client};
use program::{Program, example, within};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};
use tonic::transport::Endpoint;

/// Sockets take descriptors; how many connections of each kind there are.
const IDLE: usize = 1000;
const STREAMS: usize = 100;

/// How long the process takes at most, from when it hears of the stop until all is closed.
const LIMIT: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection that has had an answer and is kept.
async fn keep_alive(http: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(http).await.expect("connects");
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("is sent");
    stream.read_exact(&mut [0; 12]).await.expect("is answered");
    stream
}

async fn websocket(http: SocketAddr) -> Socket {
    let url = format!("ws://{http}/ws");
    tokio_tungstenite::connect_async(url).await.expect("connects").0
}

/// A stream on a connection of its own.
async fn subscribe(grpc: SocketAddr) -> tonic::Streaming<Pushed> {
    let endpoint = Endpoint::from_shared(format!("http://{grpc}")).expect("a URL");
    let channel = endpoint.connect().await.expect("connects");
    let mut chat = chat_service_client::ChatServiceClient::new(channel);
    let request = SubscribeRequest { room: "lobby".to_owned() };
    chat.subscribe(request).await.expect("is open").into_inner()
}

async fn close_code(mut socket: Socket) -> Option<u16> {
    loop {
        match socket.next().await.expect("ends with a close frame") {
            Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
            other => drop(other.expect("ends with a close frame")),
        }
    }
}

/// How long it took from one message of a log to another, by the clock of whoever wrote it.
fn between(log: &str, from: &str, to: &str) -> Duration {
    let at = |message: &str| {
        let mut events = log.lines().flat_map(serde_json::from_str::<Value>);
        let event = events.find(|event| event["message"] == message).expect("is logged");
        let time = event["timestamp"].as_str().expect("is told").to_owned();
        humantime::parse_rfc3339(&time).expect("RFC 3339")
    };
    at(to).duration_since(at(from)).expect("time goes on")
}

async fn repeat<T>(count: usize, mut open: impl AsyncFnMut() -> T) -> Vec<T> {
    let mut opened = Vec::with_capacity(count);
    for _ in 0..count {
        opened.push(within(open()).await);
    }
    opened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_clients_are_told_of_the_stop_and_hold_it_for_less_than_two_seconds() {
    let mut command = Command::new(example("im"));
    command.env("POLYPORT__IM__DATABASE", ":memory:");
    let mut im = Program::run(command);
    let addresses = im.ready();
    let (http, grpc) = (addresses.of("http"), addresses.of("grpc"));
    let kept = repeat(IDLE, || keep_alive(http)).await;
    let sockets = repeat(IDLE, || websocket(http)).await;
    let streams = repeat(STREAMS, || subscribe(grpc)).await;

    im.signal("-TERM");
    let ended = tokio::task::spawn_blocking(|| im.end());
    for socket in sockets {
        assert_eq!(within(close_code(socket)).await, Some(1001));
    }
    for mut stream in streams {
        let status = within(stream.message()).await.expect_err("ends with a status");
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    }
    for mut stream in kept {
        let mut rest = Vec::new();
        within(stream.read_to_end(&mut rest)).await.expect("ends in order");
    }
    let ended = within(ended).await.expect("no panic");
    ended.assert_code(0);
    let took = between(&ended.said, "stopping", "stopped");
    eprintln!("stopped with {IDLE} + {IDLE} + {STREAMS} open connections in {took:?}");
    assert!(took < LIMIT, "{took:?}: {}", ended.said);
}
