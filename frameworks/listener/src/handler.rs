//! What answers the requests of a listener.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use http::{Request, Response};
use hyper::body::Incoming;

use crate::ResponseBody;

/// Answers every request of a listener, or those that a [`Mount`](crate::Mount) claims.
///
/// The future is dropped when the client leaves early. A panic in it ends the connection (HTTP/1)
/// or the stream (HTTP/2): handlers that want to answer catch it themselves.
///
/// The request carries the peer's address as the extension [`PeerAddr`](crate::PeerAddr).
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;
}

/// A handler's answer, boxed.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

/// [`Handler`] as a trait object; every handler is one.
pub trait ErasedHandler: Send + Sync + 'static {
    /// Answers one request, see [`Handler::handle`].
    fn handle_erased(self: Arc<Self>, request: Request<Incoming>) -> HandlerFuture;
}

impl<H: Handler> ErasedHandler for H {
    fn handle_erased(self: Arc<Self>, request: Request<Incoming>) -> HandlerFuture {
        Box::pin(async move { self.handle(request).await })
    }
}

impl fmt::Debug for dyn ErasedHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasedHandler")
    }
}

/// Makes a handler of an async function.
///
/// # Examples
/// ```
/// use http::Response;
/// use polyport_listener::{Handler, ResponseBody, handler_fn};
///
/// fn handler() -> impl Handler {
///     handler_fn(async |_request| Response::new(ResponseBody::from("hello")))
/// }
/// # handler();
/// ```
pub fn handler_fn<F, Fut>(function: F) -> HandlerFn<F>
where
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<ResponseBody>> + Send,
{
    HandlerFn(function)
}

/// A [`Handler`] made by [`handler_fn`].
#[derive(Clone, Copy)]
pub struct HandlerFn<F>(F);

impl<F, Fut> Handler for HandlerFn<F>
where
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<ResponseBody>> + Send,
{
    fn handle(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send {
        (self.0)(request)
    }
}

impl<F> fmt::Debug for HandlerFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerFn")
    }
}

/// As an extension of a response: its body may go on for hours (a server stream, server-sent
/// events), so the call counts as active only until this head. [`Server::drain`](crate::Server)
/// does not wait for the body; whoever feeds it ends it when
/// [`SharedListener::closing`](crate::SharedListener::closing) says so, or it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongLived;
