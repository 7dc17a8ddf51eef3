//! Methods as a tonic service, for programs that are no bootstrap.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use polyport_bootstrap::{Container, Error, Result};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService};
use tower::Service;

use crate::{
    GrpcRoutes, GrpcSettings, PROTOCOL,
    handler::{self, Caller},
    method::{Method, RequestBody},
    routes::OperationRoute,
    shared::Shared,
    unknown::Unknown,
};

impl GrpcRoutes {
    /// Makes one service of its methods, with what each operation's own declaration puts around it,
    /// which any tonic or axum program mounts. `S` is the server that tonic generated, for its
    /// name: a method that has no operation here is UNIMPLEMENTED. What operations inject comes
    /// from `container`, and time, size and error domain from `settings`.
    ///
    /// # Errors
    /// Returns an error for each path that does not belong to the service, and for each operation
    /// that cannot be served by gRPC or injects what `container` does not provide; and where that
    /// holds no configuration, for the section `middleware`.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Container, Fault, Result};
    /// use polyport_grpc::{GrpcOperations, GrpcRoutes, GrpcSettings};
    /// use polyport_proto::helloworld::{HelloReply, greeter_server::GreeterServer};
    ///
    /// async fn hello() -> Result<HelloReply, Fault> {
    ///     Ok(HelloReply { message: "Hello!".to_owned() })
    /// }
    ///
    /// async fn routes(container: &Container) -> Result<tonic::service::Routes> {
    ///     let methods = GrpcRoutes::default()
    ///         .unary::<(), HelloReply>("helloworld.Greeter/SayHello", hello);
    ///     let service =
    ///         methods.into_service::<GreeterServer<()>>(container, GrpcSettings::default()).await?;
    ///     Ok(tonic::service::Routes::new(service))
    /// }
    /// # drop(routes);
    /// ```
    pub async fn into_service<S: NamedService>(
        self,
        container: &Container,
        settings: GrpcSettings,
    ) -> Result<GrpcService<S>> {
        let (mut methods, mut errors) = (HashMap::new(), Vec::new());
        for route in self.operations {
            match alone::<S>(route, container).await {
                Ok((path, method)) => drop(methods.insert(path, Arc::from(method))),
                Err(error) => errors.push(error),
            }
        }
        Error::all("the gRPC methods do not fit", errors)?;
        let shared = Shared::new(settings, container.clone(), CancellationToken::new());
        Ok(GrpcService {
            inner: Arc::new(Inner { methods, shared: Arc::new(shared) }),
            of: PhantomData,
        })
    }
}

async fn alone<S: NamedService>(
    OperationRoute { path, endpoint, mut method }: OperationRoute,
    container: &Container,
) -> Result<(String, Box<dyn Method>)> {
    if path.split_once('/').is_none_or(|(service, _)| service != S::NAME) {
        let message = format!("{path:?} is no method of the gRPC service {}", S::NAME);
        return Err(Error::wiring(message).advise("make a service of its own of it"));
    }
    *method.endpoint_mut() = endpoint.standalone(PROTOCOL, container).await?;
    Ok((format!("/{path}"), method))
}

/// Operations as a tonic service: [`GrpcRoutes::into_service`]. Clones are cheap.
pub struct GrpcService<S> {
    inner: Arc<Inner>,
    of: PhantomData<fn() -> S>,
}

struct Inner {
    /// By `/package.Service/Method`.
    methods: HashMap<String, Arc<dyn Method>>,
    shared: Arc<Shared>,
}

impl Inner {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let caller = Caller::foreign(request.headers());
        let path = request.uri().path();
        let response = match self.methods.get(path) {
            Some(method) => {
                let method = Arc::clone(method);
                method.serve_foreign(Arc::clone(&self.shared), caller, request).await
            }
            None => {
                let (service, method) =
                    path.trim_start_matches('/').split_once('/').unwrap_or_default();
                let fault = Unknown::method(service, method).fault();
                let mut response = self.shared.refuse(&fault, &caller.id);
                handler::identify(&mut response, &caller.id);
                response
            }
        };
        response.map(Body::new)
    }
}

impl<S> Clone for GrpcService<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), of: PhantomData }
    }
}

impl<S> fmt::Debug for GrpcService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.inner.methods.keys()).finish()
    }
}

impl<S: NamedService> NamedService for GrpcService<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B: RequestBody> Service<Request<B>> for GrpcService<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { Ok(inner.answer(request.map(Body::new)).await) })
    }
}
