use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use super::fields;

/// Type, channel and size (AMQP 0-9-1, section 2.3.5).
const HEAD: usize = 7;
/// The head and the byte that ends a frame.
const OVERHEAD: usize = HEAD + 1;
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
/// Frames that are longer, which no broker sends, pass as they are rather than to fill the memory.
const LONGEST: usize = 16 * 1024 * 1024;

/// Bytes on their way from the broker. Those of bodies pass as they come; a frame with fields is
/// held until it is whole.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: BytesMut,
    /// How many of them, from the first on, lapin may have.
    ready: usize,
    /// How many of those that follow need not be looked at.
    passing: usize,
}

impl Frames {
    /// Whether there is something for lapin to read.
    pub(super) fn is_ready(&self) -> bool {
        self.ready > 0
    }

    /// Where to read to.
    pub(super) fn room(&mut self, size: usize) -> &mut BytesMut {
        self.bytes.reserve(size);
        &mut self.bytes
    }

    /// Looks at what was read.
    pub(super) fn mend(&mut self) {
        while let Some(length) = self.next() {
            self.ready += length;
        }
    }

    /// The broker says no more: lapin may see what is left, a torn frame too.
    pub(super) fn release_all(&mut self) {
        self.ready = self.bytes.len();
    }

    /// Gives lapin what it may have, as far as it fits.
    pub(super) fn pour(&mut self, to: &mut ReadBuf<'_>) {
        let length = self.ready.min(to.remaining());
        to.put_slice(&self.bytes[..length]);
        self.bytes.advance(length);
        self.ready -= length;
    }

    /// As [`Frames::pour`], all of it.
    #[cfg(feature = "fuzzing")]
    pub(super) fn pour_all(&mut self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.bytes.split_to(std::mem::take(&mut self.ready)));
    }

    /// How many further bytes lapin may have, if it is certain.
    fn next(&mut self) -> Option<usize> {
        let waiting = &mut self.bytes[self.ready..];
        if self.passing == 0 {
            let kind = *waiting.first()?;
            if !matches!(kind, METHOD | HEADER | BODY | HEARTBEAT) {
                // No frame at all: a broker that speaks something else says so like this.
                self.passing = usize::MAX;
            } else {
                let size = size(waiting)?;
                if matches!(kind, METHOD | HEADER) && size <= LONGEST {
                    let frame = waiting.get_mut(..size + OVERHEAD)?;
                    fields::mend(kind == HEADER, &mut frame[HEAD..HEAD + size]);
                    return Some(size + OVERHEAD);
                }
                self.passing = size + OVERHEAD;
            }
        }
        let length = self.passing.min(waiting.len());
        self.passing -= length;
        (length > 0).then_some(length)
    }
}

fn size(frame: &[u8]) -> Option<usize> {
    let size = frame.get(HEAD - 4..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*size)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[kind, 0, 1], &size[..], payload, &[0xCE]].concat()
    }

    /// What lapin reads of what the broker sends in these pieces, eleven bytes at a time.
    fn passed_on(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut frames, mut all) = (Frames::default(), Vec::new());
        let mut drain = |frames: &mut Frames| {
            while frames.is_ready() {
                let mut bytes = [0; 11];
                let mut buffer = ReadBuf::new(&mut bytes);
                frames.pour(&mut buffer);
                all.extend_from_slice(buffer.filled());
            }
        };
        for piece in pieces {
            frames.room(piece.len()).extend_from_slice(piece);
            frames.mend();
            drain(&mut frames);
        }
        frames.release_all();
        drain(&mut frames);
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

    proptest! {
        #[test]
        fn no_bytes_are_lost_or_make_it_panic(
            pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..6)
        ) {
            let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(passed_on(&pieces).len(), pieces.concat().len());
        }
    }
}
