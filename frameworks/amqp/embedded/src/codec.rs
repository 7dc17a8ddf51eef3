//! Frames from and to bytes (AMQP 0-9-1, section 2.3.5).
//!
//! The framing is done here, so that sizes are checked before anything is buffered and bodies are
//! not copied; amq-protocol parses and generates what is inside of method and header frames.

use std::{mem, sync::Arc};

use amq_protocol::{
    frame::{AMQPContentHeader, GenError, WriteContext, parsing::parse_content_header},
    protocol::{AMQPClass, basic::gen_properties, constants, gen_class, parse_class},
};
use bytes::{Buf, Bytes, BytesMut};

use crate::{
    exception::{Exception, ReplyCode},
    message::Message,
    nesting::too_deep,
};

/// The class that carries content; the only one in AMQP 0-9-1.
pub(crate) const BASIC_CLASS: u16 = 60;

/// Type, channel and size.
const HEAD: usize = 7;

/// What a frame costs beyond its payload: [`HEAD`] and the end marker.
const OVERHEAD: usize = HEAD + 1;

/// The broker's own protocol header, also the answer to a wrong one.
pub(crate) const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\0\0\x09\x01";

/// A frame that arrived.
#[derive(Debug)]
pub(crate) enum Frame {
    Method(u16, AMQPClass),
    Header(u16, Box<AMQPContentHeader>),
    Body(u16, Bytes),
    Heartbeat,
}

/// Something that leaves on a connection, as frames that follow each other.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Method(u16, AMQPClass),
    Content(u16, AMQPClass, Arc<Message>),
}

/// Takes the next frame out of `buffer`; `None` when more bytes are needed.
///
/// # Errors
/// 501 for a frame that is malformed or larger than `frame_max`, 502 for a payload that cannot be
/// parsed.
pub(crate) fn decode(buffer: &mut BytesMut, frame_max: usize) -> Result<Option<Frame>, Exception> {
    let Some((kind, channel, size)) = decode_head(buffer, frame_max)? else {
        return Ok(None);
    };
    if buffer.len() < size + OVERHEAD {
        buffer.reserve(size + OVERHEAD - buffer.len());
        return Ok(None);
    }
    let mut frame = buffer.split_to(size + OVERHEAD).freeze();
    if frame[HEAD + size] != constants::FRAME_END {
        return Err(ReplyCode::FrameError.because("a frame does not end with 0xCE"));
    }
    frame.advance(HEAD);
    frame.truncate(size);
    decode_payload(kind, channel, frame).map(Some)
}

fn decode_head(buffer: &[u8], frame_max: usize) -> Result<Option<(u8, u16, usize)>, Exception> {
    let Some(mut head) = buffer.get(..HEAD) else {
        return Ok(None);
    };
    let (kind, channel, size) = (head.get_u8(), head.get_u16(), head.get_u32() as usize);
    if !matches!(kind, 1..=3 | constants::FRAME_HEARTBEAT) {
        return Err(ReplyCode::FrameError.because(format!("there is no frame type {kind}")));
    }
    if size.saturating_add(OVERHEAD) > frame_max {
        let text = format!("a frame of {size} bytes is larger than frame_max {frame_max} allows");
        return Err(ReplyCode::FrameError.because(text));
    }
    Ok(Some((kind, channel, size)))
}

fn decode_payload(kind: u8, channel: u16, payload: Bytes) -> Result<Frame, Exception> {
    match kind {
        constants::FRAME_METHOD => {
            parse(&payload, parse_class).map(|method| Frame::Method(channel, method))
        }
        constants::FRAME_HEADER => parse(&payload, parse_content_header)
            .map(|header| Frame::Header(channel, Box::new(header))),
        constants::FRAME_BODY => Ok(Frame::Body(channel, payload)),
        _ if channel == 0 => Ok(Frame::Heartbeat),
        _ => Err(ReplyCode::FrameError.because("a heartbeat belongs on channel 0")),
    }
}

fn parse<'a, T, E>(
    payload: &'a [u8],
    parser: impl FnOnce(&'a [u8]) -> Result<(&'a [u8], T), E>,
) -> Result<T, Exception> {
    if too_deep(payload) {
        return Err(ReplyCode::SyntaxError.because("tables or arrays are nested too deep"));
    }
    match parser(payload) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) => Err(ReplyCode::SyntaxError.because("a payload goes on after its last field")),
        Err(_) => Err(ReplyCode::SyntaxError.because("a payload cannot be parsed")),
    }
}

/// Appends the frames of `item` to `out`, the body in pieces that fit `frame_max`.
///
/// # Errors
/// When amq-protocol cannot generate a field; `out` is then unusable.
pub(crate) fn encode(out: &mut Vec<u8>, item: &Outgoing, frame_max: usize) -> Result<(), GenError> {
    match item {
        Outgoing::Method(channel, method) => encode_method(out, *channel, method),
        Outgoing::Content(channel, method, message) => {
            encode_method(out, *channel, method)?;
            encode_content(out, *channel, message, frame_max)
        }
    }
}

/// Appends a heartbeat frame to `out`.
pub(crate) fn encode_heartbeat(out: &mut Vec<u8>) {
    let start = open_frame(out, constants::FRAME_HEARTBEAT, 0);
    close_frame(out, start);
}

fn encode_method(out: &mut Vec<u8>, channel: u16, method: &AMQPClass) -> Result<(), GenError> {
    let start = open_frame(out, constants::FRAME_METHOD, channel);
    *out = gen_class(method)(WriteContext::from(mem::take(out)))?.into_inner().0;
    close_frame(out, start);
    Ok(())
}

fn encode_content(
    out: &mut Vec<u8>,
    channel: u16,
    message: &Message,
    frame_max: usize,
) -> Result<(), GenError> {
    let start = open_frame(out, constants::FRAME_HEADER, channel);
    out.extend(BASIC_CLASS.to_be_bytes());
    out.extend([0, 0]);
    out.extend((message.body.len() as u64).to_be_bytes());
    let context = WriteContext::from(mem::take(out));
    *out = gen_properties(&message.properties)(context)?.into_inner().0;
    close_frame(out, start);
    for piece in message.body.chunks(frame_max - OVERHEAD) {
        let start = open_frame(out, constants::FRAME_BODY, channel);
        out.extend_from_slice(piece);
        close_frame(out, start);
    }
    Ok(())
}

/// Writes the head of a frame with its size left open; returns where the payload starts.
fn open_frame(out: &mut Vec<u8>, kind: u8, channel: u16) -> usize {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    out.extend([0; 4]);
    out.len()
}

fn close_frame(out: &mut Vec<u8>, start: usize) {
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start - 4..start].copy_from_slice(&size.to_be_bytes());
    out.push(constants::FRAME_END);
}
