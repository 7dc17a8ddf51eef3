//! Control frames of HTTP/2 (RFC 9113, section 6), counted as they come in.

use std::time::Duration;

use tokio::time::Instant;

/// The span of time in which they are counted.
const SPAN: Duration = Duration::from_secs(1);

/// The length of a frame's head (section 4.1).
const HEAD: usize = 9;

const DATA: u8 = 0;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
/// What ACK and END_STREAM have in common.
const FIRST_FLAG: u8 = 1;

/// Counts the frames of one connection that ask for work and bring no call on: PING and SETTINGS,
/// which have to be answered, RST_STREAM, and DATA that is empty and ends nothing.
#[derive(Debug)]
pub(crate) struct ControlFrames {
    most: u32,
    count: u32,
    since: Instant,
    head: [u8; HEAD],
    known: usize,
    /// What is left of the payload of a frame.
    payload: usize,
}

impl ControlFrames {
    /// `most` of them may come in a second.
    pub(crate) fn new(most: u32) -> Self {
        Self { most, count: 0, since: Instant::now(), head: [0; HEAD], known: 0, payload: 0 }
    }

    /// Looks at what has come in behind the preface; false where it is too much.
    pub(crate) fn admit(&mut self, mut bytes: &[u8]) -> bool {
        let before = self.count;
        while !bytes.is_empty() {
            bytes = self.advance(bytes);
        }
        if self.count == before || self.count <= self.most {
            return true;
        }
        // The clock is read only where there are many.
        let now = Instant::now();
        if now.duration_since(self.since) >= SPAN {
            (self.count, self.since) = (self.count - before, now);
        }
        self.count <= self.most
    }

    /// Takes a payload, or some of a head, and gives the rest.
    fn advance<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let skipped = self.payload.min(bytes.len());
        self.payload -= skipped;
        let bytes = &bytes[skipped..];
        let wanted = (HEAD - self.known).min(bytes.len());
        let (head, rest) = bytes.split_at(wanted);
        self.head[self.known..self.known + wanted].copy_from_slice(head);
        self.known += wanted;
        if self.known == HEAD {
            self.known = 0;
            self.begin();
        }
        rest
    }

    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let is_control = match kind {
            SETTINGS | PING => flags & FIRST_FLAG == 0,
            DATA => self.payload == 0 && flags & FIRST_FLAG == 0,
            kind => kind == RST_STREAM,
        };
        self.count += u32::from(is_control);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("is short").to_be_bytes();
        let mut frame = [&length[1..], &[kind, flags, 0, 0, 0, 1]].concat();
        frame.resize(HEAD + payload, kind);
        frame
    }

    #[test]
    fn only_frames_that_carry_no_call_are_counted() {
        let mut frames = ControlFrames::new(4);
        let calls =
            [frame(1, 5, 30), frame(0, 0, 9), frame(0, 1, 0), frame(6, 1, 8), frame(4, 1, 0)];
        let calls = calls.concat();
        assert!((0..100).all(|_| frames.admit(&calls)));
        assert_eq!(frames.count, 0);
        let four = [frame(6, 0, 8), frame(4, 0, 6), frame(3, 0, 4), frame(0, 0, 0)].concat();
        assert!(frames.admit(&four));
        assert!(!frames.admit(&frame(6, 0, 8)), "one too many within a second");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            kinds in prop::collection::vec((0..10_u8, 0..2_u8, 0..40_usize), 0..30),
            cuts in prop::collection::vec(1..50_usize, 1..40),
        ) {
            let whole = kinds.iter().flat_map(|(kind, flags, payload)| frame(*kind, *flags, *payload));
            let whole: Vec<u8> = whole.collect();
            let (mut once, mut bit_by_bit) = (ControlFrames::new(99), ControlFrames::new(99));
            once.admit(&whole);
            let mut rest = &whole[..];
            for cut in cuts.iter().cycle() {
                let (bytes, behind) = rest.split_at((*cut).min(rest.len()));
                bit_by_bit.admit(bytes);
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(once.count, bit_by_bit.count);
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            ControlFrames::new(1).admit(&bytes);
        }
    }
}
