//! Clients that cost as little as a socket does.

use std::net::SocketAddr;

use futures_util::{StreamExt, TryStreamExt, stream};
use polyport_bootstrap::{Error, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How many connect at the same time: fewer than wait in the system's queue.
const AT_ONCE: usize = 100;
/// `{"event":"echo","data":"hi","id":1}` as a text frame, masked with zeros (RFC 6455, section 5.2).
const EVENT: &[u8] = b"{\"event\":\"echo\",\"data\":\"hi\",\"id\":1}";

/// Connects clients, each of which sends a message and gets it back.
pub(crate) async fn connect(
    address: SocketAddr,
    path: &str,
    connections: usize,
) -> Result<Vec<TcpStream>> {
    let all = stream::iter(0..connections).map(|_| connect_one(address, path));
    all.buffer_unordered(AT_ONCE).try_collect().await
}

async fn connect_one(address: SocketAddr, path: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    if !answer.starts_with(b"HTTP/1.1 101") {
        return Err(Error::other(String::from_utf8_lossy(&answer)));
    }
    let mut frame = vec![0x81, 0x80 | EVENT.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(EVENT);
    stream.write_all(&frame).await?;
    let [_, length] = [stream.read_u8().await?, stream.read_u8().await?];
    let mut echoed = vec![0; usize::from(length)];
    stream.read_exact(&mut echoed).await?;
    Ok(stream)
}
