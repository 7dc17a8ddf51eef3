//! Metadata that an operation sends behind its messages.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context as Polled, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use polyport_bootstrap::{
    Context, Fault,
    operation::{FromContext, InputSlot, NoPayload, OperationInfo},
};
use tonic::{Status, metadata::MetadataMap};

use crate::{PROTOCOL, adapter::add_metadata};

/// The trailing metadata of the answer: an extractor for operations that are served on gRPC only.
/// What is in it when the last message was sent goes with the status. Those that come first are the
/// headers of an [`Answer`](polyport_bootstrap::operation::Answer), and those of a fault its own.
///
/// # Examples
/// ```
/// use polyport_bootstrap::Fault;
/// use polyport_grpc::GrpcTrailers;
///
/// async fn sign(trailers: GrpcTrailers) -> Result<String, Fault> {
///     trailers.update(|metadata| {
///         metadata.insert("x-cost", 7.into());
///     });
///     Ok("signed".to_owned())
/// }
/// # drop(sign);
/// ```
#[derive(Clone, Default)]
pub struct GrpcTrailers(Arc<Mutex<MetadataMap>>);

impl GrpcTrailers {
    /// Changes them; also while the answer is streamed.
    pub fn update<T>(&self, change: impl FnOnce(&mut MetadataMap) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The body with these in its trailers.
    pub(crate) fn behind<B>(self, body: B) -> impl HttpBody<Data = Bytes, Error = Status> + Send
    where
        B: HttpBody<Data = Bytes, Error = Status> + Send,
    {
        Trailed { body: Box::pin(body), trailers: self }
    }
}

impl fmt::Debug for GrpcTrailers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrpcTrailers")
    }
}

impl FromContext for GrpcTrailers {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        if let Some(trailers) = context.value::<Self>() {
            return Ok(trailers.clone());
        }
        let trailers = Self::default();
        context.set(trailers.clone());
        Ok(trailers)
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "GrpcTrailers");
    }
}

struct Trailed<B> {
    body: Pin<Box<B>>,
    trailers: GrpcTrailers,
}

impl<B: HttpBody<Data = Bytes, Error = Status>> HttpBody for Trailed<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Polled<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(self.body.as_mut().poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(sent) = frame.trailers_mut()
        {
            self.trailers.update(|metadata| add_metadata(sent, Some(metadata.as_ref())));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
