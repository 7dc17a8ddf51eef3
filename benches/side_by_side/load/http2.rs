//! Unary calls of gRPC over HTTP/2 (RFC 9113), written once and sent as they are.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use polyport::{Error, Result};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// END_STREAM, and of SETTINGS and PING: ACK.
const END: u8 = 1;
const END_HEADERS: u8 = 4;
/// How much a server may send before it is allowed more.
const WINDOW: u32 = 1 << 30;
const FRAME_HEAD: usize = 9;

/// So many calls at a time on one connection.
pub(crate) struct Http2 {
    window: usize,
    stream: u32,
    /// The header block of every call: without indexing, so that it is always the same (RFC 7541,
    /// section 6.2.2).
    head: Vec<u8>,
    message: &'static [u8],
    answer: &'static [u8],
    /// A frame of which the end has not come.
    part: Vec<u8>,
    /// Bytes of DATA since the server was last allowed more.
    taken: u32,
    messages: u64,
    ends: u64,
}

impl Http2 {
    /// Calls a method: `/helloworld.Greeter/SayHello`. Message and answer have gRPC's prefix.
    pub(crate) fn new(
        window: usize,
        path: &str,
        message: &'static [u8],
        answer: &'static [u8],
    ) -> Self {
        // :method POST and :scheme http are in the static table as they are.
        let mut head = vec![0x83, 0x86];
        literal(&mut head, &[0x04], path);
        literal(&mut head, &[0x01], "localhost");
        literal(&mut head, &[0x0f, 0x10], "application/grpc");
        literal(&mut head, &[0x00, 2, b't', b'e'], "trailers");
        literal(&mut head, &[0x0f, 0x08], "Bearer x");
        let (part, stream) = (Vec::new(), 1);
        Self { window, stream, head, message, answer, part, taken: 0, messages: 0, ends: 0 }
    }

    /// Takes a frame; whether it ends a call.
    fn take(&mut self, kind: u8, flags: u8, payload: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        match kind {
            DATA if payload == self.answer => {
                self.messages += 1;
                self.taken += payload.len() as u32;
            }
            HEADERS if flags & END != 0 => return self.end(),
            SETTINGS if flags & END == 0 => frame(out, SETTINGS, END, 0, &[]),
            PING if flags & END == 0 => frame(out, PING, END, 0, payload),
            DATA | RST_STREAM | GOAWAY => {
                let text = String::from_utf8_lossy(payload);
                return Err(Error::other(format!("an unexpected frame of type {kind}: {text}")));
            }
            _ => {}
        }
        if self.taken > WINDOW / 2 {
            frame(out, WINDOW_UPDATE, 0, 0, &self.taken.to_be_bytes());
            self.taken = 0;
        }
        Ok(false)
    }

    /// Trailers without a message before them are an error's.
    fn end(&mut self) -> Result<bool> {
        self.ends += 1;
        match self.messages >= self.ends {
            true => Ok(true),
            false => Err(Error::other("a call was answered with an error")),
        }
    }
}

/// A header whose name is an index or a literal, as `name` has it.
fn literal(head: &mut Vec<u8>, name: &[u8], value: &str) {
    head.extend_from_slice(name);
    head.push(value.len() as u8);
    head.extend_from_slice(value.as_bytes());
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

impl super::Speaks for Http2 {
    fn window(&self) -> usize {
        self.window
    }

    fn begin(&mut self, stream: &mut TcpStream) -> Result<()> {
        let mut out = PREFACE.to_vec();
        frame(&mut out, SETTINGS, 0, 0, &[]);
        frame(&mut out, WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes());
        self.ask(&mut out);
        let mut bytes = [0; 4096];
        loop {
            stream.write_all(&out)?;
            out.clear();
            let read = match stream.read(&mut bytes)? {
                0 => return Err(Error::other("the server has closed the connection")),
                read => read,
            };
            if self.answers(&bytes[..read], &mut out)? > 0 {
                return Ok(stream.write_all(&out)?);
            }
        }
    }

    fn ask(&mut self, out: &mut Vec<u8>) {
        frame(out, HEADERS, END_HEADERS, self.stream, &self.head);
        frame(out, DATA, END, self.stream, self.message);
        self.stream += 2;
    }

    fn answers(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize> {
        let mut part = std::mem::take(&mut self.part);
        part.extend_from_slice(bytes);
        let (mut rest, mut answered) = (&part[..], 0);
        while let Some((head, more)) = rest.split_first_chunk::<FRAME_HEAD>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, next)) = more.split_at_checked(length) else { break };
            answered += usize::from(self.take(head[3], head[4], payload, out)?);
            rest = next;
        }
        let left = part.len() - rest.len();
        part.drain(..left);
        self.part = part;
        Ok(answered)
    }
}
