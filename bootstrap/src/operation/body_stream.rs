//! The body of a call, bit by bit.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context as Polled, Poll},
};

use bytes::Bytes;
use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{Context, Fault, FromContext, InputSlot, NoPayload, OperationInfo};
use crate::Error;

/// The body of a call as it comes in, for what is too large for the memory.
///
/// HTTP gives the bytes as the client sends them, within the limits of body and time; an
/// [`Input`](struct@super::Input) beside it is bound from path, query and headers. The other protocols
/// have read the whole message already: there it is one piece. A stream that ends in a fault was
/// cut short, too long or too slow.
///
/// # Examples
/// ```
/// use futures_util::TryStreamExt;
/// use polyport_bootstrap::operation::{BodyStream, Fault};
///
/// async fn measure(body: BodyStream) -> Result<usize, Fault> {
///     body.try_fold(0, async |sum, bytes| Ok(sum + bytes.len())).await
/// }
/// # drop(measure);
/// ```
pub struct BodyStream(Pieces);

type Pieces = BoxStream<'static, Result<Bytes, Fault>>;

impl BodyStream {
    /// All that is left of it, at once.
    ///
    /// # Errors
    /// Returns the fault that ends the stream.
    pub async fn collect(self) -> Result<Bytes, Fault> {
        let gather = |mut all: bytes::BytesMut, bytes: Bytes| {
            all.extend_from_slice(&bytes);
            std::future::ready(Ok(all))
        };
        Ok(self.try_fold(bytes::BytesMut::new(), gather).await?.freeze())
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Polled<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyStream")
    }
}

/// As an extension of a call: its body, which the framework has not read, since the operation
/// [streams](OperationInfo::streams_body) it.
#[derive(Clone)]
pub struct BodySource(Arc<Mutex<Option<Pieces>>>);

impl BodySource {
    /// The body that this stream is.
    pub fn new(stream: impl Stream<Item = Result<Bytes, Fault>> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(stream.boxed()))))
    }

    fn take(&self) -> Option<Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for BodySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodySource")
    }
}

impl FromContext for BodyStream {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let Some(source) = context.extension::<BodySource>() else {
            let body = context.input.body.clone();
            return Ok(Self(stream::iter((!body.is_empty()).then_some(Ok(body))).boxed()));
        };
        let taken = || Error::other("the body was taken by another argument");
        Ok(Self(source.take().ok_or_else(taken)?))
    }

    fn describe(info: &mut OperationInfo) {
        info.stream_body();
    }
}
