//! The messages of a client that sends a stream of them.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context as Polled, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::BodyExt;
use polyport_bootstrap::{
    Context, Error, Fault,
    operation::{FromContext, InputSlot, OperationInfo, Takes},
};
use polyport_listener::BoxError;
use prost::Message;
use tonic::{Code, Status, Streaming};

use super::FromMessage;
use crate::{PROTOCOL, adapter, method::RequestBody, operations};

/// The messages that the client sends, one after the other: an extractor for operations that are
/// registered with `client_streaming`, `bidi_streaming` or `method`, and for gRPC only.
///
/// Each is converted and validated as the input of a unary operation is. The next one is read when
/// it is asked for, so a client can be no faster than the operation. The stream ends when the
/// client says that it has sent all; a message that is malformed, invalid or larger than
/// `max_message_size`, and a client that leaves, are a fault, which is the last item.
///
/// # Examples
/// ```
/// use futures_util::TryStreamExt;
/// use garde::Validate;
/// use polyport_bootstrap::{Fault, ModuleBuilder};
/// use polyport_grpc::{GrpcModule, GrpcOperations, Messages};
///
/// #[derive(Validate)]
/// struct Number(#[garde(range(max = 100))] u32);
///
/// impl From<u32> for Number {
///     fn from(message: u32) -> Self {
///         Self(message)
///     }
/// }
///
/// async fn sum(numbers: Messages<Number>) -> Result<u32, Fault> {
///     numbers.try_fold(0, async |sum, Number(number)| Ok(sum + number)).await
/// }
///
/// fn configure(m: &mut ModuleBuilder<'_>) {
///     // A stream of google.protobuf.UInt32Value in, one out.
///     m.grpc(|s| s.client_streaming::<u32, u32>("math.v1.Math/Sum", sum));
/// }
/// ```
pub struct Messages<T> {
    /// None once it has ended.
    incoming: Option<Streaming<Bytes>>,
    read: fn(Bytes) -> Result<T, Fault>,
}

impl<T> Messages<T> {
    /// The next message, or `None` when the client has sent all.
    ///
    /// # Errors
    /// Returns the fault that ends the stream.
    ///
    /// # Cancel safety
    /// Where the future is dropped, nothing is lost.
    pub async fn message(&mut self) -> Result<Option<T>, Fault> {
        self.next().await.transpose()
    }
}

impl<T> Stream for Messages<T> {
    type Item = Result<T, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Polled<'_>) -> Poll<Option<Self::Item>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let item = match ready!(incoming.poll_next_unpin(cx)) {
            Some(Ok(message)) => Some((self.read)(message)),
            Some(Err(status)) => Some(Err(broken(&status))),
            None => None,
        };
        if !matches!(item, Some(Ok(_))) {
            self.incoming = None;
        }
        Poll::Ready(item)
    }
}

impl<T> fmt::Debug for Messages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages")
    }
}

impl<T: Send + 'static> FromContext for Messages<T> {
    type Payload = Takes<Self>;

    async fn from_context(_: &Context, input: &mut InputSlot<'_>) -> Result<Self, Fault> {
        Ok(input.take().ok_or_else(taken)?)
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "Messages");
    }
}

fn taken() -> Error {
    Error::other("the client's messages were taken already")
        .advise("an operation takes them once, and is called once")
}

/// What tells a client that has left from one that has sent all: tonic alone takes the two for the
/// same.
const LEFT: &str = "the client has left before the end of its messages";

fn broken(status: &Status) -> Fault {
    match (status.code(), status.message()) {
        (Code::Aborted, LEFT) => Fault::cancelled("CLIENT_LEFT", LEFT),
        _ => adapter::unreadable(status),
    }
}

/// The body of a request, which says when the client has left.
pub(crate) fn watched(
    body: impl RequestBody,
) -> impl http_body::Body<Data = Bytes, Error = Status> + Send + 'static {
    body.map_err(|error| {
        let error: BoxError = error.into();
        match is_of_the_connection(&*error) {
            true => Status::aborted(LEFT),
            false => Status::from_error(error),
        }
    })
}

/// Whether the stream was reset or its connection broke, rather than a layer having refused.
fn is_of_the_connection(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut chain = std::iter::successors(Some(error), |error| error.source());
    chain.any(|error| error.is::<hyper::Error>())
}

/// As an extension of a call: its messages, until the operation takes them.
#[derive(Clone)]
pub(crate) struct MessageSource(Arc<Mutex<Option<Streaming<Bytes>>>>);

impl MessageSource {
    pub(crate) fn new(incoming: Streaming<Bytes>) -> Self {
        Self(Arc::new(Mutex::new(Some(incoming))))
    }

    fn take(&self) -> Option<Streaming<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The input of an operation that can be made from a stream of gRPC messages `Req`: [`Messages`] of
/// whatever a unary operation could take. `How` is always inferred.
#[diagnostic::on_unimplemented(
    message = "the operation's input `{Self}` cannot be made from a stream of `{Req}`",
    note = "let it take `polyport_grpc::Messages<T>`, where `T` is `From<{Req}>` and \
            `garde::Validate<Context = ()>`"
)]
pub trait FromMessages<Req, How>: Sized {
    /// Takes the messages of a call.
    ///
    /// # Errors
    /// Returns an internal fault where somebody has taken them already.
    fn from_messages(context: &Context) -> Result<Self, Fault>;
}

impl<Req, How, T> FromMessages<Req, How> for Messages<T>
where
    Req: Message + Default,
    T: FromMessage<Req, How>,
{
    fn from_messages(context: &Context) -> Result<Self, Fault> {
        let source = context.extension::<MessageSource>();
        let incoming = source.and_then(MessageSource::take).ok_or_else(taken)?;
        Ok(Self { incoming: Some(incoming), read: operations::read::<Req, How, T> })
    }
}
