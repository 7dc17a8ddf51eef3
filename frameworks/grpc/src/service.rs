//! Services that tonic generates, served beside operations.

use std::{
    any::Any,
    convert::Infallible,
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use polyport_bootstrap::{
    Error, Fault,
    operation::{Endpoint, Reply, ReplyBody, RequestId},
};
use polyport_listener::{BoxError, HandlerFuture, LongLived, ResponseBody};
use tokio::time::Instant;
use tonic::{Status, body::Body};
use tower::{Service, ServiceExt};

use crate::{
    adapter::{self, add_metadata},
    ending::{Ending, Watch, until_ended},
    handler::identify,
    message::no_message,
    shared::Shared,
    timeout,
};

/// A service as what stands at the end of a chain: it takes the request from the call's [`Slot`]
/// and leaves its response there.
pub(crate) fn endpoint<S, B>(name: &'static str, service: S) -> Endpoint
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Endpoint::native(name, move |context| {
        let Some((slot, request)) = take_request(context) else {
            let error = Error::other("the request has been answered already");
            let error = error.advise("middleware cannot call a service twice");
            return Box::pin(ready(Err(error.into())));
        };
        let answer = service.clone().oneshot(request);
        Box::pin(async move {
            let Ok(response) = answer.await;
            slot.put_response(response.map(Body::new));
            Ok(Reply::new(ReplyBody::Native))
        })
    })
}

fn take_request(context: &polyport_bootstrap::Context) -> Option<(&Slot, Request<Body>)> {
    let slot = context.extension::<Slot>()?;
    let mut request = slot.take_request()?;
    request.extensions_mut().insert(context.request_id.clone());
    request.extensions_mut().insert(context.clone());
    Some((slot, request))
}

/// Where a service finds its request, and leaves its response.
#[derive(Clone)]
struct Slot(Arc<Mutex<Exchange>>);

enum Exchange {
    Request(Request<Body>),
    Response(Response<Body>),
    Taken,
}

impl Slot {
    fn new(request: Request<Body>) -> Self {
        Self(Arc::new(Mutex::new(Exchange::Request(request))))
    }

    fn take(&self) -> Exchange {
        let mut exchange = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut exchange, Exchange::Taken)
    }

    fn take_request(&self) -> Option<Request<Body>> {
        match self.take() {
            Exchange::Request(request) => Some(request),
            _ => None,
        }
    }

    fn take_response(&self) -> Option<Response<Body>> {
        match self.take() {
            Exchange::Response(response) => Some(response),
            _ => None,
        }
    }

    fn put_response(&self, response: Response<Body>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Exchange::Response(response);
    }
}

/// Answers one call by a service, behind what stands around it. The peer's deadline holds for it, a
/// panic is a status, and its streams end with the process.
pub(crate) fn serve(
    endpoint: Endpoint,
    shared: Arc<Shared>,
    id: RequestId,
    request: Request<Body>,
) -> HandlerFuture {
    let deadline = match timeout::deadline(request.headers(), None) {
        Ok(deadline) => deadline,
        Err(fault) => {
            let mut refusal = shared.refuse(&fault, &id);
            identify(&mut refusal, &id);
            return Box::pin(ready(refusal));
        }
    };
    let mut call = shared.call(&endpoint, &id, deadline);
    (call.metadata, call.extensions) = (request.headers().clone(), request.extensions().clone());
    let slot = Slot::new(request);
    call.extensions.insert(slot.clone());
    let context = polyport_bootstrap::Context::new(call);
    Box::pin(async move {
        let _flight = endpoint.info().enter();
        let answer = pin!(endpoint.call(&context));
        let mut response = match until_ended(answer, None, &shared.closing).await {
            Ok(Ok(reply)) => match answered(reply, &slot) {
                Ok(response) => response.map(|body| watched(body, deadline, &shared, &id)),
                Err(fault) => shared.refuse(&fault, &id),
            },
            Ok(Err(fault)) => shared.failed(&fault, &id),
            Err(ending) => shared.refuse(&ending.fault(), &id),
        };
        identify(&mut response, &id);
        response
    })
}

/// The service's response, with the headers that interceptors have set.
fn answered(reply: Reply, slot: &Slot) -> Result<Response<Body>, Fault> {
    let (_, headers, body) = reply.into_parts();
    let response = slot.take_response().filter(|_| matches!(body, ReplyBody::Native));
    let mut response = response.ok_or_else(|| no_message(&body))?;
    if let Some(fault) = response.extensions().get().and_then(adapter::too_large) {
        return Err(fault);
    }
    add_metadata(response.headers_mut(), headers.as_deref());
    response.extensions_mut().insert(LongLived);
    Ok(response)
}

fn panicked(panic: &(dyn Any + Send), request_id: &RequestId) -> Fault {
    let fault = Fault::panicked(panic);
    let source = fault.source_text().unwrap_or_default();
    tracing::error!(protocol = "grpc", %request_id, source, "service failed");
    fault
}

fn watched(
    body: Body,
    deadline: Option<Instant>,
    shared: &Arc<Shared>,
    id: &RequestId,
) -> ResponseBody {
    if body.is_end_stream() {
        return ResponseBody::empty();
    }
    ResponseBody::boxed(ServiceBody {
        body: Some(body),
        watch: None,
        deadline,
        shared: Arc::clone(shared),
        request_id: id.clone(),
    })
}

/// The body of a service's answer, which ends with a status even if a panic, the deadline or the
/// end of the process cut it short.
struct ServiceBody {
    /// None once it has been cut short.
    body: Option<Body>,
    /// None until it has to wait.
    watch: Option<Watch>,
    deadline: Option<Instant>,
    shared: Arc<Shared>,
    request_id: RequestId,
}

impl ServiceBody {
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
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
