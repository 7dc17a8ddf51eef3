//! tower layers that an application brings for the whole of a gRPC framework.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use polyport_bootstrap::{Error, Fault, operation::RequestId};
use polyport_listener::{BoxError, HandlerFuture, ResponseBody};
use tokio::time::Instant;
use tonic::{Status, body::Body};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

use crate::{
    handler::{Asked, Calls, identify},
    shared::Shared,
};

/// What a native layer stands around: every call of the framework, and the layers that were added
/// before.
pub type GrpcLayered = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// A layer, its types forgotten.
pub(crate) type Wrap = Box<dyn FnOnce(GrpcLayered) -> GrpcLayered + Send>;

/// Forgets the types of a layer.
pub(crate) fn wrap<L, B>(layer: L) -> Wrap
where
    L: Layer<GrpcLayered> + Send + 'static,
    L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
    <L::Service as Service<Request<Body>>>::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Box::new(move |inner| {
        let service = layer.layer(inner);
        GrpcLayered::new(
            service
                .map_response(|response: Response<B>| response.map(Body::new))
                .map_err(Into::into),
        )
    })
}

/// All layers with what they stand around.
pub(crate) struct Layers(GrpcLayered);

impl Layers {
    /// None where there are none. The layer that was added last stands outermost.
    pub(crate) fn around(calls: &Arc<Calls>, layers: Vec<Wrap>) -> Option<Self> {
        let inner = GrpcLayered::new(Inner(Arc::clone(calls)).map_err(|never| match never {}));
        let has_any = !layers.is_empty();
        let service = layers.into_iter().fold(inner, |inner, wrap| wrap(inner));
        has_any.then_some(Self(service))
    }

    /// A layer's own error is the call's status: as it is where it is one, else INTERNAL.
    pub(crate) fn answer(
        &self,
        shared: Arc<Shared>,
        mut request: Request<Body>,
        id: RequestId,
    ) -> HandlerFuture {
        request.extensions_mut().insert(id.clone());
        let answer = self.0.clone().oneshot(request);
        Box::pin(async move {
            let mut response = match answer.await {
                Ok(response) => response.map(ResponseBody::boxed),
                Err(error) => failed(error, &shared, &id),
            };
            identify(&mut response, &id);
            response
        })
    }
}

fn failed(error: BoxError, shared: &Shared, id: &RequestId) -> Response<ResponseBody> {
    match error.downcast::<Status>() {
        Ok(status) => status.into_http(),
        Err(error) => {
            let source = error.to_string();
            tracing::error!(protocol = "grpc", request_id = %id, source, "a layer failed");
            let error = Error::other(format!("a layer around gRPC has failed: {source}"));
            shared.refuse(&Fault::internal(error), id)
        }
    }
}

/// The innermost service.
#[derive(Clone)]
struct Inner(Arc<Calls>);

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let id = request.extensions().get().cloned().unwrap_or_else(RequestId::new);
        let calls = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = calls.answer(Asked::Layered(request), id, Instant::now());
            Ok(answer.await.map(Body::new))
        })
    }
}
