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
    head::{Identity, X_REQUEST_ID},
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
        let identity = Identity::of(request.headers());
        let asker = self.outermost.asker(request.headers());
        let response = match self.outermost.preflight(&request, &self.dispatch.table) {
            Some(mut response) => {
                response.headers_mut().insert(X_REQUEST_ID, identity.header());
                response
            }
            None => self.answer(request, &identity).await,
        };
        self.outermost.complete(response, asker)
    }
}

impl Shell {
    async fn answer(
        &self,
        request: Request<RequestBody>,
        identity: &Identity,
    ) -> Response<ResponseBody> {
        let is_head = request.method() == Method::HEAD;
        let answer = async {
            match &self.layers {
                None => self.dispatch.answer(request, identity).await,
                Some(layers) => layers.answer(request, identity).await,
            }
        };
        whatever_happens(&self.dispatch.core, identity, is_head, answer).await
    }
}

/// Turns panics and refusals into responses, and tells the client the request's id.
pub(crate) async fn whatever_happens(
    core: &Core,
    identity: &Identity,
    is_head: bool,
    answer: impl Future<Output = Outcome> + Send,
) -> Response<ResponseBody> {
    let mut response = AssertUnwindSafe(answer)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(panicked(&*panic, identity)))
        .unwrap_or_else(|refusal| refused(core, refusal, identity, is_head));
    response.headers_mut().insert(X_REQUEST_ID, identity.header());
    response
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
