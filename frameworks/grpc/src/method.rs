//! One method that an operation answers.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture, stream::BoxStream};
use http::Request;
use hyper::body::Incoming;
use polyport_bootstrap::{
    Fault,
    operation::{Endpoint, RequestId},
};
use polyport_listener::LongLived;
use prost::Message;
use tokio::time::Instant;
use tonic::{Response, Status, body::Body, server::Grpc};
use tower::service_fn;

use crate::{
    adapter, codec::OneMessage, ending::until_ended, shared::Shared, stream::OperationStream,
    timeout,
};

/// A method, whatever its messages are.
pub(crate) trait Method: Send + Sync {
    /// Answers one call.
    fn serve<'a>(
        &'a self,
        shared: &'a Arc<Shared>,
        request_id: &'a RequestId,
        request: Request<Incoming>,
    ) -> BoxFuture<'a, http::Response<Body>>;
}

/// One message in, one out.
pub(crate) struct Unary<Req, Res>(pub(crate) Endpoint<Req, Res>);

/// One message in, a stream of them out.
pub(crate) struct ServerStreaming<Req, Res>(
    pub(crate) Endpoint<Req, BoxStream<'static, Result<Res, Fault>>>,
);

impl<Req, Res> Method for Unary<Req, Res>
where
    Req: Message + Default + 'static,
    Res: Message + 'static,
{
    fn serve<'a>(
        &'a self,
        shared: &'a Arc<Shared>,
        id: &'a RequestId,
        request: Request<Incoming>,
    ) -> BoxFuture<'a, http::Response<Body>> {
        let serve = async move {
            let _flight = self.0.info().enter();
            let deadline = match timeout::deadline(request.headers(), shared.timeout) {
                Ok(deadline) => deadline,
                Err(fault) => return shared.refuse(&fault, id),
            };
            let service = service_fn(|request| self.call(shared, id, deadline, request));
            let mut grpc = grpc::<Req, Res>(shared);
            let answer = grpc.unary(service, request);
            finish(answer, deadline, shared, id).await
        };
        serve.boxed()
    }
}

impl<Req, Res> Unary<Req, Res>
where
    Req: Message + 'static,
    Res: Message + 'static,
{
    async fn call(
        &self,
        shared: &Shared,
        id: &RequestId,
        deadline: Option<Instant>,
        request: tonic::Request<Req>,
    ) -> Result<Response<Res>, Status> {
        let (context, message) = shared.context(self.0.info(), id, deadline, request);
        let answer = self.0.call(context, message).await;
        answer.map(Response::new).map_err(|fault| shared.status(&fault, id))
    }
}

impl<Req, Res> Method for ServerStreaming<Req, Res>
where
    Req: Message + Default + 'static,
    Res: Message + 'static,
{
    fn serve<'a>(
        &'a self,
        shared: &'a Arc<Shared>,
        id: &'a RequestId,
        request: Request<Incoming>,
    ) -> BoxFuture<'a, http::Response<Body>> {
        let serve = async move {
            let _flight = self.0.info().enter();
            let deadline = match timeout::deadline(request.headers(), None) {
                Ok(deadline) => deadline,
                Err(fault) => return shared.refuse(&fault, id),
            };
            let service = service_fn(|request| self.call(shared, id, deadline, request));
            let mut grpc = grpc::<Req, Res>(shared);
            let answer = grpc.server_streaming(service, request);
            let mut response = finish(answer, deadline, shared, id).await;
            response.extensions_mut().insert(LongLived);
            response
        };
        serve.boxed()
    }
}

impl<Req, Res> ServerStreaming<Req, Res>
where
    Req: Message + 'static,
    Res: Message + 'static,
{
    async fn call(
        &self,
        shared: &Arc<Shared>,
        id: &RequestId,
        deadline: Option<Instant>,
        request: tonic::Request<Req>,
    ) -> Result<Response<OperationStream<Res>>, Status> {
        let (context, message) = shared.context(self.0.info(), id, deadline, request);
        match self.0.call(context.clone(), message).await {
            Ok(items) => {
                Ok(Response::new(OperationStream::new(items, context, Arc::clone(shared))))
            }
            Err(fault) => Err(shared.status(&fault, id)),
        }
    }
}

fn grpc<Req, Res>(shared: &Shared) -> Grpc<OneMessage<Res, Req>>
where
    Req: Message + Default + 'static,
    Res: Message + 'static,
{
    Grpc::new(OneMessage::new()).max_decoding_message_size(shared.max_message_size)
}

/// Waits for the answer, and gives every fault of reading the request its details.
async fn finish(
    answer: impl Future<Output = http::Response<Body>>,
    deadline: Option<Instant>,
    shared: &Shared,
    id: &RequestId,
) -> http::Response<Body> {
    match until_ended(answer, deadline, &shared.closing).await {
        Ok(response) => match tonics_own(&response) {
            Some(status) => shared.refuse(&adapter::unreadable(status), id),
            None => response,
        },
        Err(ending) => shared.refuse(&ending.fault(), id),
    }
}

/// A status that comes from tonic itself: an operation's always has details. One with metadata
/// tells the peer which encodings there are.
fn tonics_own(response: &http::Response<Body>) -> Option<&Status> {
    let status = response.extensions().get::<Status>()?;
    (status.details().is_empty() && status.metadata().is_empty()).then_some(status)
}
