//! HTTP/2 frame by frame (RFC 9113, section 4), for peers that misbehave.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

pub const ACK: u8 = 1;
/// END_STREAM and END_HEADERS.
pub const WHOLE: u8 = 5;

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        let from = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[from..from + 4].try_into().unwrap())
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// GET / as HPACK writes it.
pub fn get_frame(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, b"\x82\x86\x84\x41\x04test")
}

pub struct RawHttp2(pub TcpStream);

impl RawHttp2 {
    /// A client that has said hello, with these settings, and knows nothing yet of the server.
    pub async fn connect(addr: SocketAddr, settings: &[u8]) -> Self {
        Self::over(within(TcpStream::connect(addr)).await.unwrap(), settings).await
    }

    /// The same over this connection.
    pub async fn over(mut stream: TcpStream, settings: &[u8]) -> Self {
        within(stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).await.unwrap();
        within(stream.write_all(&frame(SETTINGS, 0, 0, settings))).await.unwrap();
        Self(stream)
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        within(self.0.write_all(bytes)).await.unwrap();
    }

    /// None once the server has closed.
    pub async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        within(self.0.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        within(self.0.read_exact(&mut payload)).await.ok()?;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind that is no mere acknowledgement of ours.
    pub async fn next(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.read().await.expect("the server has closed");
            if frame.kind == kind && !(kind == SETTINGS && frame.flags & ACK != 0) {
                return frame;
            }
        }
    }

    /// What still comes until the server closes.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.read().await {
            frames.push(frame);
        }
        frames
    }
}
