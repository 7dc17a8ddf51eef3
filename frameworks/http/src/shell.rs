//! What stands around every request: its id, its deadline, the limit of its body, and an answer
//! whatever happens.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{Router, body::Body as AxumBody};
use futures_util::FutureExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Limited;
use hyper::body::Incoming;
use polyport_bootstrap::{
    container::Container,
    operation::{Codecs, Fault},
    wire::Envelope,
};
use polyport_listener::{Handler, ResponseBody};
use tokio::time::{Instant, timeout_at};
use tower::Service;

use crate::{
    adapter, body,
    head::{self, Identity, X_REQUEST_ID},
    mount,
    refusal::Refusal,
    table::{Found, Path, Table},
};

/// Answers every request of the framework's listener.
pub(crate) struct Shell {
    pub(crate) table: Table,
    pub(crate) container: Container,
    pub(crate) envelope: Arc<dyn Envelope>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) body_limit: usize,
    pub(crate) codecs: Arc<Codecs>,
}

type Outcome = Result<Response<ResponseBody>, Refusal>;

impl Handler for Shell {
    async fn handle(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let identity = Identity::of(request.headers());
        let is_head = request.method() == Method::HEAD;
        let mut response = AssertUnwindSafe(self.answer(request, &identity))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(panicked(&*panic, &identity)))
            .unwrap_or_else(|refusal| self.refused(refusal, &identity, is_head));
        response.headers_mut().insert(X_REQUEST_ID, identity.header);
        response
    }
}

impl Shell {
    async fn answer(&self, request: Request<Incoming>, identity: &Identity) -> Outcome {
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if let Err(fault) = head::check(&request) {
            return refuse(request, fault).await;
        }
        match self.table.find(request.method(), request.uri().path()) {
            Found::Route(route, params) => match adapter::parameters(route, &params) {
                Ok(path) => adapter::call(self, route, path, request, identity, deadline).await,
                Err(fault) => refuse(request, fault).await,
            },
            Found::Mount(router, known) => {
                let router = router.clone();
                Box::pin(self.call_mount(router, known, request, identity, deadline)).await
            }
            Found::WrongMethod(path) => match wrong_method(request.method(), path.allow()) {
                Err(refusal) => refuse(request, refusal).await,
                answer => answer,
            },
            Found::Nothing => refuse(request, Refusal::unknown_path()).await,
        }
    }

    /// Lets a mounted router answer. Where it does not know the request, and the table has the
    /// path by other methods, the client learns of all that are allowed.
    async fn call_mount(
        &self,
        mut router: Router,
        known: Option<&Path>,
        mut request: Request<Incoming>,
        identity: &Identity,
        deadline: Option<Instant>,
    ) -> Outcome {
        if let Err(fault) = body::check_length(request.body(), self.body_limit) {
            return refuse(request, fault).await;
        }
        let method = request.method().clone();
        request.headers_mut().insert(X_REQUEST_ID, identity.header.clone());
        let limited = |body| AxumBody::new(Limited::new(body, self.body_limit));
        let answer = router.call(request.map(limited));
        let answered = match deadline {
            None => answer.await,
            Some(deadline) => timeout_at(deadline, answer).await.map_err(|_| too_long())?,
        };
        let Ok(response) = answered;
        let is_unrouted = mount::is_unrouted(&response);
        match known {
            Some(path) if is_unrouted || response.status() == StatusCode::METHOD_NOT_ALLOWED => {
                wrong_method(&method, path.allow_with(response.headers().get(header::ALLOW)))
            }
            _ if is_unrouted => Err(Refusal::unknown_path()),
            _ => Ok(response.map(ResponseBody::boxed)),
        }
    }

    fn refused(
        &self,
        refusal: Refusal,
        identity: &Identity,
        is_head: bool,
    ) -> Response<ResponseBody> {
        let mut body = Vec::new();
        self.envelope.write_fault(&mut body, &refusal.fault.view(identity.id.as_str()));
        let content_type = HeaderValue::from_static(self.envelope.fault_content_type());
        let mut response = adapter::respond(refusal.status(), content_type, body.into(), is_head);
        refusal.write_headers(response.headers_mut());
        response
    }
}

async fn refuse(request: Request<Incoming>, refusal: impl Into<Refusal>) -> Outcome {
    let (head, body) = request.into_parts();
    Err(body::refuse(&head, body, refusal.into()).await)
}

/// OPTIONS is answered, everything else refused.
fn wrong_method(method: &Method, allow: HeaderValue) -> Outcome {
    if method != Method::OPTIONS {
        return Err(Refusal::wrong_method(allow));
    }
    let mut response = adapter::empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(header::ALLOW, allow);
    Ok(response)
}

fn too_long() -> Fault {
    Fault::deadline_exceeded("DEADLINE_EXCEEDED", "the call took longer than its deadline")
}

fn panicked(panic: &(dyn Any + Send), identity: &Identity) -> Refusal {
    let fault = Fault::panicked(panic);
    let source = fault.source_text().unwrap_or_default();
    tracing::error!(request_id = identity.id.as_str(), source, "request failed");
    fault.into()
}
