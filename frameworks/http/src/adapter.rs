//! HTTP messages ↔ the neutral call.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body::Body;
use matchit::Params;
use polyport_bootstrap::operation::{BodyFormat, BodySource, Context, Fault, PathParams};
use polyport_listener::{HandlerFuture, ResponseBody};
use tokio::time::Instant;

use crate::{
    body::{self, RequestBody},
    compression, cookies,
    core::{Core, Early, Outcome},
    encoding::Coding,
    head::{self, Caller},
    refusal::Refusal,
    reply,
    routes::Route,
    shell,
};

/// The route's parameters, decoded.
pub(crate) fn parameters(route: &Route, params: &Params<'_, '_>) -> Result<PathParams, Fault> {
    if params.is_empty() {
        return Ok(PathParams::default());
    }
    let names = route.params.get_or_init(|| params.iter().map(|(name, _)| name).collect());
    PathParams::decode(names, params.iter().map(|(_, value)| value))
}

/// Calls the operation of a route, and answers whatever happens. Most calls bring no body, so there
/// is no room for reading one where they wait.
pub(crate) fn call<B: RequestBody>(
    core: Arc<Core>,
    to: Destination,
    head: &mut Parts,
    body: B,
    caller: Caller,
) -> HandlerFuture {
    if !body.is_end_stream() || to.route.endpoint.info().streams_body() {
        return with_body(core, to, head::taken(head), body, caller);
    }
    let is_head = head.method == Method::HEAD;
    let (route, began) = (Arc::clone(&to.route), to.began);
    let context = context(&core, to, head, caller, NO_BODY);
    Box::pin(async move {
        let _flight = route.endpoint.info().enter_at(began);
        let answer = answered(&core, &route, &context, is_head);
        shell::whatever_happens(&core, &context.request_id, is_head, answer).await
    })
}

fn with_body<B: RequestBody>(
    core: Arc<Core>,
    to: Destination,
    mut head: Parts,
    body: B,
    caller: Caller,
) -> HandlerFuture {
    let (id, is_head) = (caller.id.clone(), head.method == Method::HEAD);
    Box::pin(async move {
        let core = &*core;
        let answer = async {
            let (route, deadline) = (Arc::clone(&to.route), to.deadline);
            let operation = route.endpoint.info();
            let flight = operation.enter_reading(to.began);
            let payload = match payload(core, &route, &mut head, body, deadline).await {
                Ok(payload) => payload,
                Err(refusal) => {
                    let early = Early::refused(refusal).of(operation);
                    // Boxed, so that the calls that nobody refuses do not carry room for it.
                    return Box::pin(core.settle(&mut head, caller, deadline, early)).await;
                }
            };
            if let Some(flight) = &flight {
                flight.read();
            }
            let context = context(core, to, &mut head, caller, payload);
            answered(core, &route, &context, is_head).await
        };
        shell::whatever_happens(core, &id, is_head, answer).await
    })
}

async fn answered(core: &Core, route: &Route, context: &Context, is_head: bool) -> Outcome {
    let answered = match route.endpoint.call(context).await {
        Ok(reply) => reply::response(core, context, route.status, reply, is_head),
        Err(fault) => Err(fault),
    };
    Ok(cookies::written(context, answered)?)
}

/// The operation that a request is for.
pub(crate) struct Destination {
    pub(crate) route: Arc<Route>,
    pub(crate) path: PathParams,
    /// When its request had come in.
    pub(crate) began: Instant,
    /// When it is to be answered.
    pub(crate) deadline: Option<Instant>,
}

/// The payload of a call that brings nothing.
const NO_BODY: (Bytes, BodyFormat) = (Bytes::new(), BodyFormat::Json);

/// A function of its own, so that a call that waits has no room for the parts of its context.
fn context(
    core: &Core,
    to: Destination,
    head: &mut Parts,
    caller: Caller,
    (body, format): (Bytes, BodyFormat),
) -> Context {
    let Destination { route, path, deadline, .. } = to;
    let mut call = core.parts(route.endpoint.info(), head, &route.place, caller, deadline);
    (call.input.path, call.input.body, call.input.format) = (path, body, format);
    Context::new(call)
}

async fn payload<B: RequestBody>(
    core: &Core,
    route: &Route,
    head: &mut Parts,
    body: B,
    deadline: Option<Instant>,
) -> Result<(Bytes, BodyFormat), Refusal> {
    let limit = route.body_limit.unwrap_or(core.body_limit);
    if core.decompresses
        && let Some(coding) = Coding::of(&head.headers)
    {
        if let Err(fault) = body::check_length(&body, limit) {
            return Err(body::refuse(head, body, fault.into()).await);
        }
        head.headers.remove(header::CONTENT_ENCODING);
        head.headers.remove(header::CONTENT_LENGTH);
        let body = compression::decoded(body, coding);
        return Box::pin(payload(core, route, head, body, deadline)).await;
    }
    if route.endpoint.info().streams_body() {
        return leave(limit, head, body, deadline).await;
    }
    if body.is_end_stream() {
        return Ok(NO_BODY);
    }
    let format = match route.takes_input {
        true => core.codecs.format_of(&head.headers),
        false => Ok(BodyFormat::Json),
    };
    match format {
        Ok(format) => Ok((body::read(head, body, limit, deadline).await?, format)),
        Err(fault) => Err(body::refuse(head, body, fault.into()).await),
    }
}

/// Leaves the body to the operation.
async fn leave<B: RequestBody>(
    limit: usize,
    head: &mut Parts,
    body: B,
    deadline: Option<Instant>,
) -> Result<(Bytes, BodyFormat), Refusal> {
    if let Err(fault) = body::check_length(&body, limit) {
        return Err(body::refuse(head, body, fault.into()).await);
    }
    let stream = body::stream(body, limit, deadline);
    head.extensions.insert(BodySource::new(stream));
    Ok((Bytes::new(), BodyFormat::Json))
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}

/// An answer whose body HEAD only measures.
pub(crate) fn respond(
    status: StatusCode,
    content_type: HeaderValue,
    body: ResponseBody,
    is_head: bool,
) -> Response<ResponseBody> {
    let mut response = empty(status);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if !is_head {
        *response.body_mut() = body;
    } else if let Some(length) = body.size_hint().exact() {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    response
}
