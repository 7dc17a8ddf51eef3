//! HTTP/2 as RFC 9113 says it: what a server has to answer to frames that are as they should not
//! be, and what it has to bear. The cases are those of its sections, each on a connection of its
//! own, from raw frames.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
#[allow(dead_code, reason = "the tests of hostile peers use the rest")]
mod frames;

use std::{net::SocketAddr, time::Duration};

use cases::{Case, Expected, cases};
use frames::{ACK, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, frame, hello, ping};
use polyport::{operation::Body, prelude::*, testing::create_bootstrap};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The ping behind every case, whose answer tells that the case was borne.
const BORNE: &[u8; 8] = b"is borne";
const PATIENCE: Duration = Duration::from_secs(10);

async fn hi() -> Result<&'static str, Fault> {
    Ok("hi")
}

async fn length(Body(bytes): Body) -> Result<usize, Fault> {
    Ok(bytes.len())
}

/// What a server did, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// GOAWAY with this code.
    GoAway(u32),
    /// RST_STREAM with this code.
    Reset(u32),
    /// Headers that begin with this byte, on this stream.
    Headers(u32, u8),
    /// The case was borne.
    Borne,
    /// The end of the connection.
    End,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// None at the end of the connection, however it came.
    async fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.ok()?;
        Some(Self { kind: head[3], flags: head[4], stream: id, payload })
    }

    fn code(&self, at: usize) -> u32 {
        let bytes = self.payload[at..at + 4].try_into();
        u32::from_be_bytes(bytes.unwrap())
    }

    fn seen(&self) -> Option<Seen> {
        match (self.kind, self.flags & ACK) {
            (GOAWAY, _) => Some(Seen::GoAway(self.code(4))),
            (RST_STREAM, _) => Some(Seen::Reset(self.code(0))),
            (HEADERS, _) => Some(Seen::Headers(self.stream, self.payload[0])),
            (PING, ACK) if self.payload == BORNE => Some(Seen::Borne),
            _ => None,
        }
    }
}

/// Says hello, then the case, then asks whether it was borne; until one of what is expected comes.
async fn run(address: SocketAddr, case: &Case) -> Result<(), Vec<Seen>> {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(&hello()).await.expect("is heard");
    let first = Frame::read(&mut stream).await.expect("says hello too");
    assert_eq!(first.kind, SETTINGS, "the first frame of a server (section 3.4)");
    let acknowledged = frame(SETTINGS, ACK, 0, &[]);
    let rest = [&acknowledged[..], &case.bytes, &ping(BORNE)].concat();
    // A server that has seen enough may be gone before all of it is sent.
    let _ = stream.write_all(&rest).await;
    let mut all = Vec::new();
    loop {
        let seen = match Frame::read(&mut stream).await {
            Some(frame) => frame.seen(),
            None => Some(Seen::End),
        };
        let Some(seen) = seen else { continue };
        let (is_end, is_expected) = (seen == Seen::End, case.expected.is_met_by(&seen));
        all.push(seen);
        if is_expected {
            return Ok(());
        }
        if is_end
            || case.expected.is_missed_by(all.last())
            || (all.contains(&Seen::Borne) && !case.expected.comes_late())
        {
            return Err(all);
        }
    }
}

impl Expected {
    fn is_met_by(&self, seen: &Seen) -> bool {
        match (self, seen) {
            // Section 5.4.1: an endpoint may close the connection without GOAWAY.
            (Self::Connection(_), Seen::End) => true,
            (Self::Connection(codes), Seen::GoAway(code)) => codes.contains(code),
            // Section 5.4.2: a stream's error may be treated as one of the connection.
            (Self::Stream(codes), Seen::Reset(code) | Seen::GoAway(code)) => codes.contains(code),
            (Self::Stream(_), Seen::End) => true,
            (Self::Refused, Seen::Reset(_) | Seen::GoAway(_) | Seen::End) => true,
            // Section 8.1.1: a malformed request may be answered with 400.
            (Self::Refused, Seen::Headers(_, status)) => *status == 0x8c,
            (Self::Answered(stream), Seen::Headers(id, status)) => stream == id && *status == 0x88,
            (Self::Borne, Seen::Borne) => true,
            _ => false,
        }
    }

    fn is_missed_by(&self, last: Option<&Seen>) -> bool {
        *self == Self::Refused && matches!(last, Some(Seen::Headers(..)))
    }

    /// Whether it may come behind the answer to the ping: an answer is made by another task.
    fn comes_late(&self) -> bool {
        matches!(self, Self::Answered(_) | Self::Refused | Self::Stream(_))
    }
}

#[tokio::test]
async fn every_case_of_the_specification_is_answered_as_it_says() {
    let app =
        create_bootstrap(Bootstrap::new().load(HttpFramework::new()).module(module("m", |m| {
            m.http(|r| r.get("/", hi).post("/", length));
            Ok(())
        })));
    let app = app.await.expect("starts");
    let address = app.app::<HttpApp>().expect("is loaded").local_addr().expect("is bound");
    let mut failures = Vec::new();
    for case in cases() {
        match timeout(PATIENCE, run(address, &case)).await {
            Ok(Ok(())) => {}
            Ok(Err(seen)) => {
                failures.push(format!("{}: {:?}, not {:?}", case.name, seen, case.expected))
            }
            Err(_) => failures.push(format!("{}: no {:?} came", case.name, case.expected)),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    app.close().await.expect("stops");
}
