//! What the AMQP framework reads of a broker: the guard in front of lapin loses no byte, and makes
//! everything safe for lapin's parser, and what it takes out itself does not depend on where it was
//! torn; headers and bodies of deliveries do no harm, be they JSON, CloudEvents or protobuf.
//!
//! The first byte of the input says how it is read: as bytes of the wire in pieces of that size,
//! or, when it is even, as the header frame of a message, whose body stands behind its first `|`.

#![no_main]

use amq_protocol::frame::{AMQPFrame, parsing::parse_frame};
use libfuzzer_sys::fuzz_target;
use polyport_amqp::fuzzing::{event, guarded, metadata, tapped, text};
use polyport_bootstrap::operation::{Codecs, RawInput};

mod support;

/// Class, weight and size of a content header, which always come first.
const BEFORE: [u8; 12] = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fuzz_target!(|input: &[u8]| {
    let Some((mode, input)) = input.split_first() else { return };
    if mode % 2 == 1 {
        wire(input, (*mode).into());
    } else {
        let split = input.iter().position(|byte| *byte == b'|').unwrap_or(input.len());
        message(&input[..split], &input[split..], *mode);
    }
});

/// Bytes as they come, torn anywhere.
fn wire(sent: &[u8], piece: usize) {
    let read = guarded(sent, piece);
    assert_eq!(read.len(), sent.len());
    assert_eq!(read, guarded(sent, sent.len()), "it matters where it is torn");
    assert_eq!(tapped(sent, piece), tapped(sent, sent.len()), "it matters where it is torn");
    let mut rest = read.as_slice();
    while let Ok((after, _)) = parse_frame(rest) {
        rest = after;
    }
}

/// A message whose properties are these.
fn message(properties: &[u8], body: &[u8], mode: u8) {
    let payload = [&BEFORE[..], properties].concat();
    let size = u32::try_from(payload.len()).expect("an input is short").to_be_bytes();
    let frame = [&[2, 0, 1][..], &size, &payload, &[0xce]].concat();
    let read = guarded(&frame, mode.into());
    let Ok((_, AMQPFrame::Header(_, header))) = parse_frame(read.as_slice()) else { return };
    let exchange = if mode % 4 == 0 { "" } else { "im" };
    let metadata = metadata(exchange, &header.properties);
    let body = body.get(1..).unwrap_or_default();
    let _ = (event(&header.properties, body), text(&header.properties, body));
    let mut raw = RawInput::json(body.to_vec().into());
    if let Some(content_type) = header.properties.content_type() {
        let format = Codecs::default().format(content_type.as_str().as_bytes());
        // What is unknown is refused as a whole, with nothing to say of single fields.
        let Ok(format) = format else { return };
        raw.format = format;
    }
    support::check::<support::Anything>(&raw, &metadata);
}
