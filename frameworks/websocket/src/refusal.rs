//! Requests that do not become a connection.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{FutureExt, future::ready};
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{
        CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE,
    },
};
use polyport_bootstrap::{
    Context, Error, Fault,
    operation::{Endpoint, Reply, RequestId},
};
use polyport_listener::ResponseBody;

use crate::gateway::Gateway;

pub(crate) const REQUEST_ID: &str = "x-request-id";

/// Why a request does not become a connection, with the headers that say what would.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Fault, pub(crate) Vec<(HeaderName, HeaderValue)>);

/// The fault of a refusal, in the extensions of its call until it is answered.
#[derive(Debug, Clone)]
pub(crate) struct Reason(Arc<Mutex<Option<Fault>>>);

impl Reason {
    pub(crate) fn new(fault: Fault) -> Self {
        Self(Arc::new(Mutex::new(Some(fault))))
    }

    fn take(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What stands at the end of the chain for requests that cannot become a connection: the middleware
/// of the application and of the framework stands around their refusal.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::fallback("refusal", |context| {
        let fault = context.extension::<Reason>().and_then(Reason::take);
        let asked_twice = || Error::other("a refusal is answered once").into();
        ready(Err(fault.unwrap_or_else(asked_twice))).boxed()
    })
}

/// A fault as a response.
pub(crate) fn refused(
    gateway: &Gateway,
    fault: &Fault,
    request_id: &RequestId,
    headers: &[(HeaderName, HeaderValue)],
) -> Response<ResponseBody> {
    let envelope = gateway.envelope();
    let mut body = Vec::new();
    envelope.write_fault(&mut body, &fault.view(request_id.as_str()));
    let mut response = Response::new(ResponseBody::from(body));
    *response.status_mut() =
        StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_static(envelope.fault_content_type());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    for (name, value) in fault.headers().iter().filter(|(name, _)| !is_ours(name)) {
        response.headers_mut().append(name, value.clone());
    }
    identify(&mut response, request_id);
    for (name, value) in headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

/// Whether a header says what the body is, or what becomes of the connection.
fn is_ours(name: &HeaderName) -> bool {
    [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING, CONNECTION, UPGRADE]
        .contains(name)
}

/// A middleware has an answer of its own: the client gets it, and no connection.
pub(crate) async fn instead(
    gateway: &Gateway,
    context: &Context,
    reply: Reply,
) -> Result<Response<ResponseBody>, Fault> {
    let (code, headers, body) = reply.into_parts();
    let body = body.collected(context, gateway.settings.max_message_size).await?;
    let mut out = Vec::new();
    body.write_json(&*gateway.envelope(), context.request_id.as_str(), &mut out)?;
    let mut response = Response::new(ResponseBody::from(out));
    *response.status_mut() = code.unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().extend(headers.map(|headers| *headers).unwrap_or_default());
    identify(&mut response, &context.request_id);
    Ok(response)
}

/// Tells the client by which id its request is known here.
pub(crate) fn identify(response: &mut Response<ResponseBody>, request_id: &RequestId) {
    if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

pub(crate) fn status(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}
