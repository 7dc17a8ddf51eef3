//! What stands around every request: its id, its deadline, the limit of its body, and an answer
//! whatever happens.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::body::Body as AxumBody;
use futures_util::FutureExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Limited;
use hyper::body::Incoming;
use polyport_bootstrap::{container::Container, operation::Fault, wire::Envelope};
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
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        if let Err(fault) = head::check(&request) {
            return Err(refuse(request, fault).await);
        }
        match self.table.find(request.method(), request.uri().path()) {
            Found::Route(route, params) => match adapter::parameters(&params) {
                Ok(path) => {
                    drop(params);
                    adapter::call(self, route, path, request, identity, deadline).await
                }
                Err(fault) => {
                    drop(params);
                    Err(refuse(request, fault).await)
                }
            },
            Found::Mount(router, known) => {
                self.call_mount(router.clone(), known, request, identity, deadline).await
            }
            Found::WrongMethod(path) => wrong_method(request.method(), path.allow())
                .or_else_refuse(request)
                .await,
            Found::Nothing => Err(refuse(request, Refusal::unknown_path()).await),
        }
    }
}
