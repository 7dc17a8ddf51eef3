//! Bytes as a body.

use std::{
    pin::Pin,
    task::{Context as Polled, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use polyport_bootstrap::{
    Error,
    operation::{ByteStream, Context, Fault},
};
use polyport_listener::BoxError;

use super::source::Source;
use crate::core::Core;

/// Bytes as they come. Their number is what was announced, or the connection breaks: what is cut
/// short must not look whole.
pub(crate) struct BytesBody {
    source: Source<Bytes>,
    left: Option<u64>,
}

impl BytesBody {
    pub(crate) fn new(core: &Core, context: &Context, bytes: ByteStream) -> Self {
        Self { left: bytes.length, source: Source::new(core, context, bytes.stream) }
    }

    fn count(&mut self, bytes: &Bytes) -> Result<(), Fault> {
        if let Some(left) = &mut self.left {
            let rest = left.checked_sub(bytes.len() as u64);
            *left = rest.ok_or_else(|| miscounted("more"))?;
        }
        Ok(())
    }
}

fn miscounted(what: &str) -> Fault {
    Error::other(format!("a stream of bytes gives {what} of them than its length says")).into()
}

impl Body for BytesBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Polled<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = match self.source.poll(cx) {
            Poll::Pending => Some(Err(ready!(self.source.poll_close(cx)))),
            Poll::Ready(Some(Ok(bytes))) => match self.count(&bytes) {
                Ok(()) => Some(Ok(Frame::data(bytes))),
                Err(fault) => Some(Err(self.source.fail(fault))),
            },
            Poll::Ready(None) if self.left.take().is_some_and(|left| left > 0) => {
                Some(Err(self.source.fail(miscounted("fewer"))))
            }
            Poll::Ready(end) => end.map(|fault| fault.map(Frame::data)),
        };
        Poll::Ready(polled.map(|frame| frame.map_err(|fault| fault.to_string().into())))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
