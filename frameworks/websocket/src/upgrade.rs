//! From an HTTP request to a WebSocket connection (RFC 6455, section 4).

use std::sync::{Arc, Weak};

use futures_util::{FutureExt, future::ready};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{
        ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName,
        SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
    },
};
use hyper::body::Incoming;
use polyport_bootstrap::{
    Context, Fault,
    operation::{Endpoint, Reply, ReplyBody, RequestId},
};
use polyport_listener::{Handler, PeerAddr, ResponseBody};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    connection,
    conversation::{Handshake, Origin},
    gateway::Gateway,
};

const REQUEST_ID: &str = "x-request-id";

/// The one version of the protocol (RFC 6455, section 4.1).
const VERSION: &str = "13";
/// The length of 16 bytes in base64.
const KEY_LENGTH: usize = 24;

/// What is called before a client is let in. Nothing happens in it: guards, middleware and
/// interceptors of the application and of the framework stand around it.
pub(crate) fn entry() -> Endpoint {
    Endpoint::native("connect", |_| ready(Ok(Reply::new(ReplyBody::Native))).boxed())
}

/// Answers the requests at the gateway's path, and on a port of its own all others with 404.
///
/// Holds the gateway weakly: the listener that holds this is known to handles in the container,
/// which the gateway holds.
#[derive(Debug)]
pub(crate) struct Entrance(pub(crate) Weak<Gateway>);

/// Why a request does not become a connection, with the headers that say what would.
struct Refusal(Fault, Vec<(HeaderName, &'static str)>);

impl Handler for Entrance {
    async fn handle(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        match self.0.upgrade() {
            Some(gateway) => answer(&gateway, request).await,
            None => status(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

async fn answer(gateway: &Arc<Gateway>, request: Request<Incoming>) -> Response<ResponseBody> {
    match check(&gateway.settings.path, gateway.calls.is_stopped(), &request) {
        Ok(accept) => enter(gateway, request, accept).await,
        Err(Refusal(fault, headers)) => {
            let request_id = request_id(request.headers());
            tracing::debug!(%request_id, %fault, "handshake refused");
            refused(gateway, &fault, &request_id, &headers)
        }
    }
}

/// Asks the guards, and whatever else stands around connecting, while there is an HTTP response to
/// refuse with.
async fn enter(
    gateway: &Arc<Gateway>,
    mut request: Request<Incoming>,
    accept: HeaderValue,
) -> Response<ResponseBody> {
    let _flight = gateway.entry.info().enter();
    let context = entry_context(gateway, &mut request);
    match gateway.entry.call(&context).await {
        Ok(reply) if matches!(reply.body(), ReplyBody::Native) => {
            let mut response = switching(accept);
            let (_, headers, _) = reply.into_parts();
            response.headers_mut().extend(headers.map(|headers| *headers).unwrap_or_default());
            identify(&mut response, &context.request_id);
            begin(gateway, request, &context);
            response
        }
        Ok(reply) => {
            let written = instead(gateway, &context, reply).await;
            written.unwrap_or_else(|fault| refused(gateway, &fault, &context.request_id, &[]))
        }
        Err(fault) => refused(gateway, &fault, &context.request_id, &[]),
    }
}

/// The call that connecting is.
fn entry_context(gateway: &Gateway, request: &mut Request<Incoming>) -> Context {
    let mut call = gateway.call(&gateway.entry);
    call.metadata = std::mem::take(request.headers_mut());
    call.request_id = request_id(&call.metadata);
    call.input.query = request.uri().path_and_query().cloned();
    if let Some(peer) = request.extensions().get::<PeerAddr>() {
        call.extensions.insert(*peer);
    }
    Context::new(call)
}

fn request_id(headers: &HeaderMap) -> RequestId {
    RequestId::from_peer(headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()))
}

/// A middleware has an answer of its own: the client gets it, and no connection.
async fn instead(
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

/// Lets the connection begin as soon as hyper hands it over.
fn begin(gateway: &Arc<Gateway>, mut request: Request<Incoming>, context: &Context) {
    let upgrade = hyper::upgrade::on(&mut request);
    let peer = request.extensions().get().map_or(([0, 0, 0, 0], 0).into(), |PeerAddr(peer)| *peer);
    let handshake =
        || Handshake { query: context.input.query.clone(), headers: context.metadata.clone() };
    let origin = Origin::new(gateway, context.values(), &context.metadata, handshake);
    if let Some(listener) = gateway.listener.get() {
        let connection = connection::serve(Arc::clone(gateway), upgrade, peer, origin);
        // Boxed, so that the tasks around it do not hold it twice.
        listener.spawn(Box::pin(gateway.connections.track_future(connection)));
    }
}

/// What the client's request has to say, and the proof that it was understood.
fn check<B>(path: &str, stopped: bool, request: &Request<B>) -> Result<HeaderValue, Refusal> {
    if request.uri().path() != path {
        let fault = Fault::not_found("NO_SUCH_PATH", format!("WebSocket is served at {path}"));
        return Err(Refusal(fault, Vec::new()));
    }
    if request.version() != Version::HTTP_11 {
        let message = "WebSocket is served over HTTP/1.1";
        return Err(Refusal(Fault::invalid_argument("WRONG_HTTP_VERSION", message), Vec::new()));
    }
    if request.method() != Method::GET {
        let fault = Fault::invalid_argument("WRONG_METHOD", "a WebSocket handshake is a GET");
        return Err(Refusal(fault.with_status(405), vec![(ALLOW, "GET")]));
    }
    let accept = check_headers(request.headers())?;
    if stopped {
        let fault = Fault::unavailable("STOPPING", "the server is stopping: connect again");
        return Err(Refusal(fault, Vec::new()));
    }
    Ok(accept)
}

fn check_headers(headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        return Err(upgrade_required("only WebSocket is served at this path", Vec::new()));
    }
    if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        let known = (SEC_WEBSOCKET_VERSION, VERSION);
        return Err(upgrade_required("only version 13 of WebSocket is spoken", vec![known]));
    }
    let accept = only(headers, &SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key.as_bytes()))
        .and_then(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok());
    accept.ok_or_else(|| {
        let message = "Sec-WebSocket-Key is to be given once, with 16 bytes in base64";
        Refusal(Fault::invalid_argument("NO_WEBSOCKET_KEY", message), Vec::new())
    })
}

/// 426 (RFC 9110, section 15.5.22).
fn upgrade_required(
    message: &'static str,
    mut headers: Vec<(HeaderName, &'static str)>,
) -> Refusal {
    headers.extend([(UPGRADE, "websocket"), (CONNECTION, "upgrade")]);
    let fault = Fault::invalid_argument("UPGRADE_REQUIRED", message);
    Refusal(fault.with_status(StatusCode::UPGRADE_REQUIRED.as_u16()), headers)
}

/// Whether a comma-separated header names `token`, in whatever case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}

/// The value of a header that is to come once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == KEY_LENGTH && key.strip_suffix(b"==").is_some_and(|key| key.iter().all(is_base64))
}

fn switching(accept: HeaderValue) -> Response<ResponseBody> {
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn refused(
    gateway: &Gateway,
    fault: &Fault,
    request_id: &RequestId,
    headers: &[(HeaderName, &'static str)],
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
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a header says what the body is, or what becomes of the connection.
fn is_ours(name: &HeaderName) -> bool {
    [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING, CONNECTION, UPGRADE]
        .contains(name)
}

/// Tells the client by which id its request is known here.
fn identify(response: &mut Response<ResponseBody>, request_id: &RequestId) {
    if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

fn status(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(path: &str, version: Version) -> Request<()> {
        Request::get(path)
            .version(version)
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "upgrade")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
            .body(())
            .expect("a request")
    }

    fn refusal(stopped: bool, request: &Request<()>) -> Option<u16> {
        check("/ws", stopped, request).err().map(|Refusal(fault, _)| fault.status())
    }

    #[test]
    fn a_handshake_is_judged_by_place_time_and_protocol() {
        let proper = handshake("/ws?x=1", Version::HTTP_11);
        assert_eq!(refusal(false, &proper), None);
        assert_eq!(refusal(true, &proper), Some(503));
        assert_eq!(refusal(false, &handshake("/", Version::HTTP_11)), Some(404));
        for version in [Version::HTTP_10, Version::HTTP_2] {
            assert_eq!(refusal(false, &handshake("/ws", version)), Some(400));
        }
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for key in [&b""[..], b"short==", b"dGhlIHNhbXBsZSBub25jZQ=a", b"dGhlIHNhbXBs ZSBub25j=="] {
            assert!(!is_key(key), "{key:?}");
        }
    }

    #[test]
    fn a_token_is_found_in_any_case_and_place() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        assert!(has_token(&headers, &CONNECTION, "upgrade"));
        assert!(!has_token(&headers, &CONNECTION, "up"));
        assert!(!has_token(&headers, &UPGRADE, "websocket"));
    }
}
