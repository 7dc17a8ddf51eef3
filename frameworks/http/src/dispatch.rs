//! From a request to whoever answers it.

use std::{borrow::Cow, sync::Arc};

use axum::body::Body as AxumBody;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Limited;
use polyport_bootstrap::operation::{Context, Fault, Reply, ReplyBody};
use polyport_listener::{LongLived, ResponseBody, client_of, normal_path};
use tokio::time::Instant;

use crate::{
    adapter,
    body::{self, RequestBody},
    cookies,
    core::{Core, Early, Outcome},
    head::{self, Identity, X_REQUEST_ID},
    mount::{self, Mounted, NativeCall},
    refusal::Refusal,
    reply,
    table::{Found, Path, Table},
};

/// The route table with what its calls have in common.
pub(crate) struct Dispatch {
    pub(crate) core: Core,
    pub(crate) table: Table,
}

impl Dispatch {
    /// Answers a request by its operation or router; what nothing is served for passes through the
    /// middleware as well.
    pub(crate) async fn answer<B: RequestBody>(
        &self,
        mut request: Request<B>,
        identity: &Identity,
    ) -> Outcome {
        let checked = head::check(&request);
        let deadline = checked.and_then(|()| head::deadline(request.headers(), self.core.timeout));
        let deadline = match deadline {
            Ok(deadline) => deadline,
            Err(fault) => return self.refuse(request, identity, Early::refused(fault)).await,
        };
        let path = normal_path(request.uri().path());
        match self.table.find(request.method(), &path) {
            Found::Route(route, params) => match adapter::parameters(route, &params) {
                Ok(path) => {
                    adapter::call(&self.core, route, path, request, identity, deadline).await
                }
                Err(fault) => {
                    let early = Early::refused(fault).of(route.endpoint.info());
                    self.refuse(request, identity, early).await
                }
            },
            Found::Mount(mounted, known) => {
                if let Cow::Owned(path) = &path {
                    mount::rewrite(request.uri_mut(), path);
                }
                Box::pin(self.call_mount(mounted, known, request, identity, deadline)).await
            }
            Found::WrongMethod(path) => {
                let answer = wrong_method(request.method(), path.allow()).map_err(Refusal::from);
                let early = Early { operation: None, answer };
                self.refuse(request, identity, early).await
            }
            Found::Nothing => {
                self.refuse(request, identity, Early::refused(Refusal::unknown_path())).await
            }
        }
    }

    /// Answers without having read the body. Boxed, so that other calls do not carry room for it.
    async fn refuse<B: RequestBody>(
        &self,
        request: Request<B>,
        identity: &Identity,
        mut early: Early<'_>,
    ) -> Outcome {
        let refuse = async {
            let (head, body) = request.into_parts();
            early.answer = match early.answer {
                Ok(reply) => Ok(reply),
                Err(refusal) => Err(body::refuse(&head, body, refusal).await),
            };
            self.core.settle(head, identity, None, early).await
        };
        Box::pin(refuse).await
    }

    /// Lets a mounted router answer. Where it does not know the request, and the table has the
    /// path by other methods, the client learns of all that are allowed.
    async fn call_mount<B: RequestBody>(
        &self,
        mounted: &Mounted,
        known: Option<&Path>,
        mut request: Request<B>,
        identity: &Identity,
        deadline: Option<Instant>,
    ) -> Outcome {
        let operation = mounted.endpoint.info();
        let _flight = operation.enter();
        if let Err(fault) = body::check_length(request.body(), self.core.body_limit) {
            let early = Early::refused(fault).of(operation);
            return self.refuse(request, identity, early).await;
        }
        request.headers_mut().insert(X_REQUEST_ID, identity.header());
        let (head, body) = request.into_parts();
        let is_head = head.method == Method::HEAD;
        let mut own = head.clone();
        own.extensions = client_of(&head.extensions);
        let body = AxumBody::new(Limited::new(body, self.core.body_limit));
        let native = Arc::new(NativeCall::new(
            Request::from_parts(head, body),
            known.map(|path| path.allow()),
        ));
        let mut call = self.core.parts(operation, own, &mounted.place, identity, deadline);
        call.extensions.insert(Arc::clone(&native));
        let context = Context::new(call);
        let answered = match mounted.endpoint.call(&context).await {
            Err(fault) => Err(fault),
            Ok(reply) => match (native.response(), reply.body()) {
                (Some(response), ReplyBody::Native) => Ok(native_response(response, reply)),
                _ => reply::response(&self.core, &context, None, reply, is_head),
            },
        };
        Ok(cookies::written(&context, answered)?)
    }
}

fn native_response(
    response: http::Response<AxumBody>,
    reply: Reply,
) -> http::Response<ResponseBody> {
    let mut response = response.map(ResponseBody::boxed);
    let (status, headers, _) = reply.into_parts();
    if let Some(status) = status {
        *response.status_mut() = status;
    }
    if let Some(headers) = headers {
        reply::add_missing(*headers, response.headers_mut());
    }
    let content_type = response.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream")) {
        response.extensions_mut().insert(LongLived);
    }
    response
}

/// OPTIONS is answered, everything else refused.
pub(crate) fn wrong_method(method: &Method, allow: HeaderValue) -> Result<Reply, Fault> {
    if method != Method::OPTIONS {
        return Err(Refusal::wrong_method(allow));
    }
    let reply = Reply::new(ReplyBody::Empty).with_status(StatusCode::NO_CONTENT);
    Ok(reply.with_header(header::ALLOW, allow))
}
