//! An operation as a tower service, for other programs.

use std::{
    convert::Infallible,
    fmt,
    path::Path,
    sync::Arc,
    task::{Context, Poll},
};

use axum::extract::{FromRequestParts, RawPathParams};
use futures_util::{FutureExt, future::BoxFuture};
use http::{Method, Request, Response, request::Parts};
use polyport_bootstrap::{
    Result,
    container::Container,
    operation::{Bind, IntoReply, Operation, PathParams},
};
use polyport_listener::ResponseBody;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::{
    HttpSettings, PROTOCOL,
    adapter::{self, Destination},
    body::RequestBody,
    core::{self, Core, Early, Outcome},
    head::{self, Identity, Said},
    request::Place,
    routes::Route,
    shell,
    site::Site,
};

/// Makes a tower service of an operation, with its own chain, for axum programs and others.
pub trait IntoService<M: 'static>: Operation<M> {
    /// Makes the service: what the operation injects comes from `container`, and envelope, time,
    /// body limit, cookies and hosts of redirects from `settings`. Around the operation stands what
    /// [`OperationExt::pipeline`](polyport_bootstrap::operation::OperationExt::pipeline) has added
    /// to it.
    ///
    /// # Errors
    /// Returns an error where the operation cannot be served by HTTP, or where the container does
    /// not provide what it injects.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Fault, Result, container::Container};
    /// use polyport_http::{HttpSettings, IntoService};
    ///
    /// async fn hello() -> Result<String, Fault> {
    ///     Ok("hello".to_owned())
    /// }
    ///
    /// async fn router(container: &Container) -> Result<axum::Router> {
    ///     let hello = hello.into_service(container, &HttpSettings::default()).await?;
    ///     Ok(axum::Router::new().route_service("/hello", hello))
    /// }
    /// # drop(router);
    /// ```
    fn into_service(
        self,
        container: &Container,
        settings: &HttpSettings,
    ) -> impl Future<Output = Result<OperationService>> + Send
    where
        Self::Input: Bind,
        Self::Output: IntoReply;
}

impl<M: 'static, Op: Operation<M>> IntoService<M> for Op {
    async fn into_service(
        self,
        container: &Container,
        settings: &HttpSettings,
    ) -> Result<OperationService>
    where
        Self::Input: Bind,
        Self::Output: IntoReply,
    {
        let mut route = Route::new(Method::GET, "", self);
        let site = Site::new(settings, Path::new("."));
        route.place = Arc::new(Place { route: String::new(), site });
        route.endpoint = route.endpoint.standalone(PROTOCOL, container).await?;
        let core = Core::new(
            container.clone(),
            settings,
            Arc::default(),
            core::fallback(),
            CancellationToken::new(),
        );
        Ok(OperationService(Arc::new(Inner { core, route })))
    }
}

/// An operation as a tower service: [`IntoService`]. Clones are cheap.
///
/// Parameters of the path are those of the axum route that it is mounted at.
#[derive(Clone)]
pub struct OperationService(Arc<Inner>);

struct Inner {
    core: Core,
    route: Route,
}

impl Inner {
    async fn answer<B: RequestBody>(&self, request: Request<B>, identity: &Identity) -> Outcome {
        let (mut head, body) = request.into_parts();
        let began = Instant::now();
        match Said::by(&head.headers).timeout() {
            Ok(asked) => {
                let path = parameters(&mut head).await;
                let limit = self.route.timeout.or(self.core.timeout);
                let deadline = head::deadline(began, asked, limit);
                let to = Destination { route: &self.route, path, began, deadline };
                adapter::call(&self.core, to, &mut head, body, identity).await
            }
            Err(fault) => {
                let early = Early::refused(fault).of(self.route.endpoint.info());
                self.core.settle(&mut head, identity, None, early).await
            }
        }
    }
}

async fn parameters(head: &mut Parts) -> PathParams {
    let params = RawPathParams::from_request_parts(head, &()).await;
    params.map_or_else(|_| PathParams::default(), |params| params.iter().collect())
}

impl<B: RequestBody> Service<Request<B>> for OperationService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<ResponseBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        let answer = async move {
            let identity = Said::by(request.headers()).identity();
            let is_head = request.method() == Method::HEAD;
            let answer = inner.answer(request, &identity);
            Ok(shell::whatever_happens(&inner.core, &identity, is_head, answer).await)
        };
        answer.boxed()
    }
}

impl fmt::Debug for OperationService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OperationService").field(&self.0.route.endpoint.info().name()).finish()
    }
}
