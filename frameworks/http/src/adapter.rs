//! HTTP messages ↔ the neutral call.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use hyper::body::Incoming;
use matchit::Params;
use polyport_bootstrap::operation::{Answer, BodyFormat, Call, Context, Fault, JsonCall, RawInput};
use polyport_listener::ResponseBody;
use tokio::time::Instant;

use crate::{
    PROTOCOL, body,
    head::{self, Identity},
    percent,
    refusal::Refusal,
    routes::Route,
    shell::Shell,
};

/// What most answers fit in; longer ones grow.
const ANSWER_CAPACITY: usize = 256;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The route's parameters, decoded.
pub(crate) fn parameters(params: Params<'_, '_>) -> Result<Vec<(String, String)>, Fault> {
    let decoded = |(name, value): (&str, &str)| match percent::decode(value) {
        Some(value) => Ok((name.to_owned(), value)),
        None => Err(Fault::invalid_argument(
            "INVALID_PATH",
            format!("the path's parameter {name} is not UTF-8"),
        )),
    };
    params.iter().map(decoded).collect()
}

/// Calls the operation of a route.
pub(crate) async fn call(
    shell: &Shell,
    route: &Route,
    path: Vec<(String, String)>,
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
        extensions: head.extensions,
    });
    let call = JsonCall {
        input: RawInput { path, query, body, format },
        envelope: Arc::clone(&shell.envelope),
        out: Vec::with_capacity(ANSWER_CAPACITY),
    };
    let answer = route.endpoint.call(context, call).await?;
    Ok(success(route.status, answer, is_head))
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
    let format =
        if route.takes_input { head::body_format(&head.headers) } else { Ok(BodyFormat::Json) };
    match format {
        Ok(format) => Ok((body::read(head, body, shell.body_limit, deadline).await?, format)),
        Err(fault) => Err(body::refuse(head, body, fault.into()).await),
    }
}

fn success(status: Option<StatusCode>, answer: Answer, is_head: bool) -> Response<ResponseBody> {
    // `()` in an envelope that adds nothing to it.
    let is_nothing = !answer.has_value && answer.body == b"null";
    let default = if is_nothing { StatusCode::NO_CONTENT } else { StatusCode::OK };
    let status = status.unwrap_or(default);
    if is_nothing || has_no_body(status) {
        return empty(status);
    }
    respond(status, JSON, answer.body, is_head)
}

/// RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
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
    body: Vec<u8>,
    is_head: bool,
) -> Response<ResponseBody> {
    let mut response = empty(status);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if is_head {
        response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    } else {
        *response.body_mut() = body.into();
    }
    response
}
