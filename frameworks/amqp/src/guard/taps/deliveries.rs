//! Deliveries on their way from the broker to those who consume.

use std::mem;

use bytes::Bytes;
use lapin::{BasicProperties, types::ShortString};
use tokio::sync::mpsc;

use super::{
    super::frames::{BODY, HEADER, METHOD},
    content, name,
};

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

/// Takes the deliveries of a channel.
#[derive(Debug)]
pub(super) struct Delivering {
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

impl Delivering {
    pub(super) fn new() -> (Self, Deliveries) {
        let (sink, deliveries) = mpsc::unbounded_channel();
        (Self { content: Content::Nothing, batch: Vec::new(), sink }, deliveries)
    }

    pub(super) fn is_over(&self) -> bool {
        self.sink.is_closed() && matches!(self.content, Content::Nothing)
    }

    pub(super) fn takes_body(&self) -> bool {
        matches!(self.content, Content::Header { .. })
    }

    pub(super) fn pass_on(&mut self) {
        if !self.batch.is_empty() {
            // Where nobody wants them any more the channel is closed, or will be.
            let _ = self.sink.send(mem::take(&mut self.batch));
        }
    }

    /// What does not belong here is lapin's, which says what is wrong about it.
    pub(super) fn take(&mut self, kind: u8, payload: &[u8]) -> bool {
        let content = mem::replace(&mut self.content, Content::Nothing);
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

fn header(delivered: Delivered, payload: &[u8]) -> Option<Content> {
    let (missing, properties) = content(payload)?;
    let body = Vec::with_capacity(missing.min(AT_FIRST));
    Some(Content::Header { delivered: Delivered { properties, ..delivered }, body, missing })
}
