//! Services that tonic generates, served beside operations.

use std::{
    any::Any,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use polyport_bootstrap::{Fault, operation::RequestId};
use polyport_listener::LongLived;
use tonic::{Status, body::Body};
use tower::{ServiceExt, util::BoxCloneSyncService};

use crate::{ending::Watch, ending::until_ended, shared::Shared, timeout};

/// A service of any type.
pub(crate) type AnyService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Answers one call by `service`. The peer's deadline holds for it, a panic is a status, and its
/// streams end with the process.
pub(crate) async fn serve(
    service: &AnyService,
    shared: &Arc<Shared>,
    id: &RequestId,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let deadline = match timeout::deadline(request.headers(), None) {
        Ok(deadline) => deadline,
        Err(fault) => return shared.refuse(&fault, id),
    };
    request.extensions_mut().insert(id.clone());
    let call = AssertUnwindSafe(service.clone().oneshot(request.map(Body::new))).catch_unwind();
    match until_ended(call, deadline, &shared.closing).await {
        Ok(Ok(Ok(mut response))) => {
            response.extensions_mut().insert(LongLived);
            let watch = Watch::new(deadline, &shared.closing);
            response.map(|body| watched(body, watch, shared, id))
        }
        Ok(Err(panic)) => shared.status(&panicked(&*panic, id), id).into_http(),
        Err(ending) => shared.refuse(&ending.fault(), id),
    }
}

fn panicked(panic: &(dyn Any + Send), request_id: &RequestId) -> Fault {
    let fault = Fault::panicked(panic);
    let source = fault.source_text().unwrap_or_default();
    tracing::error!(protocol = "grpc", %request_id, source, "service failed");
    fault
}

fn watched(body: Body, watch: Watch, shared: &Arc<Shared>, id: &RequestId) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::new(ServiceBody {
        body: Some(body),
        watch,
        shared: Arc::clone(shared),
        request_id: id.clone(),
    })
}

/// The body of a service's answer, which ends with a status even if a panic, the deadline or the
/// end of the process cut it short.
struct ServiceBody {
    /// None once it has been cut short.
    body: Option<Body>,
    watch: Watch,
    shared: Arc<Shared>,
    request_id: RequestId,
}

impl ServiceBody {
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
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(cx))) {
            Ok(Poll::Ready(frame)) => Poll::Ready(frame),
            Ok(Poll::Pending) => {
                let ending = ready!(self.watch.poll(cx));
                self.end(&ending.fault())
            }
            Err(panic) => {
                let fault = panicked(&*panic, &self.request_id);
                self.end(&fault)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
