//! One method that an operation answers.

use std::{future::ready, panic::AssertUnwindSafe, pin::pin, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use polyport_bootstrap::{Context, Fault, operation::Endpoint};
use polyport_listener::{BoxError, HandlerFuture, LongLived, ResponseBody};
use tonic::body::Body;

use crate::{
    adapter,
    arrival::Arrival,
    descriptors::Shape,
    encoding::{ENCODING, Encodings},
    ending::until_ended,
    handler::{Caller, identify},
    sends::Sends,
    shared::Shared,
};

/// A method, whatever its messages are. Its answers say which call they belong to.
pub(crate) trait Method: Send + Sync {
    /// Answers one call of the framework's listener.
    fn serve(
        self: Arc<Self>,
        shared: Arc<Shared>,
        caller: Caller,
        request: Request<polyport_listener::RequestBody>,
    ) -> HandlerFuture;

    /// Answers one call of another program, or one that a layer has passed on.
    fn serve_foreign(
        self: Arc<Self>,
        shared: Arc<Shared>,
        caller: Caller,
        request: Request<Body>,
    ) -> HandlerFuture;

    /// The operation, to have another chain put around it.
    fn endpoint_mut(&mut self) -> &mut Endpoint;

    /// Which sides stream.
    fn shape(&self) -> Shape;
}

/// The body of a request, of whatever server.
pub(crate) trait RequestBody:
    http_body::Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + Unpin + 'static
{
}

impl<B> RequestBody for B
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
}

/// What the kinds of methods have in common: an operation, and how its peer calls it.
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) sends: Sends,
}

/// How a kind of methods answers.
pub(crate) trait Answers: Send + Sync + 'static {
    /// Whether with a stream of messages.
    const STREAMS: bool;

    fn route(&self) -> &Route;

    fn route_mut(&mut self) -> &mut Route;

    /// Answers one call.
    fn answer<B: RequestBody>(
        &self,
        shared: &Arc<Shared>,
        arrival: &mut Arrival<B>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;
}

impl<T: Answers> Method for T {
    fn serve(
        self: Arc<Self>,
        shared: Arc<Shared>,
        caller: Caller,
        request: Request<polyport_listener::RequestBody>,
    ) -> HandlerFuture {
        respond(self, shared, caller, request)
    }

    fn serve_foreign(
        self: Arc<Self>,
        shared: Arc<Shared>,
        caller: Caller,
        request: Request<Body>,
    ) -> HandlerFuture {
        respond(self, shared, caller, request)
    }

    fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.route_mut().endpoint
    }

    fn shape(&self) -> Shape {
        Shape { client: self.route().sends.is_stream(), server: T::STREAMS }
    }
}

/// Answers a call in the time that it has. Only what waits is in the future, which is small so.
fn respond<T: Answers>(
    method: Arc<T>,
    shared: Arc<Shared>,
    caller: Caller,
    request: Request<impl RequestBody>,
) -> HandlerFuture {
    let Route { endpoint, sends } = method.route();
    let own = shared.timeout.filter(|_| !T::STREAMS && !sends.is_stream());
    let (id, began) = (caller.id.clone(), caller.at);
    let mut arrival = match Arrival::new(&shared, endpoint, own, caller, request) {
        Ok(arrival) => arrival,
        Err(mut refusal) => {
            identify(&mut refusal, &id);
            return Box::pin(ready(*refusal));
        }
    };
    Box::pin(async move {
        let _flight = method.route().endpoint.info().enter_at(began);
        let deadline = arrival.deadline;
        let answer = pin!(method.answer(&shared, &mut arrival));
        let mut response = match until_ended(answer, deadline, &shared.closing).await {
            Ok(response) => response,
            Err(ending) => shared.refuse(&ending.fault(), &id),
        };
        if T::STREAMS {
            response.extensions_mut().insert(LongLived);
        }
        identify(&mut response, &id);
        response
    })
}

/// Turns a panic of a conversion into a fault, and logs what fails behind the operation.
pub(crate) async fn caught<T>(
    context: &Context,
    response: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let response = AssertUnwindSafe(response).catch_unwind().await;
    let response = response.unwrap_or_else(|panic| Err(Fault::panicked(&*panic)));
    response.inspect_err(|fault| {
        let (operation, request_id) = (context.operation.name(), &context.request_id);
        let source = fault.source_text().unwrap_or_default();
        tracing::error!(operation, protocol = "grpc", %request_id, %fault, source, "no message");
    })
}

/// An answer that has a message, with what the operation has set beside its value.
pub(crate) fn answering(
    body: ResponseBody,
    encodings: Encodings,
    headers: Option<&HeaderMap>,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    let own = response.headers_mut();
    own.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Some(sent) = encodings.sent {
        own.insert(ENCODING, HeaderValue::from_static(sent.name()));
    }
    adapter::add_metadata(own, headers);
    response
}
