//! An operation as a tower service, for other programs.

use std::{
    convert::Infallible,
    fmt,
    path::Path,
    sync::Arc,
    task::{Context, Poll},
};

use axum::extract::{FromRequestParts, RawPathParams};
use futures_util::future::BoxFuture;
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
    core::{self, Core, Early},
    head::{self, Arrival, Said},
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
        Ok(OperationService(Arc::new(Inner { core: Arc::new(core), route: Arc::new(route) })))
    }
}

/// An operation as a tower service: [`IntoService`]. Clones are cheap.
///
/// Parameters of the path are those of the axum route that it is mounted at.
#[derive(Clone)]
pub struct OperationService(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    route: Arc<Route>,
}

impl Inner {
    async fn answer<B: RequestBody>(&self, request: Request<B>) -> Response<ResponseBody> {
        // What stands before it in the other program has looked at the rest.
        let asked = Said::by(request.headers()).timeout();
        let Arrival { caller, is_head, at, .. } = Arrival::of(&request, Instant::now(), None);
        let (mut head, body) = request.into_parts();
        let (core, route) = (Arc::clone(&self.core), Arc::clone(&self.route));
        match asked {
            Ok(asked) => {
                let path = parameters(&mut head).await;
                let limit = route.timeout.or(core.timeout);
                let deadline = head::deadline(at, asked, limit);
                let to = Destination { route, path, began: at, deadline };
                adapter::call(core, to, &mut head, body, caller).await
            }
            Err(fault) => {
                let early = Early::refused(fault).of(route.endpoint.info());
                let id = caller.id.clone();
                let answer = core.settle(&mut head, caller, None, early);
                shell::whatever_happens(&core, &id, is_head, answer).await
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
        Box::pin(async move { Ok(inner.answer(request).await) })
    }
}

impl fmt::Debug for OperationService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OperationService").field(&self.0.route.endpoint.info().name()).finish()
    }
}
