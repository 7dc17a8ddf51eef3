//! From a request to whoever answers it.

use std::{borrow::Cow, sync::Arc};

use axum::body::Body as AxumBody;
use http::{HeaderValue, Method, Request, StatusCode, header, request::Parts};
use http_body_util::Limited;
use polyport_bootstrap::operation::{Context, Fault, Reply, ReplyBody};
use polyport_listener::{LongLived, ResponseBody, client_of, normal_path};
use tokio::time::Instant;

use crate::{
    adapter::{self, Destination},
    body::{self, RequestBody},
    cookies,
    core::{Core, Early, Outcome},
    head::{self, Asked, Identity, X_REQUEST_ID},
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
    /// middleware as well. Only what an operation needs has room in the future, which is made anew
    /// for each request.
    pub(crate) async fn answer<B: RequestBody>(
        &self,
        head: &mut Parts,
        body: B,
        identity: &Identity,
        asked: Asked,
    ) -> Outcome {
        match self.route(head, asked) {
            To::Route(to) => adapter::call(&self.core, to, head, body, identity).await,
            To::Mount(to) => Box::pin(self.call_mount(to, head, body, identity)).await,
            To::Nobody(early) => Box::pin(self.refuse(head, body, identity, *early)).await,
        }
    }

    /// Who answers a request.
    fn route<'a>(&'a self, head: &mut Parts, asked: Asked) -> To<'a> {
        let began = Instant::now();
        let asked = match asked {
            Ok(asked) => asked,
            Err(fault) => return To::nobody(Early::refused(fault)),
        };
        let path = normal_path(head.uri.path());
        match self.table.find(&head.method, &path) {
            Found::Route(route, params) => match adapter::parameters(route, &params) {
                Ok(path) => {
                    let limit = route.timeout.or(self.core.timeout);
                    let deadline = head::deadline(began, asked, limit);
                    To::Route(Destination { route, path, began, deadline })
                }
                Err(fault) => To::nobody(Early::refused(fault).of(route.endpoint.info())),
            },
            Found::Mount(mounted, known) => {
                if let Cow::Owned(path) = path {
                    mount::rewrite(&mut head.uri, &path);
                }
                let deadline = head::deadline(began, asked, self.core.timeout);
                To::Mount(ToMount { mounted, known, deadline })
            }
            Found::WrongMethod(path) => {
                let answer = wrong_method(&head.method, path.allow()).map_err(Refusal::from);
                To::nobody(Early { operation: None, answer })
            }
            Found::Nothing => To::nobody(Early::refused(Refusal::unknown_path())),
        }
    }

    /// Answers without having read the body.
    async fn refuse<B: RequestBody>(
        &self,
        head: &mut Parts,
        body: B,
        identity: &Identity,
        mut early: Early<'_>,
    ) -> Outcome {
        early.answer = match early.answer {
            Ok(reply) => Ok(reply),
            Err(refusal) => Err(body::refuse(head, body, refusal).await),
        };
        self.core.settle(head, identity, None, early).await
    }

    /// Lets a mounted router answer. Where it does not know the request, and the table has the
    /// path by other methods, the client learns of all that are allowed.
    async fn call_mount<B: RequestBody>(
        &self,
        ToMount { mounted, known, deadline }: ToMount<'_>,
        head: &mut Parts,
        body: B,
        identity: &Identity,
    ) -> Outcome {
        let operation = mounted.endpoint.info();
        let _flight = operation.enter();
        if let Err(fault) = body::check_length(&body, self.core.body_limit) {
            let early = Early::refused(fault).of(operation);
            return self.refuse(head, body, identity, early).await;
        }
        head.headers.insert(X_REQUEST_ID, identity.header());
        let is_head = head.method == Method::HEAD;
        let body = AxumBody::new(Limited::new(body, self.core.body_limit));
        let native = Arc::new(NativeCall::new(
            Request::from_parts(head.clone(), body),
            known.map(|path| path.allow()),
        ));
        head.extensions = client_of(&head.extensions);
        let mut call = self.core.parts(operation, head, &mounted.place, identity, deadline);
        call.extensions.insert(Arc::clone(&native));
        let context = Context::new(call);
        let answered = match mounted.endpoint.call(&context).await {
            Err(fault) => Err(fault),
            Ok(reply) => match (native.response(), reply.body()) {
                (Some(response), ReplyBody::Native) => {
                    let mut response = native_response(response, reply);
                    self.core.blank.complete(response.headers_mut());
                    Ok(response)
                }
                _ => reply::response(&self.core, &context, None, reply, is_head),
            },
        };
        Ok(cookies::written(&context, answered)?)
    }
}

/// Who answers a request, and what they need to know.
enum To<'a> {
    Route(Destination<'a>),
    Mount(ToMount<'a>),
    Nobody(Box<Early<'a>>),
}

impl<'a> To<'a> {
    fn nobody(early: Early<'a>) -> Self {
        Self::Nobody(Box::new(early))
    }
}

/// A mounted router, and what the table has at the same path.
struct ToMount<'a> {
    mounted: &'a Mounted,
    known: Option<&'a Path>,
    deadline: Option<Instant>,
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
