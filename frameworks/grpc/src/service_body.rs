//! What a service answers with.

use std::{
    any::Any,
    collections::VecDeque,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use polyport_bootstrap::{Fault, operation::RequestId};
use polyport_listener::{LongLived, ResponseBody};
use tokio::time::Instant;
use tonic::{Status, body::Body};

use crate::{
    ending::{Ending, Watch},
    shared::Shared,
};

/// The answer of a service. Where it is there as a whole, as that of a unary method is, it goes on
/// as such: it needs nobody who watches it, and counts as a call until it is written.
pub(crate) async fn answer(
    response: Response<Body>,
    deadline: Option<Instant>,
    shared: &Arc<Shared>,
    id: &RequestId,
) -> Response<ResponseBody> {
    let (head, body) = response.into_parts();
    if body.is_end_stream() {
        return Response::from_parts(head, ResponseBody::empty());
    }
    let mut body = ServiceBody {
        body: Some(body),
        ahead: VecDeque::new(),
        watch: None,
        deadline,
        shared: Arc::clone(shared),
        request_id: id.clone(),
    };
    if let Some((message, trailers)) = body.whole().await {
        return Response::from_parts(head, ResponseBody::with_trailers(message, trailers));
    }
    let mut response = Response::from_parts(head, ResponseBody::boxed(body));
    response.extensions_mut().insert(LongLived);
    response
}

/// The body of a service's answer, which ends with a status even if a panic, the deadline or the
/// end of the process cut it short.
struct ServiceBody {
    /// None once it has been cut short.
    body: Option<Body>,
    /// What was there at once.
    ahead: VecDeque<Result<Frame<Bytes>, Status>>,
    /// None until it has to wait.
    watch: Option<Watch>,
    deadline: Option<Instant>,
    shared: Arc<Shared>,
    request_id: RequestId,
}

impl ServiceBody {
    /// What comes next, if it is there: none while it has to be waited for.
    async fn now(&mut self) -> Option<Option<Result<Frame<Bytes>, Status>>> {
        poll_fn(|cx| {
            Poll::Ready(match Pin::new(&mut *self).poll_frame(cx) {
                Poll::Ready(frame) => Some(frame),
                Poll::Pending => None,
            })
        })
        .await
    }

    /// The message and what stands behind it, where that is all and is there already.
    async fn whole(&mut self) -> Option<(Bytes, HeaderMap)> {
        let first = match self.now().await {
            Some(Some(first)) => first,
            ended => {
                if ended.is_some() {
                    self.body = None;
                }
                return None;
            }
        };
        let message = match first.map(Frame::into_data) {
            Ok(Ok(message)) => message,
            Ok(Err(trailers)) => return Some((Bytes::new(), trailers.into_trailers().ok()?)),
            Err(status) => {
                self.ahead.push_back(Err(status));
                return None;
            }
        };
        let second = match self.now().await {
            Some(Some(second)) => second.map(Frame::into_trailers),
            ended => {
                if ended.is_some() {
                    self.body = None;
                }
                self.ahead.push_back(Ok(Frame::data(message)));
                return None;
            }
        };
        match second {
            Ok(Ok(trailers)) => return Some((message, trailers)),
            Ok(Err(more)) => self.ahead.extend([Ok(Frame::data(message)), Ok(more)]),
            Err(status) => self.ahead.extend([Ok(Frame::data(message)), Err(status)]),
        }
        None
    }

    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        let (deadline, closing) = (self.deadline, &self.shared.closing);
        self.watch.get_or_insert_with(|| Watch::new(deadline, closing)).poll(cx)
    }

    fn end(&mut self, fault: &Fault) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.body = None;
        let trailers = trailers(&self.shared.status(fault, &self.request_id));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from(status.code() as i32));
    }
    trailers
}

impl HttpBody for ServiceBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(frame) = self.ahead.pop_front() {
            return Poll::Ready(Some(frame));
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(cx))) {
            Ok(Poll::Ready(frame)) => Poll::Ready(frame),
            Ok(Poll::Pending) => {
                let ending = ready!(self.poll_ending(cx));
                self.end(&ending.fault())
            }
            Err(panic) => {
                let fault = panicked(&*panic, &self.request_id);
                self.end(&fault)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn panicked(panic: &(dyn Any + Send), request_id: &RequestId) -> Fault {
    let fault = Fault::panicked(panic);
    let source = fault.source_text().unwrap_or_default();
    tracing::error!(protocol = "grpc", %request_id, source, "service failed");
    fault
}
