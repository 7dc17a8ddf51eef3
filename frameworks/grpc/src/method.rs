//! One method that an operation answers.

use std::{
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use http::{HeaderMap, Request};
use polyport_bootstrap::{
    Context, Fault,
    operation::{Endpoint, Reply, ReplyBody, RequestId, Value},
};
use polyport_listener::{BoxError, LongLived};
use prost::Message;
use tokio::time::Instant;
use tonic::{Response, Status, Streaming, body::Body, server::Grpc};
use tower::service_fn;

use crate::{
    adapter,
    codec::RawMessages,
    descriptors::Shape,
    ending::until_ended,
    message::{no_message, watched},
    sent::{Sends, Sent},
    shared::Shared,
    stream::OperationStream,
    timeout,
    trailers::GrpcTrailers,
};

/// A method, whatever its messages are.
pub(crate) trait Method: Send + Sync {
    /// Answers one call of the framework's listener.
    fn serve<'a>(
        &'a self,
        shared: &'a Arc<Shared>,
        request_id: &'a RequestId,
        request: Request<polyport_listener::RequestBody>,
    ) -> BoxFuture<'a, http::Response<Body>>;

    /// Answers one call of another program.
    fn serve_foreign<'a>(
        &'a self,
        shared: &'a Arc<Shared>,
        request_id: &'a RequestId,
        request: Request<Body>,
    ) -> BoxFuture<'a, http::Response<Body>>;

    /// The operation, to have another chain put around it.
    fn endpoint_mut(&mut self) -> &mut Endpoint;

    /// Which sides stream.
    fn shape(&self) -> Shape;
}

/// The body of a request, of whatever server.
pub(crate) trait RequestBody:
    http_body::Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static
{
}

impl<B> RequestBody for B
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
}

/// Both ways to be called, by one function.
macro_rules! serve {
    (server streams: $streams:literal) => {
        fn serve<'a>(
            &'a self,
            shared: &'a Arc<Shared>,
            id: &'a RequestId,
            request: Request<polyport_listener::RequestBody>,
        ) -> BoxFuture<'a, http::Response<Body>> {
            self.answer(shared, id, request).boxed()
        }

        fn serve_foreign<'a>(
            &'a self,
            shared: &'a Arc<Shared>,
            id: &'a RequestId,
            request: Request<Body>,
        ) -> BoxFuture<'a, http::Response<Body>> {
            self.answer(shared, id, request).boxed()
        }

        fn endpoint_mut(&mut self) -> &mut Endpoint {
            &mut self.endpoint
        }

        fn shape(&self) -> Shape {
            Shape { client: self.sends.is_stream(), server: $streams }
        }
    };
}

/// Makes the message of a reply.
type OfReply<Res> = fn(ReplyBody) -> Result<Res, Fault>;
/// Makes the message of an item.
type OfItem<Res> = fn(Value) -> Result<Res, Fault>;

/// One message or a stream of them in, one message out.
pub(crate) struct Unary<Res> {
    pub(crate) endpoint: Endpoint,
    pub(crate) sends: Sends,
    pub(crate) message: OfReply<Res>,
}

/// One message or a stream of them in, a stream of them out.
pub(crate) struct ServerStreaming<Res> {
    pub(crate) endpoint: Endpoint,
    pub(crate) sends: Sends,
    pub(crate) message: OfItem<Res>,
}

impl<Res: Message + 'static> Method for Unary<Res> {
    serve!(server streams: false);
}

impl<Res: Message + 'static> Unary<Res> {
    async fn answer<B: RequestBody>(
        &self,
        shared: &Arc<Shared>,
        id: &RequestId,
        request: Request<B>,
    ) -> http::Response<Body> {
        let _flight = self.endpoint.info().enter();
        let own = shared.timeout.filter(|_| !self.sends.is_stream());
        let deadline = match timeout::deadline(request.headers(), own) {
            Ok(deadline) => deadline,
            Err(fault) => return shared.refuse(&fault, id),
        };
        let mut grpc = grpc::<Res>(shared, self.sends);
        let answer = async {
            if self.sends.is_stream() {
                let service = service_fn(|request: tonic::Request<Streaming<Bytes>>| {
                    self.call(shared, id, deadline, request)
                });
                return grpc.client_streaming(service, watched(request)).await;
            }
            let service = service_fn(|request: tonic::Request<Bytes>| {
                self.call(shared, id, deadline, request)
            });
            grpc.unary(service, request).await
        };
        finish(pin!(answer), deadline, shared, id).await
    }

    async fn call(
        &self,
        shared: &Shared,
        id: &RequestId,
        deadline: Option<Instant>,
        request: tonic::Request<impl Sent>,
    ) -> Result<Response<Res>, Status> {
        let (metadata, extensions, sent) = request.into_parts();
        let sent = sent.read(self.sends).map_err(|fault| shared.status(&fault, id))?;
        let request = tonic::Request::from_parts(metadata, extensions, sent);
        let context = shared.context(&self.endpoint, id, deadline, request);
        let answer = match self.endpoint.call(&context).await {
            Ok(reply) => caught(&context, self.response(shared, reply)).await,
            Err(fault) => Err(fault),
        };
        let answer = answer.map(|response| with_trailers(response, &context));
        answer.map_err(|fault| shared.status(&fault, id))
    }

    async fn response(&self, shared: &Shared, reply: Reply) -> Result<Response<Res>, Fault> {
        let (_, headers, body) = reply.into_parts();
        let body = match body {
            ReplyBody::Stream(bytes) => {
                ReplyBody::Raw(bytes.collect(shared.max_message_size).await?)
            }
            body => body,
        };
        let mut response = Response::new((self.message)(body)?);
        add_headers(&mut response, headers);
        Ok(response)
    }
}

impl<Res: Message + 'static> Method for ServerStreaming<Res> {
    serve!(server streams: true);
}

impl<Res: Message + 'static> ServerStreaming<Res> {
    async fn answer<B: RequestBody>(
        &self,
        shared: &Arc<Shared>,
        id: &RequestId,
        request: Request<B>,
    ) -> http::Response<Body> {
        let _flight = self.endpoint.info().enter();
        let deadline = match timeout::deadline(request.headers(), None) {
            Ok(deadline) => deadline,
            Err(fault) => return shared.refuse(&fault, id),
        };
        let mut grpc = grpc::<Res>(shared, self.sends);
        let answer = async {
            if self.sends.is_stream() {
                let service = service_fn(|request: tonic::Request<Streaming<Bytes>>| {
                    self.call(shared, id, deadline, request)
                });
                return grpc.streaming(service, watched(request)).await;
            }
            let service = service_fn(|request: tonic::Request<Bytes>| {
                self.call(shared, id, deadline, request)
            });
            grpc.server_streaming(service, request).await
        };
        let mut response = finish(pin!(answer), deadline, shared, id).await;
        response.extensions_mut().insert(LongLived);
        response
    }

    async fn call(
        &self,
        shared: &Arc<Shared>,
        id: &RequestId,
        deadline: Option<Instant>,
        request: tonic::Request<impl Sent>,
    ) -> Result<Response<OperationStream<Res>>, Status> {
        let context = shared.context(&self.endpoint, id, deadline, request);
        let reply = self.endpoint.call(&context).await;
        let (_, headers, body) = reply.map_err(|fault| shared.status(&fault, id))?.into_parts();
        let ReplyBody::Items(items) = body else {
            return Err(shared.status(&no_message(&body), id));
        };
        let message = self.message;
        let items = items.map(move |item| item.and_then(message)).boxed();
        let stream = OperationStream::new(items, context.clone(), Arc::clone(shared));
        let mut response = Response::new(stream);
        add_headers(&mut response, headers);
        Ok(with_trailers(response, &context))
    }
}

/// Turns a panic of a conversion into a fault, and logs what fails behind the operation.
async fn caught<T>(
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

/// What the operation has set beside its value.
fn add_headers<T>(response: &mut Response<T>, headers: Option<Box<HeaderMap>>) {
    if let Some(headers) = headers {
        adapter::add_metadata(response.metadata_mut().as_mut(), Some(&headers));
    }
}

/// Lets the trailers that the operation has asked for go along.
fn with_trailers<T>(mut response: Response<T>, context: &Context) -> Response<T> {
    if let Some(trailers) = context.value::<GrpcTrailers>() {
        response.extensions_mut().insert(trailers.clone());
    }
    response
}

fn grpc<Res: Message + 'static>(shared: &Shared, sends: Sends) -> Grpc<RawMessages<Res>> {
    Grpc::new(RawMessages::new(sends.is_stream()))
        .max_decoding_message_size(shared.max_message_size)
        .apply_compression_config(shared.receives, shared.sends)
}

/// Waits for the answer, and gives every fault of reading the request its details. The answer is not
/// taken by value, which would need room for it once more.
async fn finish(
    answer: Pin<&mut impl Future<Output = http::Response<Body>>>,
    deadline: Option<Instant>,
    shared: &Shared,
    id: &RequestId,
) -> http::Response<Body> {
    match until_ended(answer, deadline, &shared.closing).await {
        Ok(response) => match tonics_own(&response) {
            Some(status) => shared.refuse(&adapter::unreadable(status), id),
            None => trailed(response),
        },
        Err(ending) => shared.refuse(&ending.fault(), id),
    }
}

fn trailed(mut response: http::Response<Body>) -> http::Response<Body> {
    match response.extensions_mut().remove::<GrpcTrailers>() {
        Some(trailers) => response.map(|body| trailers.behind(body)),
        None => response,
    }
}

/// A status that comes from tonic itself: an operation's always has details. One with metadata
/// tells the peer which encodings there are.
fn tonics_own(response: &http::Response<Body>) -> Option<&Status> {
    let status = response.extensions().get::<Status>()?;
    (status.details().is_empty() && status.metadata().is_empty()).then_some(status)
}
