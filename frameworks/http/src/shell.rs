//! What stands around every request: its id, and an answer whatever happens, with what all answers
//! say.

use std::{any::Any, fmt, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::ready};
use http::{HeaderValue, Request, Response};
use polyport_bootstrap::operation::{Fault, RequestId};
use polyport_listener::{Client, ErasedHandler, HandlerFuture, RequestBody, ResponseBody};

use crate::{
    adapter,
    core::{Core, Outcome},
    dispatch::Dispatch,
    head::{Arrival, X_REQUEST_ID, id_header},
    layers::Layers,
    outermost::Outermost,
    refusal::Refusal,
};

/// Answers every request of the framework's listener.
pub(crate) struct Shell {
    pub(crate) dispatch: Arc<Dispatch>,
    /// None where there are none, which is free.
    pub(crate) layers: Option<Arc<Layers>>,
    pub(crate) outermost: Outermost,
}

impl ErasedHandler for Shell {
    fn handle_erased(
        self: Arc<Self>,
        request: Request<RequestBody>,
        client: &Arc<Client>,
    ) -> HandlerFuture {
        if let Some(response) = self.outermost.preflight(&request, &self.dispatch.table) {
            return self.permission(&request, response);
        }
        let asker = self.outermost.asker(request.headers());
        let arrival = Arrival::of(&request, request.body().began(), Some(Arc::clone(client)));
        let answer = match &self.layers {
            None => self.dispatch.answer(request, arrival),
            Some(layers) => {
                let (shell, layers) = (Arc::clone(&self), Arc::clone(layers));
                Box::pin(shell.layered(layers, request, arrival))
            }
        };
        match asker {
            None => answer,
            Some(asker) => Box::pin(async move { self.outermost.complete(answer.await, asker) }),
        }
    }
}

impl Shell {
    /// The answer to a preflight.
    fn permission(
        &self,
        request: &Request<RequestBody>,
        mut response: Response<ResponseBody>,
    ) -> HandlerFuture {
        let Arrival { caller, .. } = Arrival::of(request, request.body().began(), None);
        response.headers_mut().insert(X_REQUEST_ID, id_header(&caller.id));
        self.dispatch.core.blank.complete(response.headers_mut());
        if let Some(asker) = self.outermost.asker(request.headers()) {
            response = self.outermost.complete(response, asker);
        }
        Box::pin(ready(response))
    }

    async fn layered(
        self: Arc<Self>,
        layers: Arc<Layers>,
        request: Request<RequestBody>,
        Arrival { caller, is_head, .. }: Arrival,
    ) -> Response<ResponseBody> {
        let core = &self.dispatch.core;
        let answer = layers.answer(request, &caller);
        let mut response = whatever_happens(core, &caller.id, is_head, answer).await;
        core.blank.complete(response.headers_mut());
        response
    }
}

/// Turns panics and refusals into responses, and tells the client the request's id. No `async fn`,
/// which would have room for `answer` twice: as its argument, and where it is awaited.
pub(crate) fn whatever_happens(
    core: &Core,
    id: &RequestId,
    is_head: bool,
    answer: impl Future<Output = Outcome> + Send,
) -> impl Future<Output = Response<ResponseBody>> + Send {
    AssertUnwindSafe(answer).catch_unwind().map(move |answered| {
        let answered = answered.unwrap_or_else(|panic| Err(panicked(&*panic, id)));
        match answered {
            Ok(mut response) => {
                response.headers_mut().insert(X_REQUEST_ID, id_header(id));
                response
            }
            Err(refusal) => refused(core, refusal, id, is_head),
        }
    })
}

/// The response of a fault, in the envelope.
pub(crate) fn refused(
    core: &Core,
    refusal: Refusal,
    id: &RequestId,
    is_head: bool,
) -> Response<ResponseBody> {
    let mut body = Vec::new();
    core.envelope.write_fault(&mut body, &refusal.fault.view(id.as_str()));
    let content_type = HeaderValue::from_static(core.envelope.fault_content_type());
    let mut response = adapter::respond(refusal.status(), content_type, body.into(), is_head);
    refusal.write_headers(response.headers_mut());
    core.blank.complete(response.headers_mut());
    response.headers_mut().insert(X_REQUEST_ID, id_header(id));
    response
}

/// The refusal of a request that has panicked, which is logged.
pub(crate) fn panicked(panic: &(dyn Any + Send), id: &RequestId) -> Refusal {
    let fault = Fault::panicked(panic);
    let source = fault.source_text().unwrap_or_default();
    tracing::error!(request_id = id.as_str(), source, "request failed");
    fault.into()
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").field("layers", &self.layers.is_some()).finish_non_exhaustive()
    }
}
