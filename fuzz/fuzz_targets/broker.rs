//! The broker in memory: whatever a client sends, from the first byte on or on an open channel, no
//! task panics and others are served.
//!
//! The bytes go through a pipe into a broker of their own, not into its decoder alone: so the
//! handshake, the session and the state of a virtual host are reached too, at a few thousand
//! inputs a second.
//!
//! The first byte of the input says what it is: bytes of a new connection, bytes behind the
//! protocol header, bytes on an open channel, or (half of all) frames on an open channel whose
//! heads are right, see [`framed`].

#![no_main]

use std::{cell::LazyCell, time::Duration};

use libfuzzer_sys::fuzz_target;
use polyport_amqp_embedded::EmbeddedBroker;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
    time::timeout,
};

const GREETING: &[u8] = b"AMQP\0\0\x09\x01";

/// start-ok, tune-ok and open, and the opening of channel 1.
const OPENING: &[u8] = b"\
    \x01\0\0\0\0\0\x1c\0\x0a\0\x0b\0\0\0\0\x05PLAIN\0\0\0\x04\0g\0g\x05en_US\xce\
    \x01\0\0\0\0\0\x0c\0\x0a\0\x1f\0\x10\0\0\x10\0\0\0\xce\
    \x01\0\0\0\0\0\x08\0\x0a\0\x28\x01/\0\0\xce\
    \x01\0\x01\0\0\0\x05\0\x14\0\x0a\0\xce";

/// Declares the queue `alive`.
const DECLARE: &[u8] = b"\x01\0\x01\0\0\0\x11\0\x32\0\x0a\0\0\x05alive\0\0\0\0\0\xce";

/// What answers it: queue.declare-ok for `alive`.
const DECLARED: &[u8] = b"\0\x32\0\x0b\x05alive";

/// The methods that a client sends on a channel.
const METHODS: [(u8, u8); 28] = [
    (20, 10),
    (20, 20),
    (20, 40),
    (20, 41),
    (40, 10),
    (40, 20),
    (40, 30),
    (40, 40),
    (50, 10),
    (50, 20),
    (50, 30),
    (50, 40),
    (50, 50),
    (60, 10),
    (60, 20),
    (60, 30),
    (60, 31),
    (60, 40),
    (60, 40),
    (60, 70),
    (60, 80),
    (60, 90),
    (60, 100),
    (60, 110),
    (60, 120),
    (85, 10),
    (90, 10),
    (30, 10),
];

thread_local! {
    static RUNTIME: LazyCell<Runtime> = const { LazyCell::new(|| {
        Builder::new_current_thread().enable_time().build().expect("a runtime")
    }) };
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, input)) = input.split_first() else { return };
    let sent = match mode % 6 {
        0 => input.to_vec(),
        1 => [GREETING, input].concat(),
        2 => [GREETING, OPENING, input].concat(),
        _ => [GREETING, OPENING, &framed(input)].concat(),
    };
    let attack = async { timeout(Duration::from_secs(20), attack(&sent)).await };
    RUNTIME.with(|runtime| runtime.block_on(attack)).expect("the broker hangs");
});

async fn attack(sent: &[u8]) {
    let broker = EmbeddedBroker::builder().in_memory().start().await.expect("no port is needed");
    exhaust(&broker, sent).await;
    witness(&broker).await;
    broker.stop().await;
}

/// Sends bytes and the end of the stream, and reads to the end.
async fn exhaust(broker: &EmbeddedBroker, sent: &[u8]) {
    let (mut reading, mut writing) = tokio::io::split(broker.connect().expect("the broker is up"));
    let mut received = Vec::new();
    let send = async {
        // It fails where the broker has closed before it has read all.
        let _ = writing.write_all(sent).await;
        let _ = writing.shutdown().await;
    };
    let (_, read) = tokio::join!(send, reading.read_to_end(&mut received));
    read.expect("a pipe does not fail");
}

/// Another client, which has to be served.
async fn witness(broker: &EmbeddedBroker) {
    let mut pipe = broker.connect().expect("the broker is up");
    let sent = [GREETING, OPENING, DECLARE].concat();
    pipe.write_all(&sent).await.expect("the broker reads");
    let mut received = Vec::new();
    while !received.windows(DECLARED.len()).any(|bytes| bytes == DECLARED) {
        let read = pipe.read_buf(&mut received).await.expect("a pipe does not fail");
        assert!(read > 0, "others are not served any more");
    }
}

/// Frames of the input's pieces: a byte for what it is, one for its length, and so many more.
/// Methods begin with one of [`METHODS`]; a header is that of a message of a few bytes.
fn framed(mut input: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let [what, length, rest @ ..] = input {
        let (piece, rest) = rest.split_at(rest.len().min((*length).into()));
        input = rest;
        let (kind, payload) = match what % 32 {
            28 => (2, [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, length % 8][..], piece].concat()),
            29 | 30 => (3, piece.to_vec()),
            31 => (what >> 5, piece.to_vec()),
            method => {
                let (class, method) = METHODS[usize::from(method)];
                (1, [&[0, class, 0, method][..], piece].concat())
            }
        };
        let size = u32::try_from(payload.len()).expect("a piece is short").to_be_bytes();
        frames.extend([kind, 0, 1]);
        frames.extend(size);
        frames.extend(payload);
        frames.push(0xce);
    }
    frames
}
