//! From a request to whoever answers it.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use axum::body::Body as AxumBody;
use futures_util::future::ready;
use http::{HeaderValue, Method, Request, StatusCode, header, request::Parts};
use http_body_util::Limited;
use polyport_bootstrap::operation::{Context, Fault, Reply, ReplyBody};
use polyport_listener::{HandlerFuture, LongLived, ResponseBody, client_of, normal_path};
use tokio::time::Instant;

use crate::{
    adapter::{self, Destination},
    body::{self, RequestBody},
    cookies,
    core::{Core, Early, Outcome},
    head::{self, Arrival, Asked, Caller, X_REQUEST_ID},
    mount::{self, Mounted, NativeCall},
    refusal::Refusal,
    reply, shell,
    table::{Found, Table},
};

/// The route table with what its calls have in common.
pub(crate) struct Dispatch {
    pub(crate) core: Arc<Core>,
    pub(crate) table: Table,
}

impl Dispatch {
    /// Answers a request, whatever happens, by its operation or router; what nothing is served for
    /// passes through the middleware as well.
    pub(crate) fn answer<B: RequestBody>(
        &self,
        request: Request<B>,
        arrival: Arrival,
    ) -> HandlerFuture {
        let (id, is_head) = (arrival.caller.id.clone(), arrival.is_head);
        let (mut head, body) = request.into_parts();
        let begun = catch_unwind(AssertUnwindSafe(|| self.begin(&mut head, body, arrival)));
        begun.unwrap_or_else(|panic| {
            let refusal = shell::panicked(&*panic, &id);
            Box::pin(ready(shell::refused(&self.core, refusal, &id, is_head)))
        })
    }

    /// Each way to an answer has a future of its own, with room for what it needs and no more. The
    /// head is lent, since it is large: only who needs it later takes it away.
    fn begin<B: RequestBody>(
        &self,
        head: &mut Parts,
        body: B,
        Arrival { caller, asked, is_head, at }: Arrival,
    ) -> HandlerFuture {
        let core = Arc::clone(&self.core);
        match self.route(head, asked, at) {
            To::Route(to) => adapter::call(core, to, head, body, caller),
            To::Mount(to) => {
                let mut head = head::taken(head);
                Box::pin(async move {
                    let id = caller.id.clone();
                    let answer = call_mount(&core, to, &mut head, body, caller);
                    shell::whatever_happens(&core, &id, is_head, answer).await
                })
            }
            To::Nobody(early) => {
                let mut head = head::taken(head);
                Box::pin(async move {
                    let id = caller.id.clone();
                    let answer = refuse(&core, &mut head, body, caller, *early);
                    shell::whatever_happens(&core, &id, is_head, answer).await
                })
            }
        }
    }

    /// Who answers a request.
    fn route(&self, head: &mut Parts, asked: Asked, began: Instant) -> To {
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
                    let route = Arc::clone(route);
                    To::Route(Destination { route, path, began, deadline })
                }
                Err(fault) => To::nobody(Early::refused(fault).of(route.endpoint.info())),
            },
            Found::Mount(mounted, known) => {
                let (mounted, allow) = (Arc::clone(mounted), known.map(|path| path.allow()));
                if let Cow::Owned(path) = path {
                    mount::rewrite(&mut head.uri, &path);
                }
                let deadline = head::deadline(began, asked, self.core.timeout);
                To::Mount(ToMount { mounted, allow, deadline })
            }
            Found::WrongMethod(path) => {
                let answer = wrong_method(&head.method, path.allow()).map_err(Refusal::from);
                To::nobody(Early { operation: None, answer })
            }
            Found::Nothing => To::nobody(Early::refused(Refusal::unknown_path())),
        }
    }
}

/// Answers without having read the body.
async fn refuse<B: RequestBody>(
    core: &Core,
    head: &mut Parts,
    body: B,
    caller: Caller,
    mut early: Early,
) -> Outcome {
    early.answer = match early.answer {
        Ok(reply) => Ok(reply),
        Err(refusal) => Err(body::refuse(head, body, refusal).await),
    };
    core.settle(head, caller, None, early).await
}

/// Lets a mounted router answer. Where it does not know the request, and the table has the path by
/// other methods, the client learns of all that are allowed.
async fn call_mount<B: RequestBody>(
    core: &Core,
    ToMount { mounted, allow, deadline }: ToMount,
    head: &mut Parts,
    body: B,
    caller: Caller,
) -> Outcome {
    let operation = mounted.endpoint.info();
    let _flight = operation.enter();
    if let Err(fault) = body::check_length(&body, core.body_limit) {
        let early = Early::refused(fault).of(operation);
        return refuse(core, head, body, caller, early).await;
    }
    head.headers.insert(X_REQUEST_ID, head::id_header(&caller.id));
    if let Some(client) = &caller.client {
        client.introduce(&mut head.extensions);
    }
    let is_head = head.method == Method::HEAD;
    let body = AxumBody::new(Limited::new(body, core.body_limit));
    let native = Arc::new(NativeCall::new(Request::from_parts(head.clone(), body), allow));
    head.extensions = client_of(&head.extensions);
    let mut call = core.parts(operation, head, &mounted.place, caller, deadline);
    call.extensions.insert(Arc::clone(&native));
    let context = Context::new(call);
    let answered = match mounted.endpoint.call(&context).await {
        Err(fault) => Err(fault),
        Ok(reply) => match (native.response(), reply.body()) {
            (Some(response), ReplyBody::Native) => {
                let mut response = native_response(response, reply);
                core.blank.complete(response.headers_mut());
                Ok(response)
            }
            _ => reply::response(core, &context, None, reply, is_head),
        },
    };
    Ok(cookies::written(&context, answered)?)
}

/// Who answers a request, and what they need to know.
enum To {
    Route(Destination),
    Mount(ToMount),
    Nobody(Box<Early>),
}

impl To {
    fn nobody(early: Early) -> Self {
        Self::Nobody(Box::new(early))
    }
}

/// A mounted router, and what the table allows at the same path.
struct ToMount {
    mounted: Arc<Mounted>,
    allow: Option<HeaderValue>,
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
