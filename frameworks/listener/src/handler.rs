//! What answers the requests of a listener.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use http::{Request, Response};
use tokio::sync::SetOnce;

use crate::{Client, RequestBody, ResponseBody};

/// Answers every request of a listener, or those that a [`Mount`](crate::Mount) claims.
///
/// The future is dropped when the client leaves early, unless the listener lets calls
/// [finish](crate::ClientLeave). A panic in it ends the connection (HTTP/1)
/// or the stream (HTTP/2): handlers that want to answer catch it themselves.
///
/// The request carries what is known of the client as extensions:
/// [`PeerAddr`](crate::PeerAddr) (none on a Unix socket), [`Forwarded`](crate::Forwarded),
/// [`Encrypted`](crate::Encrypted) and [`PeerCertificates`](crate::PeerCertificates).
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;
}

/// A handler's answer, boxed.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

/// [`Handler`] as a trait object; every handler is one.
pub trait ErasedHandler: Send + Sync + 'static {
    /// Answers one request, see [`Handler::handle`]. What is known of its client stands beside it,
    /// so that a handler that seldom asks for it does not pay for it. A panic before the future is
    /// there ends the connection, with all its streams.
    fn handle_erased(
        self: Arc<Self>,
        request: Request<RequestBody>,
        client: &Arc<Client>,
    ) -> HandlerFuture;
}

impl<H: Handler> ErasedHandler for H {
    fn handle_erased(
        self: Arc<Self>,
        mut request: Request<RequestBody>,
        client: &Arc<Client>,
    ) -> HandlerFuture {
        client.introduce(request.extensions_mut());
        Box::pin(async move { self.handle(request).await })
    }
}

impl fmt::Debug for dyn ErasedHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasedHandler")
    }
}

/// A handler that is there only once its framework serves: requests that come before wait. To be
/// mounted on a listener that may serve sooner.
#[derive(Default)]
pub struct LateHandler(SetOnce<Arc<dyn ErasedHandler>>);

impl LateHandler {
    /// Lets `handler` answer from now on. The first one stays.
    pub fn set(&self, handler: Arc<dyn ErasedHandler>) {
        let _ = self.0.set(handler);
    }
}

impl ErasedHandler for LateHandler {
    fn handle_erased(
        self: Arc<Self>,
        request: Request<RequestBody>,
        client: &Arc<Client>,
    ) -> HandlerFuture {
        if let Some(handler) = self.0.get() {
            return Arc::clone(handler).handle_erased(request, client);
        }
        let client = Arc::clone(client);
        Box::pin(async move {
            let handler = Arc::clone(self.0.wait().await);
            handler.handle_erased(request, &client).await
        })
    }
}

impl fmt::Debug for LateHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LateHandler").field(&self.0.get().is_some()).finish()
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
    F: Fn(Request<RequestBody>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<ResponseBody>> + Send,
{
    HandlerFn(function)
}

/// A [`Handler`] made by [`handler_fn`].
#[derive(Clone, Copy)]
pub struct HandlerFn<F>(F);

impl<F, Fut> Handler for HandlerFn<F>
where
    F: Fn(Request<RequestBody>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<ResponseBody>> + Send,
{
    fn handle(
        &self,
        request: Request<RequestBody>,
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
