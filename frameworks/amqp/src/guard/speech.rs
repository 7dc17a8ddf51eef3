//! Frames of what is said past lapin (AMQP 0-9-1, sections 1.8.3 and 2.3.5).

use amq_protocol::{
    frame::{GenError, WriteContext},
    protocol::basic::gen_properties,
};
use lapin::{BasicProperties, types::ShortString};

use super::frames::{BODY, END, HEADER, METHOD, OVERHEAD};

const BASIC: [u8; 2] = [0, 60];
const PUBLISH: [u8; 4] = [0, 60, 0, 40];
const ACK: [u8; 4] = [0, 60, 0, 80];
/// RabbitMQ's.
const NACK: [u8; 4] = [0, 60, 0, 120];

/// The bit of `basic.nack` that has a message delivered again.
const REQUEUE: u8 = 0b10;
/// The shortest frame that every broker takes (section 4.2.3), in bytes.
const FRAME_MIN: usize = 4096;

/// A message that is to be published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) exchange: &'a ShortString,
    pub(crate) routing_key: &'a ShortString,
    pub(crate) mandatory: bool,
    pub(crate) properties: &'a BasicProperties,
    pub(crate) body: &'a [u8],
}

/// Appends a message, its body in pieces that fit `frame_max`. Where a property cannot be written
/// nothing is appended.
pub(crate) fn publish(
    frames: &mut Vec<u8>,
    channel: u16,
    content: Content<'_>,
    frame_max: usize,
) -> Result<(), GenError> {
    let begin = frames.len();
    let start = open(frames, METHOD, channel);
    frames.extend_from_slice(&PUBLISH);
    frames.extend_from_slice(&[0, 0]);
    name(frames, content.exchange);
    name(frames, content.routing_key);
    frames.push(content.mandatory.into());
    close(frames, start);
    let start = open(frames, HEADER, channel);
    frames.extend_from_slice(&BASIC);
    frames.extend_from_slice(&[0, 0]);
    frames.extend_from_slice(&(content.body.len() as u64).to_be_bytes());
    if let Err(error) = properties(frames, content.properties) {
        frames.truncate(begin);
        return Err(error);
    }
    close(frames, start);
    for piece in content.body.chunks(frame_max.max(FRAME_MIN) - OVERHEAD) {
        let start = open(frames, BODY, channel);
        frames.extend_from_slice(piece);
        close(frames, start);
    }
    Ok(())
}

/// Appends `basic.ack`, for everything up to the tag where it is for several.
pub(crate) fn ack(frames: &mut Vec<u8>, channel: u16, tag: u64, multiple: bool) {
    settle(frames, channel, ACK, tag, multiple.into());
}

/// Appends the `basic.nack` that puts a message back.
pub(crate) fn requeue(frames: &mut Vec<u8>, channel: u16, tag: u64) {
    settle(frames, channel, NACK, tag, REQUEUE);
}

fn settle(frames: &mut Vec<u8>, channel: u16, method: [u8; 4], tag: u64, bits: u8) {
    let start = open(frames, METHOD, channel);
    frames.extend_from_slice(&method);
    frames.extend_from_slice(&tag.to_be_bytes());
    frames.push(bits);
    close(frames, start);
}

/// Written apart: what is written when it fails is lost.
fn properties(frames: &mut Vec<u8>, properties: &BasicProperties) -> Result<(), GenError> {
    let written = gen_properties(properties)(WriteContext::from(Vec::with_capacity(256)))?;
    frames.extend_from_slice(&written.into_inner().0);
    Ok(())
}

/// A short string, which is no longer than 255 bytes.
fn name(frames: &mut Vec<u8>, name: &ShortString) {
    let name = name.as_str().as_bytes();
    frames.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    frames.extend_from_slice(name);
}

/// Writes the head of a frame with its size left open; gives where the payload starts.
fn open(frames: &mut Vec<u8>, kind: u8, channel: u16) -> usize {
    let [high, low] = channel.to_be_bytes();
    frames.extend_from_slice(&[kind, high, low, 0, 0, 0, 0]);
    frames.len()
}

fn close(frames: &mut Vec<u8>, start: usize) {
    let size = u32::try_from(frames.len() - start).unwrap_or(u32::MAX);
    frames[start - 4..start].copy_from_slice(&size.to_be_bytes());
    frames.push(END);
}

#[cfg(test)]
mod tests {
    use amq_protocol::{
        frame::{AMQPFrame, parse_frame},
        protocol::{AMQPClass, basic},
    };
    use lapin::types::{AMQPValue, FieldTable};

    use super::*;

    /// What a broker reads.
    fn parsed(mut frames: &[u8]) -> Vec<AMQPFrame> {
        let mut all = Vec::new();
        while !frames.is_empty() {
            let (rest, frame) = parse_frame(frames).expect("a frame");
            all.push(frame);
            frames = rest;
        }
        all
    }

    #[test]
    fn a_message_is_read_as_it_was_written_and_its_body_in_pieces_that_fit() {
        let mut table = FieldTable::default();
        table.insert("tenant".into(), AMQPValue::LongString("acme".into()));
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_headers(table)
            .with_delivery_mode(2)
            .with_message_id("m1".into());
        for (size, pieces) in [(0, 0), (1, 1), (4088, 1), (4089, 2), (10_000, 3)] {
            let body: Vec<u8> = (0..size).map(|at| at as u8).collect();
            let (exchange, routing_key) = ("im".into(), "message.lobby".into());
            let content = Content {
                exchange: &exchange,
                routing_key: &routing_key,
                mandatory: true,
                properties: &properties,
                body: &body,
            };
            let mut frames = b"before".to_vec();
            publish(&mut frames, 258, content, 4096).expect("can be written");
            let mut read = parsed(&frames[6..]).into_iter();
            let Some(AMQPFrame::Method(258, AMQPClass::Basic(basic::AMQPMethod::Publish(method)))) =
                read.next()
            else {
                panic!("a method first");
            };
            let expected = (exchange.clone(), routing_key.clone(), true, false);
            let method = (method.exchange, method.routing_key, method.mandatory, method.immediate);
            assert_eq!(method, expected);
            let Some(AMQPFrame::Header(258, header)) = read.next() else { panic!("then a header") };
            assert_eq!((header.body_size, &header.properties), (size, &properties));
            let rest: Vec<_> = read
                .map(|frame| match frame {
                    AMQPFrame::Body(258, piece) => piece,
                    other => panic!("then its body, and not {other}"),
                })
                .collect();
            assert_eq!((rest.len(), rest.concat()), (pieces, body));
        }
    }

    #[test]
    fn verdicts_are_read_as_they_were_written() {
        let mut frames = Vec::new();
        ack(&mut frames, 1, 3, true);
        ack(&mut frames, 1, 5, false);
        requeue(&mut frames, 2, u64::MAX);
        let basic = |channel, method| AMQPFrame::Method(channel, AMQPClass::Basic(method));
        let acked = |delivery_tag, multiple| {
            basic(1, basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple }))
        };
        let nack = basic::Nack { delivery_tag: u64::MAX, multiple: false, requeue: true };
        let expected = [acked(3, true), acked(5, false), basic(2, basic::AMQPMethod::Nack(nack))];
        assert_eq!(parsed(&frames), expected);
    }
}
