//! The parts of a form as they come in (RFC 7578).

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use multer::{Field, Multipart};
use polyport_bootstrap::operation::Fault;

/// How many bytes may come in without being a part's: its headers, and what stands before the first.
const MOST_UNREAD: usize = 64 * 1024;

/// Takes a body apart. The reader of the format gets a piece of the body only where it waits for one,
/// so that no more than one is kept.
pub(super) struct Parts<'b, S> {
    body: &'b mut S,
    multipart: Multipart<'static>,
    slot: Slot,
    unread: usize,
}

impl<'b, S: Stream<Item = Result<Bytes, Fault>> + Unpin> Parts<'b, S> {
    pub(super) fn new(body: &'b mut S, boundary: &str) -> Self {
        let slot = Slot::default();
        Self { body, multipart: Multipart::new(slot.clone(), boundary), slot, unread: 0 }
    }

    /// The next part; the one before must have been dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Field<'static>>, Fault> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(part) = self.multipart.poll_next_field(cx) {
                    return Poll::Ready(self.got(part));
                }
                ready!(self.feed(cx))?;
            }
        })
        .await
    }

    /// The next bytes of a part; none at its end.
    pub(super) async fn bytes(
        &mut self,
        part: &mut Field<'static>,
    ) -> Result<Option<Bytes>, Fault> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(bytes) = part.poll_next_unpin(cx) {
                    return Poll::Ready(self.got(bytes.transpose()));
                }
                ready!(self.feed(cx))?;
            }
        })
        .await
    }

    fn got<T>(&mut self, read: multer::Result<T>) -> Result<T, Fault> {
        self.unread = 0;
        read.map_err(malformed)
    }

    fn feed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.unread > MOST_UNREAD {
            return Poll::Ready(Err(malformed("the headers of a part are too long")));
        }
        let piece = ready!(self.body.poll_next_unpin(cx)).transpose()?;
        let mut slot = self.slot.lock();
        if piece.is_none() && slot.has_ended {
            return Poll::Ready(Err(malformed("it ends before its last part")));
        }
        self.unread += piece.as_ref().map_or(0, Bytes::len);
        (slot.has_ended, slot.piece) = (piece.is_none(), piece);
        Poll::Ready(Ok(()))
    }
}

pub(super) fn malformed(why: impl std::fmt::Display) -> Fault {
    Fault::invalid_argument("INVALID_INPUT", format!("the multipart body is malformed: {why}"))
}

/// Where the reader of the format finds the next piece.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    piece: Option<Bytes>,
    has_ended: bool,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Slot {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut waiting = self.lock();
        match waiting.piece.take() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None if waiting.has_ended => Poll::Ready(None),
            // Whoever polls the reader fills the slot itself, and needs no waking.
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};
    use proptest::prelude::*;

    use super::*;

    /// The parts of a body that comes in these pieces: names and contents.
    async fn read(pieces: Vec<Bytes>) -> Result<Vec<(String, Vec<u8>)>, Fault> {
        let mut body = stream::iter(pieces.into_iter().map(Ok));
        let mut parts = Parts::new(&mut body, "cut");
        let mut all = Vec::new();
        while let Some(mut part) = parts.next().await? {
            let (name, mut content) = (part.name().unwrap_or_default().to_owned(), Vec::new());
            while let Some(bytes) = parts.bytes(&mut part).await? {
                content.extend_from_slice(&bytes);
            }
            all.push((name, content));
        }
        Ok(all)
    }

    fn pieces(body: &[u8], size: usize) -> Vec<Bytes> {
        body.chunks(size).map(Bytes::copy_from_slice).collect()
    }

    proptest! {
        #[test]
        fn a_form_is_the_same_however_it_comes_in(
            contents in prop::collection::vec("[a-c\r\n-]{0,20}", 0..4),
            size in 1_usize..64,
        ) {
            let mut body = String::new();
            for content in &contents {
                body += "--cut\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n";
                body += &format!("{content}\r\n");
            }
            body += "--cut--\r\n";
            let read = read(pieces(body.as_bytes(), size)).now_or_never().expect("it never waits");
            let expected: Vec<_> =
                contents.into_iter().map(|text| ("a".to_owned(), text.into_bytes())).collect();
            prop_assert_eq!(read.expect("a form"), expected);
        }

        #[test]
        fn no_bytes_make_the_reader_panic_or_wait(
            body in "(--cut|--|\r\n|content-disposition: form-data; name=|a|:|\"|\\PC){0,20}",
            size in 1_usize..64,
        ) {
            let read = read(pieces(body.as_bytes(), size)).now_or_never();
            prop_assert!(read.is_some());
        }
    }
}
