//! HTTP messages ↔ the neutral call.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body::Body;
use matchit::Params;
use polyport_bootstrap::operation::{BodyFormat, BodySource, Context, Fault, PathParams};
use polyport_listener::ResponseBody;
use tokio::time::Instant;

use crate::{
    body::{self, RequestBody},
    compression, cookies,
    core::{Core, Early, Outcome},
    encoding::Coding,
    head::Identity,
    refusal::Refusal,
    reply,
    routes::Route,
};

/// The route's parameters, decoded.
pub(crate) fn parameters(route: &Route, params: &Params<'_, '_>) -> Result<PathParams, Fault> {
    if params.is_empty() {
        return Ok(PathParams::default());
    }
    let names = route.params.get_or_init(|| params.iter().map(|(name, _)| name).collect());
    PathParams::decode(names, params.iter().map(|(_, value)| value))
}

/// Calls the operation of a route.
pub(crate) async fn call<B: RequestBody>(
    core: &Core,
    to: Destination<'_>,
    head: &mut Parts,
    body: B,
    identity: &Identity,
) -> Outcome {
    let Destination { route, began, deadline, .. } = to;
    let operation = route.endpoint.info();
    let flight = operation.enter_reading(began);
    // Boxed, so that the calls that bring no body do not carry room for reading one.
    let payload = match body.is_end_stream() && !operation.streams_body() {
        true => Ok(NO_BODY),
        false => Box::pin(payload(core, route, head, body, deadline)).await,
    };
    let payload = match payload {
        Ok(payload) => payload,
        Err(refusal) => {
            let early = Early::refused(refusal).of(operation);
            // Boxed, so that the calls that nobody refuses do not carry room for it.
            return Box::pin(core.settle(head, identity, deadline, early)).await;
        }
    };
    if let Some(flight) = &flight {
        flight.read();
    }
    let is_head = head.method == Method::HEAD;
    let context = context(core, to, head, identity, payload);
    let answered = match route.endpoint.call(&context).await {
        Ok(reply) => reply::response(core, &context, route.status, reply, is_head),
        Err(fault) => Err(fault),
    };
    Ok(cookies::written(&context, answered)?)
}

/// The operation that a request is for.
pub(crate) struct Destination<'a> {
    pub(crate) route: &'a Route,
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
    to: Destination<'_>,
    head: &mut Parts,
    identity: &Identity,
    (body, format): (Bytes, BodyFormat),
) -> Context {
    let Destination { route, path, deadline, .. } = to;
    let mut call = core.parts(route.endpoint.info(), head, &route.place, identity, deadline);
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
