//! What goes past lapin on its way from the broker: what it does for each delivery and for each
//! confirmation costs more than to handle it.

mod answers;
mod deliveries;

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lapin::{BasicProperties, protocol::basic::parse_properties};

use self::{answers::Hearing, deliveries::Delivering};
pub(crate) use self::{
    answers::{Answers, Closed, Heard, Returned},
    deliveries::{Delivered, Deliveries},
};
use super::frames::METHOD;

/// The class of all that carries messages (AMQP 0-9-1, section 1.8).
const BASIC: [u8; 2] = [0, 60];

/// The channels of one connection of which lapin does not see everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taps(Arc<Mutex<Vec<Tap>>>);

#[derive(Debug)]
pub(super) struct Tap {
    channel: u16,
    what: What,
}

/// What is taken.
#[derive(Debug)]
enum What {
    Deliveries(Box<Delivering>),
    Answers(Hearing),
}

impl Taps {
    /// Takes the deliveries of a channel, which has no consumer yet, for as long as somebody wants
    /// them.
    pub(crate) fn deliveries(&self, channel: u16) -> Deliveries {
        let (delivering, deliveries) = Delivering::new();
        self.add(channel, What::Deliveries(Box::new(delivering)));
        deliveries
    }

    /// Takes what the broker says of messages that are published on a channel, on which none was
    /// yet, until that is closed.
    pub(crate) fn answers(&self, channel: u16) -> Answers {
        let (hearing, answers) = Hearing::new();
        self.add(channel, What::Answers(hearing));
        answers
    }

    fn add(&self, channel: u16, what: What) {
        let mut taps = self.lock();
        let new = Tap { channel, what };
        taps.retain(|tap| !tap.is_over() && !tap.is_as(&new));
        taps.push(new);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Tap>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Offers a frame; whether it was taken, and is not for lapin.
pub(super) fn take(taps: &mut [Tap], kind: u8, channel: u16, payload: &[u8]) -> bool {
    if channel == 0 && kind == METHOD {
        taps.iter_mut().for_each(|tap| tap.hear_of_connection(payload));
        return false;
    }
    let mut of_channel = taps.iter_mut().filter(|tap| tap.channel == channel);
    of_channel.any(|tap| match &mut tap.what {
        What::Deliveries(delivering) => delivering.take(kind, payload),
        What::Answers(hearing) => hearing.take(kind, payload),
    })
}

/// Whether a frame of a body is taken, when it is whole.
pub(super) fn takes_body(taps: &[Tap], channel: u16) -> bool {
    let mut of_channel = taps.iter().filter(|tap| tap.channel == channel);
    of_channel.any(|tap| match &tap.what {
        What::Deliveries(delivering) => delivering.takes_body(),
        What::Answers(hearing) => hearing.takes_body(),
    })
}

/// Passes on what has come together.
pub(super) fn pass_on(taps: &mut [Tap]) {
    for tap in taps {
        match &mut tap.what {
            What::Deliveries(delivering) => delivering.pass_on(),
            What::Answers(hearing) => hearing.pass_on(),
        }
    }
}

impl Tap {
    fn is_over(&self) -> bool {
        match &self.what {
            What::Deliveries(delivering) => delivering.is_over(),
            What::Answers(hearing) => hearing.is_over(),
        }
    }

    /// Whether this is the same of the same channel, whose number is used again.
    fn is_as(&self, other: &Self) -> bool {
        self.channel == other.channel
            && mem::discriminant(&self.what) == mem::discriminant(&other.what)
    }

    fn hear_of_connection(&mut self, payload: &[u8]) {
        if let What::Answers(hearing) = &mut self.what {
            hearing.of_connection(payload);
        }
    }
}

/// A short string.
fn name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked((*length).into())?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

/// A content header (AMQP 0-9-1, section 4.2.6.1): how long the body is, and the properties.
fn content(payload: &[u8]) -> Option<(usize, BasicProperties)> {
    let rest = payload.strip_prefix(&BASIC)?;
    let (_weight, rest) = rest.split_first_chunk::<2>()?;
    let (size, rest) = rest.split_first_chunk()?;
    let size = usize::try_from(u64::from_be_bytes(*size)).ok()?;
    let (rest, properties) = parse_properties(rest).ok()?;
    rest.is_empty().then_some((size, properties))
}

#[cfg(test)]
mod tests {
    use super::{
        super::frames::{BODY, HEADER},
        *,
    };

    const DELIVER: &[u8] = b"\0\x3c\0\x3c\x01c\0\0\0\0\0\0\0\x01\0\x02im\x01k";
    const RETURN: &[u8] = b"\0\x3c\0\x32\x01\x38\x08NO_ROUTE\x02im\x01k";
    const CONTENT: &[u8] = b"\0\x3c\0\0\0\0\0\0\0\0\0\x01\0\0";
    const ACK: &[u8] = b"\0\x3c\0\x50\0\0\0\0\0\0\0\x01\0";
    const CLOSE_OK: &[u8] = b"\0\x14\0\x29";

    /// Offers frames of channel 1; whether each was taken.
    fn offer(taps: &Taps, frames: &[(u8, &[u8])]) -> Vec<bool> {
        let mut taps = taps.lock();
        let taken =
            frames.iter().map(|(kind, payload)| take(&mut taps, *kind, 1, payload)).collect();
        pass_on(&mut taps);
        taken
    }

    #[test]
    fn who_requests_gets_replies_and_what_is_returned_over_one_channel() {
        let taps = Taps::default();
        let (mut deliveries, mut answers) = (taps.deliveries(1), taps.answers(1));
        for method in [DELIVER, RETURN, DELIVER] {
            let frames = [(METHOD, method), (HEADER, CONTENT), (BODY, b"x")];
            assert_eq!(offer(&taps, &frames), [true; 3]);
        }
        let delivered = std::iter::from_fn(|| deliveries.try_recv().ok()).flatten().count();
        let returned = std::iter::from_fn(|| answers.try_recv().ok()).flatten().count();
        assert_eq!((delivered, returned), (2, 1));
    }

    #[test]
    fn a_channel_whose_number_is_used_again_is_another_one() {
        let taps = Taps::default();
        let (mut old, ack) = (taps.answers(1), [(METHOD, ACK)]);
        assert_eq!(offer(&taps, &[(METHOD, ACK), (METHOD, CLOSE_OK)]), [true, false]);
        assert_eq!(offer(&taps, &ack), [false], "it is lapin's to say what is wrong");
        let mut new = taps.answers(1);
        assert_eq!(offer(&taps, &ack), [true]);
        assert_eq!(old.try_recv().map(|heard| heard.len()), Ok(2), "told, and told of the end");
        assert!(old.try_recv().is_err() && new.try_recv().is_ok());
    }
}
