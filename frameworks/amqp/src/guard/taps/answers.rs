//! What the broker says of messages that are published.

use std::mem;

use lapin::{BasicProperties, types::ShortString};
use tokio::sync::mpsc;

use super::{
    super::frames::{BODY, HEADER, METHOD},
    content, name,
};

/// Methods by their class and number (AMQP 0-9-1, section 1.8, and RabbitMQ's `basic.nack`).
const ACK: [u8; 4] = [0, 60, 0, 80];
const NACK: [u8; 4] = [0, 60, 0, 120];
const RETURN: [u8; 4] = [0, 60, 0, 50];
const FLOW: [u8; 4] = [0, 20, 0, 20];
const CLOSE: [u8; 4] = [0, 20, 0, 40];
const CLOSE_OK: [u8; 4] = [0, 20, 0, 41];
const CONNECTION_CLOSE: [u8; 4] = [0, 10, 0, 50];

/// What was said of messages that are published on one channel, as much at once as came together.
pub(crate) type Answers = mpsc::UnboundedReceiver<Vec<Heard>>;

/// Something that the broker has said, in its order: a message that is returned is so before it is
/// confirmed.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Whether it takes responsibility for a message, by its number on this channel; or for all
    /// messages up to that, 0 being all there are.
    Confirmed { tag: u64, multiple: bool, acked: bool },
    /// No queue takes this message.
    Returned(Box<Returned>),
    /// Whether it takes messages on this channel.
    Flow(bool),
    /// Nothing more comes on this channel.
    Closed(Closed),
}

/// A message that the broker has returned.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) properties: BasicProperties,
}

/// How a channel has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    /// The broker's reply code, and none where it was not the broker that wanted it closed.
    pub(crate) code: Option<u16>,
    pub(crate) reason: String,
    /// Whether the whole connection is closed.
    pub(crate) is_connection: bool,
}

/// Takes what is said of messages that are published on a channel, until that is closed. Who listens
/// may leave before: lapin knows nothing of the messages.
#[derive(Debug)]
pub(super) struct Hearing {
    returning: Returning,
    /// What came together.
    batch: Vec<Heard>,
    sink: mpsc::UnboundedSender<Vec<Heard>>,
    is_over: bool,
}

/// How much has come of a message that is returned.
#[derive(Debug, Default)]
enum Returning {
    #[default]
    Nothing,
    Method(Box<Returned>),
    /// So many bytes are missing.
    Body(usize),
}

impl Hearing {
    pub(super) fn new() -> (Self, Answers) {
        let (sink, answers) = mpsc::unbounded_channel();
        let returning = Returning::Nothing;
        (Self { returning, batch: Vec::new(), sink, is_over: false }, answers)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn takes_body(&self) -> bool {
        matches!(self.returning, Returning::Body(_))
    }

    pub(super) fn pass_on(&mut self) {
        if !self.batch.is_empty() {
            let _ = self.sink.send(mem::take(&mut self.batch));
        }
    }

    /// What does not belong here is lapin's, which says what is wrong about it.
    pub(super) fn take(&mut self, kind: u8, payload: &[u8]) -> bool {
        match (kind, mem::take(&mut self.returning)) {
            // Half a message that was returned is none: whatever comes then is heard all the same.
            (METHOD, _) if !self.is_over => self.method(payload),
            (HEADER, Returning::Method(returned)) => self.header(returned, payload),
            (BODY, Returning::Body(missing)) => {
                let left = missing.checked_sub(payload.len());
                self.returning = left.map_or(Returning::Nothing, Returning::of_body);
                left.is_some()
            }
            (_, returning) => {
                self.returning = returning;
                false
            }
        }
    }

    fn method(&mut self, payload: &[u8]) -> bool {
        let Some((method, rest)) = payload.split_first_chunk() else { return false };
        match *method {
            ACK => self.confirmed(rest, true),
            NACK => self.confirmed(rest, false),
            RETURN => {
                let returned = returned(rest).map(Box::new);
                self.returning = returned.map_or(Returning::Nothing, Returning::Method);
                matches!(self.returning, Returning::Method(_))
            }
            // These are lapin's as well, which answers them.
            FLOW => {
                self.batch.extend(rest.first().map(|active| Heard::Flow(active & 1 == 1)));
                false
            }
            CLOSE => self.closed(rest, false),
            CLOSE_OK => self.closed(&[], false),
            _ => false,
        }
    }

    fn confirmed(&mut self, rest: &[u8], acked: bool) -> bool {
        let Some((tag, [bits])) = rest.split_first_chunk() else { return false };
        let (tag, multiple) = (u64::from_be_bytes(*tag), bits & 1 == 1);
        self.batch.push(Heard::Confirmed { tag, multiple, acked });
        true
    }

    fn header(&mut self, mut returned: Box<Returned>, payload: &[u8]) -> bool {
        let Some((size, properties)) = content(payload) else { return false };
        self.returning = Returning::of_body(size);
        returned.properties = properties;
        self.batch.push(Heard::Returned(returned));
        true
    }

    /// Of a method on the channel of the connection itself.
    pub(super) fn of_connection(&mut self, payload: &[u8]) {
        if let Some(rest) = payload.strip_prefix(&CONNECTION_CLOSE).filter(|_| !self.is_over) {
            self.closed(rest, true);
        }
    }

    fn closed(&mut self, rest: &[u8], is_connection: bool) -> bool {
        self.is_over = true;
        let said = rest.split_first_chunk().map(|(code, rest)| (u16::from_be_bytes(*code), rest));
        let reason = said.and_then(|(_, rest)| name(rest));
        let reason = reason.map_or("the channel is closed", |(reason, _)| reason).to_owned();
        let code = said.map(|(code, _)| code);
        self.batch.push(Heard::Closed(Closed { code, reason, is_connection }));
        false
    }
}

impl Returning {
    fn of_body(missing: usize) -> Self {
        if missing == 0 { Self::Nothing } else { Self::Body(missing) }
    }
}

/// What follows in a `basic.return` (section 1.8.3.8): why, and which message it is.
fn returned(rest: &[u8]) -> Option<Returned> {
    let (_code, rest) = rest.split_first_chunk::<2>()?;
    let (_why, rest) = name(rest)?;
    let (exchange, rest) = name(rest)?;
    let (routing_key, _) = name(rest)?;
    Some(Returned {
        exchange: ShortString::try_new(exchange).ok()?,
        routing_key: ShortString::try_new(routing_key).ok()?,
        ..Returned::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A method with these bytes behind its class and number.
    fn method(method: [u8; 4], rest: &[u8]) -> Vec<u8> {
        [&method, rest].concat()
    }

    fn confirmed(of: [u8; 4], tag: u8, bits: u8) -> Vec<u8> {
        method(of, &[0, 0, 0, 0, 0, 0, 0, tag, bits])
    }

    /// What was heard, in words.
    fn words(answers: &mut Answers) -> Vec<String> {
        let batches = std::iter::from_fn(|| answers.try_recv().ok());
        let word = |heard| match heard {
            Heard::Confirmed { tag, multiple, acked } => format!("{tag} {multiple} {acked}"),
            Heard::Returned(returned) => format!(
                "returned {} {} {:?}",
                returned.exchange,
                returned.routing_key,
                returned.properties.message_id().as_ref().map(|id| id.as_str()),
            ),
            Heard::Flow(active) => format!("flow {active}"),
            Heard::Closed(closed) => format!("{:?} {}", closed.code, closed.reason),
        };
        batches.flatten().map(word).collect()
    }

    #[test]
    fn what_concerns_messages_is_taken_in_its_order_and_the_rest_is_lapins_too() {
        let (mut hearing, mut answers) = Hearing::new();
        let returned = method(RETURN, b"\x01\x38\x08NO_ROUTE\x02im\x01k");
        let header = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0x80][..], b"\x02m1"].concat();
        for (kind, payload, is_taken) in [
            (METHOD, confirmed(ACK, 1, 0), true),
            (METHOD, returned, true),
            (HEADER, header, true),
            (BODY, b"ab".to_vec(), true),
            (BODY, b"c".to_vec(), true),
            (BODY, b"d".to_vec(), false),
            (METHOD, confirmed(ACK, 4, 1), true),
            (METHOD, confirmed(NACK, 5, 0), true),
            (METHOD, method(FLOW, &[0]), false),
            (METHOD, method([0, 60, 0, 60], &[]), false),
            (METHOD, method(ACK, &[0]), false),
            (METHOD, method(CLOSE, b"\x01\x94\x09NOT_FOUND\0\x3c\0\x28"), false),
            (METHOD, confirmed(ACK, 6, 0), false),
        ] {
            assert_eq!(hearing.take(kind, &payload), is_taken, "{kind} {payload:?}");
        }
        hearing.pass_on();
        let expected = [
            "1 false true",
            "returned im k Some(\"m1\")",
            "4 true true",
            "5 false false",
            "flow false",
            "Some(404) NOT_FOUND",
        ];
        assert_eq!(words(&mut answers), expected);
        assert!(hearing.is_over(), "nothing comes on a closed channel");
    }

    #[test]
    fn it_is_told_how_the_connection_ends_and_takes_confirmations_that_nobody_waits_for() {
        let (mut hearing, mut answers) = Hearing::new();
        hearing.of_connection(&method([0, 10, 0, 51], &[]));
        hearing.of_connection(&method(CONNECTION_CLOSE, b"\x01\x40\x07because"));
        hearing.pass_on();
        assert_eq!(words(&mut answers), ["Some(320) because"]);

        let (mut hearing, answers) = Hearing::new();
        drop(answers);
        assert!(hearing.take(METHOD, &confirmed(ACK, 1, 0)), "lapin would not know the message");
        hearing.take(METHOD, &CLOSE_OK);
        assert!(hearing.is_over());
    }
}
