//! What a body reads from, until the process ends.

use std::{
    any::Any,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context as Polled, Poll, ready},
};

use futures_util::{
    StreamExt,
    stream::{BoxStream, CatchUnwind},
};
use polyport_bootstrap::operation::{Context, Fault, FaultKind};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::core::Core;

type Guarded<T> = CatchUnwind<AssertUnwindSafe<BoxStream<'static, Result<T, Fault>>>>;

/// A stream whose panics are faults, until the process ends.
pub(super) struct Source<T> {
    /// None once it has ended.
    stream: Option<Guarded<T>>,
    pub(super) context: Context,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<T> Source<T> {
    pub(super) fn new(
        core: &Core,
        context: &Context,
        stream: BoxStream<'static, Result<T, Fault>>,
    ) -> Self {
        Self {
            stream: Some(AssertUnwindSafe(stream).catch_unwind()),
            context: context.clone(),
            closing: Box::pin(core.closing.clone().cancelled_owned()),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.stream.is_none()
    }

    /// Ends with a fault, which is logged.
    pub(super) fn fail(&mut self, fault: Fault) -> Fault {
        self.stream = None;
        let (operation, request_id) = (self.context.operation.name(), &self.context.request_id);
        let source = fault.source_text().unwrap_or_default();
        if fault.kind() == FaultKind::Internal {
            tracing::error!(operation, protocol = "http", %request_id, %fault, source, "stream failed");
        } else {
            tracing::debug!(operation, protocol = "http", %request_id, %fault, source, "stream ended");
        }
        fault
    }

    fn panicked(&mut self, panic: &(dyn Any + Send)) -> Fault {
        self.fail(Fault::panicked(panic))
    }

    pub(super) fn poll(&mut self, cx: &mut Polled<'_>) -> Poll<Option<Result<T, Fault>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        match stream.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(Ok(item)))) => Poll::Ready(Some(Ok(item))),
            Poll::Ready(Some(Ok(Err(fault)))) => Poll::Ready(Some(Err(self.fail(fault)))),
            Poll::Ready(Some(Err(panic))) => Poll::Ready(Some(Err(self.panicked(&*panic)))),
            Poll::Ready(None) => {
                self.stream = None;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ends the stream where the process does.
    pub(super) fn poll_close(&mut self, cx: &mut Polled<'_>) -> Poll<Fault> {
        ready!(self.closing.as_mut().poll(cx));
        let message = "the server is stopping; call another, or later";
        Poll::Ready(self.fail(Fault::unavailable("STOPPING", message)))
    }
}
