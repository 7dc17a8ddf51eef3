//! Deliveries on their way from the broker to those who consume, past lapin: what it does for each
//! of them costs more than to handle it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lapin::{BasicProperties, protocol::basic::parse_properties, types::ShortString};
use tokio::sync::mpsc;

use super::frames::{BODY, HEADER, METHOD};

/// `basic.deliver`, by its class and method.
const DELIVER: [u8; 4] = [0, 60, 0, 60];
/// How much room is made for a body before it has come, in bytes.
const AT_FIRST: usize = 128 * 1024;

/// A message that the broker has delivered.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    pub(crate) tag: u64,
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) redelivered: bool,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Bytes,
}

/// The messages of one channel, as many at once as came together.
pub(crate) type Deliveries = mpsc::UnboundedReceiver<Vec<Delivered>>;

/// The channels of one connection whose deliveries lapin does not see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taps(Arc<Mutex<Vec<Tap>>>);

#[derive(Debug)]
pub(super) struct Tap {
    channel: u16,
    content: Content,
    /// What came together.
    batch: Vec<Delivered>,
    sink: mpsc::UnboundedSender<Vec<Delivered>>,
}

/// How much has come of a message.
#[derive(Debug)]
enum Content {
    Nothing,
    Method(Delivered),
    Header { delivered: Delivered, body: Vec<u8>, missing: usize },
}

impl Taps {
    /// Takes the deliveries of a channel, which has no consumer yet, for as long as somebody wants
    /// them.
    pub(crate) fn open(&self, channel: u16) -> Deliveries {
        let (sink, deliveries) = mpsc::unbounded_channel();
        let mut taps = self.lock();
        taps.retain(|tap| tap.channel != channel && !tap.is_over());
        taps.push(Tap { channel, content: Content::Nothing, batch: Vec::new(), sink });
        deliveries
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Tap>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Offers a frame; whether it was taken, and is not for lapin.
pub(super) fn take(taps: &mut [Tap], kind: u8, channel: u16, payload: &[u8]) -> bool {
    let tap = taps.iter_mut().find(|tap| tap.channel == channel);
    tap.is_some_and(|tap| tap.take(kind, payload))
}

/// Whether a frame of a body is taken, when it is whole.
pub(super) fn takes_body(taps: &[Tap], channel: u16) -> bool {
    let tap = taps.iter().find(|tap| tap.channel == channel);
    tap.is_some_and(|tap| matches!(tap.content, Content::Header { .. }))
}

/// Passes on what has come together.
pub(super) fn pass_on(taps: &mut [Tap]) {
    for tap in taps.iter_mut().filter(|tap| !tap.batch.is_empty()) {
        // Where nobody wants them any more the channel is closed, or will be.
        let _ = tap.sink.send(std::mem::take(&mut tap.batch));
    }
}

impl Tap {
    fn is_over(&self) -> bool {
        self.sink.is_closed() && matches!(self.content, Content::Nothing)
    }

    /// What does not belong here is lapin's, which says what is wrong about it.
    fn take(&mut self, kind: u8, payload: &[u8]) -> bool {
        let content = std::mem::replace(&mut self.content, Content::Nothing);
        let (taken, content) = match (kind, content) {
            (METHOD, Content::Nothing) if !self.sink.is_closed() => {
                let delivered = method(payload);
                (delivered.is_some(), delivered.map_or(Content::Nothing, Content::Method))
            }
            (HEADER, Content::Method(delivered)) => match header(delivered, payload) {
                Some(content) => (true, content),
                None => (false, Content::Nothing),
            },
            (BODY, Content::Header { delivered, mut body, missing }) => {
                let Some(missing) = missing.checked_sub(payload.len()) else { return false };
                body.extend_from_slice(payload);
                (true, Content::Header { delivered, body, missing })
            }
            (_, content) => (false, content),
        };
        self.content = self.completed(content);
        taken
    }

    fn completed(&mut self, content: Content) -> Content {
        match content {
            Content::Header { delivered, body, missing: 0 } => {
                self.batch.push(Delivered { body: body.into(), ..delivered });
                Content::Nothing
            }
            content => content,
        }
    }
}

/// A `basic.deliver` (AMQP 0-9-1, section 1.8.3.9).
fn method(payload: &[u8]) -> Option<Delivered> {
    let (_consumer, rest) = name(payload.strip_prefix(&DELIVER)?)?;
    let (tag, rest) = rest.split_first_chunk()?;
    let (redelivered, rest) = rest.split_first()?;
    let (exchange, rest) = name(rest)?;
    let (routing_key, rest) = name(rest)?;
    let delivered = Delivered {
        tag: u64::from_be_bytes(*tag),
        exchange: ShortString::try_new(exchange).ok()?,
        routing_key: ShortString::try_new(routing_key).ok()?,
        redelivered: redelivered & 1 == 1,
        ..Delivered::default()
    };
    rest.is_empty().then_some(delivered)
}

/// A short string.
fn name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked((*length).into())?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

/// A content header (section 4.2.6.1).
fn header(delivered: Delivered, payload: &[u8]) -> Option<Content> {
    let rest = payload.strip_prefix(&DELIVER[..2])?;
    let (_weight, rest) = rest.split_first_chunk::<2>()?;
    let (size, rest) = rest.split_first_chunk()?;
    let missing = usize::try_from(u64::from_be_bytes(*size)).ok()?;
    let (rest, properties) = parse_properties(rest).ok()?;
    let body = Vec::with_capacity(missing.min(AT_FIRST));
    let delivered = Delivered { properties, ..delivered };
    rest.is_empty().then_some(Content::Header { delivered, body, missing })
}
