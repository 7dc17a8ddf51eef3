//! What stands around every request: its id, and an answer whatever happens, with what all answers
//! say.

use std::{any::Any, fmt, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use http::{HeaderValue, Method, Request, Response};
use polyport_bootstrap::operation::Fault;
use polyport_listener::{Handler, RequestBody, ResponseBody};

use crate::{
    adapter,
    core::{Core, Outcome},
    dispatch::Dispatch,
    head::{Identity, Said, X_REQUEST_ID},
    layers::Layers,
    outermost::Outermost,
    refusal::Refusal,
};

/// Answers every request of the framework's listener.
pub(crate) struct Shell {
    pub(crate) dispatch: Arc<Dispatch>,
    /// None where there are none, which is free.
    pub(crate) layers: Option<Layers>,
    pub(crate) outermost: Outermost,
}

impl Handler for Shell {
    async fn handle(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let said = Said::by(request.headers());
        let (identity, asked) = (said.identity(), said.asked(request.version(), request.body()));
        let asker = self.outermost.asker(request.headers());
        let preflight = self.outermost.preflight(&request, &self.dispatch.table);
        let (core, is_head) = (&self.dispatch.core, request.method() == Method::HEAD);
        let response = match (preflight, &self.layers) {
            (Some(mut response), _) => {
                response.headers_mut().insert(X_REQUEST_ID, identity.header());
                core.blank.complete(response.headers_mut());
                response
            }
            (None, Some(layers)) => {
                let answer = layers.answer(request, &identity);
                let mut response =
                    Box::pin(whatever_happens(core, &identity, is_head, answer)).await;
                core.blank.complete(response.headers_mut());
                response
            }
            (None, None) => {
                let (mut head, body) = request.into_parts();
                let answer = self.dispatch.answer(&mut head, body, &identity, asked);
                whatever_happens(core, &identity, is_head, answer).await
            }
        };
        self.outermost.complete(response, asker)
    }
}

/// Turns panics and refusals into responses, and tells the client the request's id. No `async fn`,
/// which would have room for `answer` twice: as its argument, and where it is awaited.
pub(crate) fn whatever_happens(
    core: &Core,
    identity: &Identity,
    is_head: bool,
    answer: impl Future<Output = Outcome> + Send,
) -> impl Future<Output = Response<ResponseBody>> + Send {
    AssertUnwindSafe(answer).catch_unwind().map(move |answered| {
        let mut response = answered
            .unwrap_or_else(|panic| Err(panicked(&*panic, identity)))
            .unwrap_or_else(|refusal| refused(core, refusal, identity, is_head));
        response.headers_mut().insert(X_REQUEST_ID, identity.header());
        response
    })
}

/// The response of a fault, in the envelope.
pub(crate) fn refused(
    core: &Core,
    refusal: Refusal,
    identity: &Identity,
    is_head: bool,
) -> Response<ResponseBody> {
    let mut body = Vec::new();
    core.envelope.write_fault(&mut body, &refusal.fault.view(identity.id.as_str()));
    let content_type = HeaderValue::from_static(core.envelope.fault_content_type());
    let mut response = adapter::respond(refusal.status(), content_type, body.into(), is_head);
    refusal.write_headers(response.headers_mut());
    core.blank.complete(response.headers_mut());
    response
}

fn panicked(panic: &(dyn Any + Send), identity: &Identity) -> Refusal {
    let fault = Fault::panicked(panic);
    let source = fault.source_text().unwrap_or_default();
    tracing::error!(request_id = identity.id.as_str(), source, "request failed");
    fault.into()
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").field("layers", &self.layers.is_some()).finish_non_exhaustive()
    }
}
