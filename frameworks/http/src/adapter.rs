//! HTTP messages ↔ the neutral call.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use hyper::body::Incoming;
use matchit::Params;
use polyport_bootstrap::operation::{BodyFormat, Call, Context, Fault, PathParams, RawInput};
use polyport_listener::ResponseBody;
use tokio::time::Instant;

use crate::{PROTOCOL, body, head::Identity, refusal::Refusal, reply, routes::Route, shell::Shell};

/// The route's parameters, decoded.
pub(crate) fn parameters(route: &Route, params: &Params<'_, '_>) -> Result<PathParams, Fault> {
    if params.is_empty() {
        return Ok(PathParams::default());
    }
    let names = route.params.get_or_init(|| params.iter().map(|(name, _)| name).collect());
    PathParams::decode(names, params.iter().map(|(_, value)| value))
}

/// Calls the operation of a route.
pub(crate) async fn call(
    shell: &Shell,
    route: &Route,
    path: PathParams,
    request: Request<Incoming>,
    identity: &Identity,
    deadline: Option<Instant>,
) -> Result<Response<ResponseBody>, Refusal> {
    let flight = route.endpoint.info().enter_reading();
    let (head, body) = request.into_parts();
    let (body, format) = payload(shell, route, &head, body, deadline).await?;
    if let Some(flight) = &flight {
        flight.read();
    }
    let is_head = head.method == Method::HEAD;
    let query = head.uri.path_and_query().filter(|uri| uri.query().is_some()).cloned();
    let context = Context::new(Call {
        protocol: PROTOCOL,
        operation: Arc::clone(route.endpoint.info()),
        container: shell.container.clone(),
        request_id: identity.id.clone(),
        deadline,
        metadata: head.headers,
        input: RawInput { path, query, body, format },
        extensions: head.extensions,
    });
    let reply = route.endpoint.call(&context).await?;
    Ok(reply::response(shell, &context, route.status, reply, is_head)?)
}

async fn payload(
    shell: &Shell,
    route: &Route,
    head: &Parts,
    body: Incoming,
    deadline: Option<Instant>,
) -> Result<(Bytes, BodyFormat), Refusal> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), BodyFormat::Json));
    }
    let format = if route.takes_input {
        shell.codecs.format_of(&head.headers)
    } else {
        Ok(BodyFormat::Json)
    };
    match format {
        Ok(format) => Ok((body::read(head, body, shell.body_limit, deadline).await?, format)),
        Err(fault) => Err(body::refuse(head, body, fault.into()).await),
    }
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
