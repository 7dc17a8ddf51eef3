//! Clients that do as they should, and leave the server time for others.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::program::PATIENCE;

const CLIENTS: usize = 4;
/// How long they call.
const WINDOW: Duration = Duration::from_millis(600);
/// How often each of them does.
const PACE: Duration = Duration::from_millis(4);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// How long the slowest call in a hundred takes (p99), of clients that keep their connections.
pub(crate) async fn slowest(address: SocketAddr) -> Duration {
    let clients = join_all((0..CLIENTS).map(|_| client(address)));
    let took = timeout(PATIENCE, clients).await.expect("everybody is served");
    let mut took = took.concat();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

async fn client(address: SocketAddr) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("is let in");
    stream.set_nodelay(true).unwrap();
    // Whoever came before has been let in then.
    call(&mut stream).await;
    let mut took = Vec::new();
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first = Instant::now();
    while first.elapsed() < WINDOW {
        ticks.tick().await;
        let begun = Instant::now();
        call(&mut stream).await;
        took.push(begun.elapsed());
    }
    took
}

async fn call(stream: &mut TcpStream) {
    stream.write_all(REQUEST).await.expect("is sent");
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"hello\"") && !answer.ends_with(b"hello") {
        let read = stream.read_buf(&mut answer).await.expect("is answered");
        assert!(read > 0, "cut off: {}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}
