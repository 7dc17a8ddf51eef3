//! tower layers that an application brings for the whole of a framework.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{Method, Request, Response};
use polyport_bootstrap::{Error, operation::Fault};
use polyport_listener::{BoxError, RequestBody, ResponseBody};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

use crate::{
    core::Outcome,
    dispatch::Dispatch,
    head::{Identity, Said},
    shell,
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
    pub(crate) fn around(dispatch: &Arc<Dispatch>, layers: Vec<Wrap>) -> Option<Self> {
        let inner = HttpService::new(Inner(Arc::clone(dispatch)).map_err(|never| match never {}));
        let has_any = !layers.is_empty();
        let service = layers.into_iter().fold(inner, |inner, wrap| wrap(inner));
        has_any.then_some(Self(service))
    }

    pub(crate) async fn answer(
        &self,
        request: Request<RequestBody>,
        identity: &Identity,
    ) -> Outcome {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(identity.clone());
        match self.0.clone().oneshot(request).await {
            Ok(response) => Ok(response.map(ResponseBody::boxed)),
            Err(error) => {
                let error = Error::other("a layer around HTTP has failed")
                    .caused_by(axum::Error::new(error));
                let (request_id, source) = (identity.id.as_str(), format!("{error:?}"));
                tracing::error!(request_id, source, "request failed");
                Err(Fault::internal(error).into())
            }
        }
    }
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
        let dispatch = Arc::clone(&self.0);
        let identity = request.extensions_mut().remove::<Identity>();
        let said = Said::by(request.headers());
        // A layer that makes a request of its own may have lost it.
        let identity = identity.unwrap_or_else(|| said.identity());
        let asked = said.asked(request.version(), request.body());
        let is_head = request.method() == Method::HEAD;
        let answer = async move {
            let (mut head, body) = request.into_parts();
            let answer = dispatch.answer(&mut head, body, &identity, asked);
            let response =
                shell::whatever_happens(&dispatch.core, &identity, is_head, answer).await;
            Ok(response.map(Body::new))
        };
        answer.boxed()
    }
}
