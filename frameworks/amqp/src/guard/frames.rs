use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};

use super::{
    fields,
    taps::{self, Tap, Taps},
};

/// Type, channel and size (AMQP 0-9-1, section 2.3.5).
pub(super) const HEAD: usize = 7;
/// The head and the byte that ends a frame.
pub(super) const OVERHEAD: usize = HEAD + 1;
pub(super) const METHOD: u8 = 1;
pub(super) const HEADER: u8 = 2;
pub(super) const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
/// The byte that ends a frame.
pub(super) const END: u8 = 0xCE;
/// A heartbeat (section 4.2.7).
const SIGN_OF_LIFE: [u8; OVERHEAD] = [HEARTBEAT, 0, 0, 0, 0, 0, 0, END];
/// How often lapin is shown that a broker lives which only delivers: far oftener than the shortest
/// heartbeat asks for, and too seldom to cost anything.
const SIGNS: Duration = Duration::from_millis(250);
/// Frames that are longer, which no broker sends, pass as they are rather than to fill the memory.
const LONGEST: usize = 16 * 1024 * 1024;

/// Bytes on their way from the broker. Those of bodies pass as they come; a frame with fields is
/// held until it is whole, and so is all that goes past lapin.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// What was read, and not looked at.
    came: BytesMut,
    /// What lapin may have.
    ready: BytesMut,
    /// How many of the bytes that come next need not be looked at.
    passing: usize,
    taps: Taps,
    /// When lapin was shown last that the broker lives.
    shown: Option<Instant>,
}

/// What comes next.
enum Next {
    /// So many bytes are for lapin.
    Lapin(usize),
    /// So many were taken.
    Taken(usize),
}

impl Frames {
    pub(super) fn tapped_by(taps: Taps) -> Self {
        Self { taps, ..Self::default() }
    }

    /// What lapin may have.
    pub(super) fn ready(&mut self) -> &mut BytesMut {
        &mut self.ready
    }

    /// Where to read to.
    pub(super) fn room(&mut self, size: usize) -> &mut BytesMut {
        self.came.reserve(size);
        &mut self.came
    }

    /// Looks at what was read.
    pub(super) fn mend(&mut self) {
        let taps = self.taps.clone();
        let mut taps = taps.lock();
        while let Some(next) = self.next(&mut taps) {
            match next {
                Next::Lapin(length) => self.pass(length),
                Next::Taken(length) => self.came.advance(length),
            }
        }
        taps::pass_on(&mut taps);
        if !taps.is_empty() && self.ready.is_empty() && self.passing == 0 {
            self.show_life();
        }
    }

    /// For lapin a broker of which it hears nothing is dead.
    fn show_life(&mut self) {
        if self.shown.is_none_or(|shown| shown.elapsed() >= SIGNS) {
            self.shown = Some(Instant::now());
            self.ready.extend_from_slice(&SIGN_OF_LIFE);
        }
    }

    /// The broker says no more: lapin may see what is left, a torn frame too.
    pub(super) fn release_all(&mut self) {
        self.pass(self.came.len());
    }

    fn pass(&mut self, length: usize) {
        self.ready.extend_from_slice(&self.came[..length]);
        self.came.advance(length);
    }

    fn next(&mut self, taps: &mut [Tap]) -> Option<Next> {
        if self.passing == 0 {
            let kind = *self.came.first()?;
            if !matches!(kind, METHOD | HEADER | BODY | HEARTBEAT) {
                // No frame at all: a broker that speaks something else says so like this.
                self.passing = usize::MAX;
            } else {
                let (channel, size) = head(&self.came)?;
                let is_taken = kind == BODY && taps::takes_body(taps, channel);
                if (matches!(kind, METHOD | HEADER) || is_taken) && size <= LONGEST {
                    let frame = self.came.get_mut(..size + OVERHEAD)?;
                    return Some(whole(frame, channel, taps));
                }
                self.passing = size + OVERHEAD;
            }
        }
        let length = self.passing.min(self.came.len());
        self.passing -= length;
        (length > 0).then_some(Next::Lapin(length))
    }
}

fn whole(frame: &mut [u8], channel: u16, taps: &mut [Tap]) -> Next {
    let (length, kind, is_ended) = (frame.len(), frame[0], frame.last() == Some(&END));
    let payload = &mut frame[HEAD..length - 1];
    if kind != BODY {
        fields::mend(kind == HEADER, payload);
    }
    match is_ended && taps::take(taps, kind, channel, payload) {
        true => Next::Taken(length),
        false => Next::Lapin(length),
    }
}

/// The channel of a frame, and the size of its payload.
pub(super) fn head(frame: &[u8]) -> Option<(u16, usize)> {
    let (channel, rest) = frame.get(1..)?.split_first_chunk()?;
    let size = u32::from_be_bytes(*rest.first_chunk()?);
    Some((u16::from_be_bytes(*channel), usize::try_from(size).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[kind, 0, 1], &size[..], payload, &[0xCE]].concat()
    }

    /// What lapin reads of what the broker sends in these pieces.
    fn passed_on(pieces: &[&[u8]]) -> Vec<u8> {
        let mut frames = Frames::default();
        let mut all = divided(&mut frames, pieces);
        frames.release_all();
        all.extend_from_slice(frames.ready());
        all
    }

    /// `basic.deliver` whose routing key is `key`.
    fn deliver(key: &[u8]) -> Vec<u8> {
        let length = u8::try_from(key.len()).expect("short");
        let head = [0, 60, 0, 60, 1, b'c', 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, b'i', b'm', length];
        frame(METHOD, &[&head, key].concat())
    }

    #[test]
    fn fields_are_mended_wherever_the_frame_is_torn_and_bodies_are_not_touched() {
        let body = frame(BODY, &[0xff; 300]);
        let sent = [deliver(b"a\xff\xfeb"), body.clone(), deliver("ü".as_bytes())].concat();
        let expected = [deliver(b"a??b"), body, deliver("ü".as_bytes())].concat();
        for cut in 0..sent.len() {
            let (left, right) = sent.split_at(cut);
            assert_eq!(passed_on(&[left, right]), expected, "torn after {cut} bytes");
        }
    }

    #[test]
    fn what_is_no_frame_and_what_is_torn_passes() {
        assert_eq!(passed_on(&[b"AMQP", b"\x00\x00\x09\x01"]), b"AMQP\x00\x00\x09\x01");
        let torn = &deliver(b"\xff")[..12];
        assert_eq!(passed_on(&[torn]), torn);
    }

    /// A message on channel 1 in one frame of its body, or in several.
    fn message(tag: u8, pieces: &[&[u8]]) -> Vec<u8> {
        let head = [0, 60, 0, 60, 1, b'c', 0, 0, 0, 0, 0, 0, 0, tag, 1, 0, 1, b'q'];
        let size = pieces.iter().map(|piece| piece.len() as u64).sum::<u64>().to_be_bytes();
        let header = [&[0, 60, 0, 0][..], &size, &[0x80, 0, 1, b'x']].concat();
        let bodies = pieces.iter().flat_map(|piece| frame(BODY, piece));
        [frame(METHOD, &head), frame(HEADER, &header)].concat().into_iter().chain(bodies).collect()
    }

    /// The same of a connection that may be tapped, and goes on.
    fn divided(frames: &mut Frames, pieces: &[&[u8]]) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in pieces {
            frames.room(piece.len()).extend_from_slice(piece);
            frames.mend();
            all.extend_from_slice(&frames.ready.split());
        }
        all
    }

    #[test]
    fn deliveries_go_past_lapin_wherever_they_are_torn_and_all_else_does_not() {
        let close = frame(METHOD, &[0, 20, 0, 41]);
        let sent = [message(1, &[b"a"]), close.clone(), message(2, &[]), message(3, &[b"b", b"c"])];
        let sent = sent.concat();
        for cut in 0..=sent.len() {
            let taps = Taps::default();
            let mut deliveries = taps.deliveries(1);
            let (left, right) = sent.split_at(cut);
            let read = divided(&mut Frames::tapped_by(taps), &[left, right]);
            let (mut rest, mut others) = (&read[..], Vec::new());
            while let Some((_, size)) = head(rest) {
                let (frame, after) = rest.split_at(size + OVERHEAD);
                others.extend(Some(frame).filter(|frame| *frame != SIGN_OF_LIFE));
                rest = after;
            }
            assert_eq!(others, [&close[..]], "torn after {cut} bytes");
            let mut all = Vec::new();
            while let Ok(some) = deliveries.try_recv() {
                all.extend(some.into_iter().map(|one| (one.tag, one.redelivered, one.body)));
            }
            let expected = [(1, true, "a"), (2, true, ""), (3, true, "bc")];
            assert_eq!(all, expected.map(|(tag, again, body)| (tag, again, body.into())));
        }
    }

    #[test]
    fn a_broker_that_only_delivers_is_alive() {
        let taps = Taps::default();
        let _deliveries = taps.deliveries(1);
        let mut frames = Frames::tapped_by(taps);
        assert_eq!(divided(&mut frames, &[&message(1, &[b"a"])]), SIGN_OF_LIFE);
        let body = frame(BODY, b"for another channel");
        let (left, right) = body.split_at(9);
        assert_eq!(divided(&mut frames, &[left, right]), body, "nothing stands within a frame");
    }

    #[test]
    fn what_nobody_wants_any_more_and_what_is_out_of_place_is_lapins() {
        let taps = Taps::default();
        let mut frames = Frames::tapped_by(taps.clone());
        let deliveries = taps.deliveries(1);
        let sent = message(1, &[b"a"]);
        let header = &sent[frame(METHOD, &[0; 18]).len()..];
        assert_eq!(divided(&mut frames, &[header]), header, "no method came before it");
        drop(deliveries);
        assert_eq!(divided(&mut frames, &[&sent]), sent);
        let mut again = taps.deliveries(1);
        divided(&mut frames, &[&sent]);
        assert_eq!(
            again.try_recv().expect("a batch").len(),
            1,
            "the channel's number is used again"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_tapped_no_bytes_make_it_panic(
            pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..6),
            properties in any::<Vec<u8>>(),
        ) {
            let taps = Taps::default();
            let _deliveries = taps.deliveries(1);
            let mut frames = Frames::tapped_by(taps);
            let method = message(1, &[])[..26].to_vec();
            let header = frame(HEADER, &[&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9][..], &properties].concat());
            let pieces = pieces.iter().map(Vec::as_slice);
            divided(&mut frames, &[&method[..], &header].into_iter().chain(pieces).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_are_lost_or_make_it_panic(
            pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..6)
        ) {
            let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(passed_on(&pieces).len(), pieces.concat().len());
        }
    }
}
