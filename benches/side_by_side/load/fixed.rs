//! Calls whose answers all have the same length: HTTP/1 and WebSocket.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use polyport::{Error, Result};

/// How much of each answer is compared with the first one: `HTTP/1.1 200`.
const COMPARED: usize = 12;

/// The handshake of WebSocket (RFC 6455, section 4.1).
const HANDSHAKE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer x\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// One call at a time, and the length of its answer as the first one had it.
pub(crate) struct Fixed {
    call: Arc<[u8]>,
    /// What an answer has to hold.
    holds: &'static str,
    is_websocket: bool,
    first: Vec<u8>,
    got: usize,
}

impl Fixed {
    /// HTTP/1: a whole request.
    pub(crate) fn http1(call: Arc<[u8]>, holds: &'static str) -> Self {
        Self { call, holds, is_websocket: false, first: Vec::new(), got: 0 }
    }

    /// WebSocket: the frame of a text message ([`frame`]).
    pub(crate) fn websocket(call: Arc<[u8]>, holds: &'static str) -> Self {
        Self { is_websocket: true, ..Self::http1(call, holds) }
    }
}

/// A text message as a client sends it, masked with zeros (RFC 6455, section 5.2).
pub(crate) fn frame(text: &str) -> Arc<[u8]> {
    let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame.into()
}

impl super::Speaks for Fixed {
    fn window(&self) -> usize {
        1
    }

    fn begin(&mut self, stream: &mut TcpStream) -> Result<()> {
        if self.is_websocket {
            stream.write_all(HANDSHAKE)?;
            let answer = read_head(stream)?;
            if !answer.starts_with(b"HTTP/1.1 101") {
                return Err(refused(&answer));
            }
        }
        stream.write_all(&self.call)?;
        self.first = if self.is_websocket { read_frame(stream)? } else { read_response(stream)? };
        let holds = self.first.windows(self.holds.len()).any(|part| part == self.holds.as_bytes());
        if holds { Ok(()) } else { Err(refused(&self.first)) }
    }

    fn ask(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.call);
    }

    fn answers(&mut self, bytes: &[u8], _: &mut Vec<u8>) -> Result<usize> {
        let compared = COMPARED.min(bytes.len()).min(self.first.len());
        if self.got == 0 && bytes[..compared] != self.first[..compared] {
            return Err(refused(bytes));
        }
        self.got += bytes.len();
        if self.got < self.first.len() {
            return Ok(0);
        }
        if self.got > self.first.len() {
            return Err(Error::other("an answer is longer than the first one"));
        }
        self.got = 0;
        Ok(1)
    }
}

fn refused(answer: &[u8]) -> Error {
    Error::other(format!("an unexpected answer: {}", String::from_utf8_lossy(answer)))
}

fn read_head(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(head)
}

fn read_response(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut response = read_head(stream)?;
    let head = String::from_utf8_lossy(&response).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok());
    let mut body = vec![0; length.ok_or_else(|| Error::other("an answer has no length"))?];
    stream.read_exact(&mut body)?;
    response.append(&mut body);
    Ok(response)
}

fn read_frame(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut frame = vec![0; 2];
    stream.read_exact(&mut frame)?;
    let mut payload = vec![0; usize::from(frame[1])];
    stream.read_exact(&mut payload)?;
    frame.append(&mut payload);
    Ok(frame)
}
