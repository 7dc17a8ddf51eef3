//! The stream of an operation's items, on its way to the peer.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{
    Stream, StreamExt,
    stream::{BoxStream, CatchUnwind},
};
use polyport_bootstrap::{self as kernel, Fault, FaultKind};
use tonic::Status;

use crate::{ending::Watch, shared::Shared};

/// After how many items in a row a stream that never waits looks whether it has to end.
const LOOK_UP: u8 = 32;

/// The items of a stream until it ends by itself, by a fault or a panic, by its deadline, or with
/// the process. However it ends, the peer gets a status.
pub(crate) struct OperationStream<Res> {
    /// None once it has ended.
    items: Option<Items<Res>>,
    context: kernel::Context,
    shared: Arc<Shared>,
    watch: Watch,
    in_a_row: u8,
}

type Items<Res> = CatchUnwind<AssertUnwindSafe<BoxStream<'static, Result<Res, Fault>>>>;

impl<Res: 'static> OperationStream<Res> {
    pub(crate) fn new(
        items: BoxStream<'static, Result<Res, Fault>>,
        context: kernel::Context,
        shared: Arc<Shared>,
    ) -> Self {
        let watch = Watch::new(context.deadline, &shared.closing);
        let items = Some(AssertUnwindSafe(items).catch_unwind());
        Self { items, context, shared, watch, in_a_row: 0 }
    }

    fn end(&mut self, fault: &Fault) -> Poll<Option<Result<Res, Status>>> {
        self.items = None;
        self.log(fault);
        Poll::Ready(Some(Err(self.shared.status(fault, &self.context.request_id))))
    }

    fn log(&self, fault: &Fault) {
        let (operation, request_id) = (self.context.operation.name(), &self.context.request_id);
        if fault.kind() == FaultKind::Internal {
            let source = fault.source_text().unwrap_or_default();
            tracing::error!(operation, protocol = "grpc", %request_id, %fault, source, "stream failed");
        } else {
            tracing::debug!(operation, protocol = "grpc", %request_id, %fault, "stream ended");
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Res, Status>>> {
        let ending = ready!(self.watch.poll(cx));
        self.end(&ending.fault())
    }
}

impl<Res: 'static> Stream for OperationStream<Res> {
    type Item = Result<Res, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.items.is_some() && self.in_a_row >= LOOK_UP {
            self.in_a_row = 0;
            if let Poll::Ready(ended) = self.poll_end(cx) {
                return Poll::Ready(ended);
            }
        }
        let Some(items) = &mut self.items else { return Poll::Ready(None) };
        match items.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(Ok(item)))) => {
                self.in_a_row += 1;
                Poll::Ready(Some(Ok(item)))
            }
            Poll::Ready(Some(Ok(Err(fault)))) => self.end(&fault),
            Poll::Ready(Some(Err(panic))) => self.end(&Fault::panicked(&*panic)),
            Poll::Ready(None) => {
                self.items = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                self.in_a_row = 0;
                self.poll_end(cx)
            }
        }
    }
}
