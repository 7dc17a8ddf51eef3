//! Tower on both sides: a layer as a middleware, and an operation as a service.

use std::{
    error::Error as StdError,
    fmt,
    task::{Context as Polled, Poll},
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
pub use tower::BoxError;
use tower::{Layer, Service, ServiceExt, load_shed::error::Overloaded, timeout::error::Elapsed};

use super::{Interceptor, Next, OwnedNext};
use crate::{
    Error,
    operation::{Context, Endpoint, Fault, Reply},
};

/// A call on its way through a `tower` layer: the request of [`ChainService`]. A layer that tries
/// again clones it.
#[derive(Debug, Clone)]
pub struct ChainCall {
    context: Context,
    next: OwnedNext,
}

impl ChainCall {
    /// The call.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }
}

/// What stands behind a `tower` layer in the chain, as a service.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChainService(());

impl Service<ChainCall> for ChainService {
    type Response = Reply;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Reply, BoxError>>;

    fn poll_ready(&mut self, _: &mut Polled<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, ChainCall { context, next }: ChainCall) -> Self::Future {
        Box::pin(async move { next.run(&context).await.map_err(|fault| FaultError(fault).into()) })
    }
}

/// A [`struct@Fault`] as an error: what layers get from [`ChainService`], and may return themselves.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{BoxError, Fault, FaultError};
///
/// let error: BoxError = FaultError(Fault::unavailable("CLOSED", "come back tomorrow")).into();
/// let FaultError(fault) = *error.downcast().expect("it is one");
/// assert_eq!(fault.reason(), "CLOSED");
/// ```
#[derive(Debug)]
pub struct FaultError(pub Fault);

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for FaultError {}

/// A layer's service as a stage of the chain.
pub(super) struct Laid<S>(S);

impl<S> Laid<S> {
    pub(super) fn new<L: Layer<ChainService, Service = S>>(layer: &L) -> Self {
        Self(layer.layer(ChainService::default()))
    }
}

#[async_trait]
impl<S> Interceptor for Laid<S>
where
    S: Service<ChainCall, Response = Reply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let call = ChainCall { context: context.clone(), next: next.to_owned() };
        self.0.clone().oneshot(call).await.map_err(|error| fault_of(error.into()))
    }
}

/// The fault that an error of a layer stands for.
fn fault_of(error: BoxError) -> Fault {
    let error = match error.downcast::<FaultError>() {
        Ok(fault) => return fault.0,
        Err(error) => error,
    };
    let wrapped = Wrapped(error);
    if wrapped.is::<Elapsed>() {
        return Fault::deadline_exceeded("TIMEOUT", "the call took too long").caused_by(wrapped);
    }
    if wrapped.is::<Overloaded>() {
        return Fault::unavailable("OVERLOADED", "there are too many calls").caused_by(wrapped);
    }
    match wrapped.find::<FaultError>().map(|FaultError(fault)| copy(fault)) {
        Some(fault) => fault.caused_by(wrapped),
        None => Error::other("a layer has failed").caused_by(wrapped).into(),
    }
}

/// What callers see of a fault that a layer has wrapped in an error of its own.
fn copy(fault: &Fault) -> Fault {
    let (reason, message) = (fault.reason().to_owned(), fault.message().to_owned());
    let mut copy = Fault::new(fault.kind(), reason, message).with_status(fault.status());
    if let Some(code) = fault.code() {
        copy = copy.with_code(code.to_owned());
    }
    if let Some(details) = fault.details() {
        copy = copy.with_details(details.clone());
    }
    let headers = fault.headers().iter();
    headers.fold(copy, |copy, (name, value)| copy.with_header(name.clone(), value.clone()))
}

/// An error of whatever type as one type.
#[derive(Debug)]
struct Wrapped(BoxError);

impl Wrapped {
    fn find<E: StdError + 'static>(&self) -> Option<&E> {
        let mut error: Option<&(dyn StdError + 'static)> = Some(&*self.0);
        while let Some(here) = error {
            if let Some(found) = here.downcast_ref() {
                return Some(found);
            }
            error = here.source();
        }
        None
    }

    fn is<E: StdError + 'static>(&self) -> bool {
        self.find::<E>().is_some()
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Wrapped {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

/// An operation with its chain as a `tower` service: [`Endpoint::into_service`].
#[derive(Debug, Clone)]
pub struct EndpointService(Endpoint);

impl EndpointService {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self(endpoint)
    }
}

impl Service<Context> for EndpointService {
    type Response = Reply;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Reply, Fault>>;

    fn poll_ready(&mut self, _: &mut Polled<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, context: Context) -> Self::Future {
        let endpoint = self.0.clone();
        Box::pin(async move { endpoint.call(&context).await })
    }
}
