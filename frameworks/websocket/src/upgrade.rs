//! From an HTTP request to a WebSocket connection (RFC 6455, section 4; RFC 8441 over HTTP/2).

use std::sync::{Arc, Weak};

use futures_util::{FutureExt, future::ready};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{
        ALLOW, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use hyper::ext::Protocol;
use polyport_bootstrap::{
    Context, Fault,
    operation::{Call, Endpoint, Extensions, Reply, ReplyBody, RequestId},
};
use polyport_listener::{Handler, PeerAddr, RequestBody, ResponseBody, client_of, normal_path};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    WebSocketSettings,
    connection::{self, Newcomer},
    conversation::{Handshake, Origin},
    gateway::Gateway,
    hub::Subprotocol,
    origin,
    refusal::{REQUEST_ID, Reason, Refusal, identify, instead, refused, status},
    subprotocol,
};

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

impl Handler for Entrance {
    async fn handle(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        match self.0.upgrade() {
            Some(gateway) => answer(&gateway, request).await,
            None => status(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

async fn answer(gateway: &Arc<Gateway>, request: Request<RequestBody>) -> Response<ResponseBody> {
    let until = Instant::now() + gateway.settings.handshake_timeout;
    match check(&gateway.settings, gateway.calls.is_stopped(), &request) {
        Ok(accepted) => enter(gateway, request, accepted, until).await,
        Err(refusal) => refuse(gateway, request, refusal, until).await,
    }
}

/// Lets the middleware have a word about a refusal.
async fn refuse(
    gateway: &Arc<Gateway>,
    mut request: Request<RequestBody>,
    Refusal(fault, headers): Refusal,
    until: Instant,
) -> Response<ResponseBody> {
    let mut call = entry_call(gateway, &gateway.refusal, &mut request, until);
    call.extensions.insert(Reason::new(fault));
    let context = Context::new(call);
    match gateway.refusal.call(&context).await {
        Ok(reply) => or_refused(gateway, &context, instead(gateway, &context, reply).await),
        Err(fault) => refused(gateway, &fault, &context.request_id, &headers),
    }
}

fn or_refused(
    gateway: &Gateway,
    context: &Context,
    written: Result<Response<ResponseBody>, Fault>,
) -> Response<ResponseBody> {
    written.unwrap_or_else(|fault| refused(gateway, &fault, &context.request_id, &[]))
}

/// Asks the guards, and whatever else stands around connecting, while there is an HTTP response to
/// refuse with.
async fn enter(
    gateway: &Arc<Gateway>,
    mut request: Request<RequestBody>,
    accepted: Accepted,
    until: Instant,
) -> Response<ResponseBody> {
    let _flight = gateway.entry.info().enter();
    let context = Context::new(entry_call(gateway, &gateway.entry, &mut request, until));
    match gateway.entry.call(&context).await {
        Ok(reply) if matches!(reply.body(), ReplyBody::Native) => {
            let mut response = switching(&accepted);
            let (_, headers, _) = reply.into_parts();
            response.headers_mut().extend(headers.map(|headers| *headers).unwrap_or_default());
            identify(&mut response, &context.request_id);
            begin(gateway, request, &context, accepted.subprotocol, until);
            response
        }
        Ok(reply) => or_refused(gateway, &context, instead(gateway, &context, reply).await),
        Err(fault) => refused(gateway, &fault, &context.request_id, &[]),
    }
}

/// The call that connecting is, or that is to be refused.
fn entry_call(
    gateway: &Gateway,
    endpoint: &Endpoint,
    request: &mut Request<RequestBody>,
    until: Instant,
) -> Call {
    let metadata = std::mem::take(request.headers_mut());
    let mut call = gateway.call(endpoint, request_id(&metadata));
    call.deadline = call.deadline.into_iter().chain([until]).min();
    call.metadata = metadata;
    call.input.uri = request.uri().clone();
    call.extensions = Extensions::of(client_of(request.extensions()), None);
    call
}

fn request_id(headers: &HeaderMap) -> RequestId {
    RequestId::from_peer(headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()))
}

/// Lets the connection begin as soon as hyper hands it over.
fn begin(
    gateway: &Arc<Gateway>,
    mut request: Request<RequestBody>,
    context: &Context,
    subprotocol: Option<Subprotocol>,
    until: Instant,
) {
    let upgrade = hyper::upgrade::on(&mut request);
    let peer = request.extensions().get().map_or(([0, 0, 0, 0], 0).into(), |PeerAddr(peer)| *peer);
    let handshake = || {
        let query = context.input.uri.path_and_query().cloned();
        Box::new(Handshake { query, headers: context.metadata.clone() })
    };
    let origin = Origin::new(gateway, context.values(), &context.metadata, handshake);
    let arrivals = gateway.hub().newcomers.admit(&context.metadata);
    if let Some(listener) = gateway.listener.get() {
        let tunnel = request.extensions_mut().remove();
        let (gateway, tracked) = (Arc::clone(gateway), gateway.connections.token());
        let newcomer = Newcomer {
            gateway,
            upgrade,
            until,
            peer,
            subprotocol,
            origin,
            arrivals,
            tunnel,
            tracked,
        };
        let newcomer = Box::new(newcomer);
        listener.spawn(move || connection::serve(newcomer));
    }
}

/// A handshake that says all that it has to.
#[derive(Debug)]
struct Accepted {
    /// The proof that it was understood; over HTTP/2 nobody asks for one.
    proof: Option<HeaderValue>,
    subprotocol: Option<Subprotocol>,
    /// Its name.
    agreed: Option<HeaderValue>,
}

/// What the client's request has to say.
fn check<B>(
    settings: &WebSocketSettings,
    stopped: bool,
    request: &Request<B>,
) -> Result<Accepted, Refusal> {
    let path = &settings.path;
    if normal_path(request.uri().path()) != path.as_str() {
        let fault = Fault::not_found("NO_SUCH_PATH", format!("WebSocket is served at {path}"));
        return Err(Refusal(fault, Vec::new()));
    }
    let proof = match request.version() {
        Version::HTTP_11 => Some(check_upgrade(request)?),
        Version::HTTP_2 => check_connect(request).map(|()| None)?,
        _ => return Err(wrong_version("WebSocket is served over HTTP/1.1 and HTTP/2")),
    };
    origin::check(&settings.origins, request)?;
    let subprotocol = subprotocol::negotiate(settings, request.headers())?;
    if stopped {
        let fault = Fault::unavailable("STOPPING", "the server is stopping: connect again");
        return Err(Refusal(fault, Vec::new()));
    }
    let agreed = subprotocol
        .and_then(|Subprotocol(position)| settings.subprotocols.get(usize::from(position)))
        .and_then(|name| HeaderValue::from_str(name).ok());
    Ok(Accepted { proof, subprotocol, agreed })
}

fn wrong_version(message: &'static str) -> Refusal {
    Refusal(Fault::invalid_argument("WRONG_HTTP_VERSION", message), Vec::new())
}

/// The handshake over HTTP/2 (RFC 8441, section 5): a CONNECT that names the protocol.
fn check_connect<B>(request: &Request<B>) -> Result<(), Refusal> {
    let protocol = request.extensions().get::<Protocol>();
    if request.method() != Method::CONNECT || protocol.is_none_or(|p| p.as_str() != "websocket") {
        let message = "over HTTP/2 a WebSocket handshake is a CONNECT with :protocol websocket";
        return Err(wrong_version(message));
    }
    check_version(request.headers())
}

/// The handshake over HTTP/1.1 (RFC 6455, section 4.2.1); gives the proof that it was understood.
fn check_upgrade<B>(request: &Request<B>) -> Result<HeaderValue, Refusal> {
    if request.method() != Method::GET {
        let fault = Fault::invalid_argument("WRONG_METHOD", "a WebSocket handshake is a GET");
        let allow = (ALLOW, HeaderValue::from_static("GET"));
        return Err(Refusal(fault.with_status(405), vec![allow]));
    }
    check_headers(request.headers())
}

fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    if only(headers, &SEC_WEBSOCKET_VERSION).is_some_and(|version| version == VERSION) {
        return Ok(());
    }
    let known = (SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
    Err(upgrade_required("only version 13 of WebSocket is spoken", vec![known]))
}

fn check_headers(headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        return Err(upgrade_required("only WebSocket is served at this path", Vec::new()));
    }
    check_version(headers)?;
    let accept = only(headers, &SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key.as_bytes()))
        .and_then(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok());
    accept.ok_or_else(|| {
        let message = "Sec-WebSocket-Key is to be given once, with 16 bytes in base64";
        Refusal(Fault::invalid_argument("NO_WEBSOCKET_KEY", message), Vec::new())
    })
}

/// 426 (RFC 9110, section 15.5.22).
fn upgrade_required(message: &'static str, mut headers: Vec<(HeaderName, HeaderValue)>) -> Refusal {
    let ours = [(UPGRADE, "websocket"), (CONNECTION, "upgrade")];
    headers.extend(ours.map(|(name, value)| (name, HeaderValue::from_static(value))));
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

fn switching(Accepted { proof, agreed, .. }: &Accepted) -> Response<ResponseBody> {
    let mut response = match proof {
        Some(proof) => upgrading(proof.clone()),
        None => status(StatusCode::OK),
    };
    let agreed = agreed.iter().map(|agreed| (SEC_WEBSOCKET_PROTOCOL, agreed.clone()));
    response.headers_mut().extend(agreed);
    response
}

fn upgrading(proof: HeaderValue) -> Response<ResponseBody> {
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, proof);
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
        check(&WebSocketSettings::default(), stopped, request)
            .err()
            .map(|Refusal(fault, _)| fault.status())
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
