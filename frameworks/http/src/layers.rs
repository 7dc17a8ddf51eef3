//! tower layers that an application brings for the whole of a framework.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use polyport_bootstrap::{
    Error,
    operation::{Fault, RequestId},
};
use polyport_listener::{BoxError, RequestBody, ResponseBody};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

use crate::{
    core::Outcome,
    dispatch::Dispatch,
    head::{Arrival, Caller},
    refusal::Refusal,
};

/// What a native layer stands around: everything that the framework serves, and the layers that
/// were added before.
pub type HttpService = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// A layer, its types forgotten.
pub(crate) type Wrap = Box<dyn FnOnce(HttpService) -> HttpService + Send>;

/// Forgets the types of a layer.
pub(crate) fn wrap<L, B>(layer: L) -> Wrap
where
    L: Layer<HttpService> + Send + 'static,
    L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
    <L::Service as Service<Request<Body>>>::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Box::new(move |inner| {
        let service = layer.layer(inner);
        HttpService::new(
            service
                .map_response(|response: Response<B>| response.map(Body::new))
                .map_err(Into::into),
        )
    })
}

/// All layers with what they stand around.
pub(crate) struct Layers(HttpService);

impl Layers {
    /// None where there are none. The layer that was added last stands outermost.
    pub(crate) fn around(dispatch: &Arc<Dispatch>, layers: Vec<Wrap>) -> Option<Arc<Self>> {
        let inner = HttpService::new(Inner(Arc::clone(dispatch)).map_err(|never| match never {}));
        let has_any = !layers.is_empty();
        let service = layers.into_iter().fold(inner, |inner, wrap| wrap(inner));
        has_any.then(|| Arc::new(Self(service)))
    }

    pub(crate) async fn answer(&self, request: Request<RequestBody>, caller: &Caller) -> Outcome {
        let mut request = request.map(Body::new);
        if let Some(client) = &caller.client {
            client.introduce(request.extensions_mut());
        }
        request.extensions_mut().insert(caller.id.clone());
        match self.0.clone().oneshot(request).await {
            Ok(response) => Ok(response.map(ResponseBody::boxed)),
            Err(error) => Err(failed(error, &caller.id)),
        }
    }
}

fn failed(error: BoxError, id: &RequestId) -> Refusal {
    let error = Error::other("a layer around HTTP has failed").caused_by(axum::Error::new(error));
    let (request_id, source) = (id.as_str(), format!("{error:?}"));
    tracing::error!(request_id, source, "request failed");
    Fault::internal(error).into()
}

/// The innermost service.
#[derive(Clone)]
struct Inner(Arc<Dispatch>);

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let mut arrival = Arrival::of(&request, Instant::now(), None);
        // A layer that makes a request of its own may have lost it.
        if let Some(id) = request.extensions_mut().remove::<RequestId>() {
            arrival.caller.id = id;
        }
        let answer = self.0.answer(request, arrival);
        answer.map(|response| Ok(response.map(Body::new))).boxed()
    }
}
