//! Answers the requests of the listener.

use std::{future::ready, sync::Arc};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ALLOW, CONTENT_TYPE},
};
use polyport_bootstrap::operation::{Endpoint, RequestId};
use polyport_listener::{Client, ErasedHandler, HandlerFuture, RequestBody, ResponseBody};
use tokio::time::Instant;
use tonic::body::Body;

use crate::{
    layers::Layers,
    service,
    shared::Shared,
    table::{Found, Table},
    unknown,
    web::Web,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Tells gRPC from what is not, and gives every answer its request id.
pub(crate) struct GrpcHandler {
    pub(crate) calls: Arc<Calls>,
    /// None where there are none, which is free.
    pub(crate) layers: Option<Layers>,
    /// None where only gRPC itself is spoken.
    pub(crate) web: Option<Arc<Web>>,
}

/// Finds who answers a call.
pub(crate) struct Calls {
    pub(crate) table: Table,
    /// Answers calls of what is not there.
    pub(crate) fallback: Endpoint,
    pub(crate) shared: Arc<Shared>,
}

/// What a call is known by, before anybody has looked what it asks for.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) id: RequestId,
    /// When its request had come in.
    pub(crate) at: Instant,
    /// None where the extensions of the request tell.
    pub(crate) client: Option<Arc<Client>>,
}

impl Caller {
    /// The caller of another program's request.
    pub(crate) fn foreign(headers: &HeaderMap) -> Self {
        let at = Instant::now();
        Self { id: request_id(headers, at), at, client: None }
    }
}

/// A request, as it came, or as a layer or gRPC-Web has passed it on with its client among its
/// extensions.
pub(crate) enum Asked {
    Own(Request<RequestBody>, Arc<Client>),
    Layered(Request<Body>),
}

/// The future of an answer is boxed once, by whoever gives it: none carries room for another.
impl ErasedHandler for GrpcHandler {
    fn handle_erased(
        self: Arc<Self>,
        request: Request<RequestBody>,
        client: &Arc<Client>,
    ) -> HandlerFuture {
        // A stream may have nothing to say for hours.
        let mut request = request.map(RequestBody::at_any_rate);
        match &self.web {
            Some(web) if web.speaks(&request) => {
                client.introduce(request.extensions_mut());
                Box::pin(Arc::clone(web).answer(Arc::clone(&self), request))
            }
            _ => self.answer(Asked::Own(request, Arc::clone(client))),
        }
    }
}

impl GrpcHandler {
    /// Answers a request of gRPC.
    pub(crate) fn answer(&self, asked: Asked) -> HandlerFuture {
        if let Err(refusal) = self.admit(&asked) {
            return Box::pin(ready(refusal.into()));
        }
        let at = asked.at();
        let id = request_id(asked.headers(), at);
        match &self.layers {
            None => self.calls.answer(asked, id, at),
            Some(layers) => layers.answer(Arc::clone(&self.calls.shared), asked.boxed(), id),
        }
    }

    fn admit(&self, asked: &Asked) -> Result<(), Refusal> {
        let is_method = || matches!(self.calls.table.find(asked.path()), Ok(Found::Method(_)));
        match asked.format()? {
            Format::Other if is_method() => Err(Refusal::NotProtobuf),
            Format::Other | Format::Protobuf => Ok(()),
        }
    }
}

impl Calls {
    /// Answers a call, and says which one it was.
    pub(crate) fn answer(
        self: &Arc<Self>,
        asked: Asked,
        id: RequestId,
        at: Instant,
    ) -> HandlerFuture {
        let shared = Arc::clone(&self.shared);
        match (self.table.find(asked.path()), asked) {
            (Ok(Found::Method(method)), Asked::Own(request, client)) => {
                let caller = Caller { id, at, client: Some(client) };
                Arc::clone(method).serve(shared, caller, request)
            }
            (Ok(Found::Method(method)), Asked::Layered(request)) => {
                let caller = Caller { id, at, client: None };
                Arc::clone(method).serve_foreign(shared, caller, request)
            }
            (Ok(Found::Service(found)), Asked::Own(request, client)) => {
                let caller = Caller { id, at, client: Some(client) };
                service::serve(found.clone(), shared, caller, request.map(Body::new))
            }
            (Ok(Found::Service(found)), Asked::Layered(request)) => {
                let caller = Caller { id, at, client: None };
                service::serve(found.clone(), shared, caller, request)
            }
            (Err(unknown), asked) => {
                let (head, _) = asked.boxed().into_parts();
                unknown::refuse(self.fallback.clone(), shared, id, head, unknown)
            }
        }
    }
}

impl Asked {
    fn format(&self) -> Result<Format, Refusal> {
        match self {
            Self::Own(request, _) => format_of(request),
            Self::Layered(request) => format_of(request),
        }
    }

    fn headers(&self) -> &HeaderMap {
        match self {
            Self::Own(request, _) => request.headers(),
            Self::Layered(request) => request.headers(),
        }
    }

    /// When it had come in, or was passed on.
    fn at(&self) -> Instant {
        match self {
            Self::Own(request, _) => request.body().began(),
            Self::Layered(_) => Instant::now(),
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Own(request, _) => request.uri().path(),
            Self::Layered(request) => request.uri().path(),
        }
    }

    fn boxed(self) -> Request<Body> {
        match self {
            Self::Own(mut request, client) => {
                client.introduce(request.extensions_mut());
                request.map(Body::new)
            }
            Self::Layered(request) => request,
        }
    }
}

fn request_id(headers: &HeaderMap, at: Instant) -> RequestId {
    RequestId::from_peer_at(at, headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()))
}

/// Lets the answer say which call it belongs to.
pub(crate) fn identify<B>(response: &mut Response<B>, id: &RequestId) {
    if let Ok(mut id) = HeaderValue::from_str(id.as_str()) {
        // It never comes again: a place in HPACK's table would be taken from one that does.
        id.set_sensitive(true);
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

/// How the messages of a call are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `application/grpc` or `application/grpc+proto`.
    Protobuf,
    /// `application/grpc+json` and whatever else a service may have a codec for.
    Other,
}

/// Why a request is no gRPC call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NotHttp2,
    NotPost,
    NotGrpc,
    NotProtobuf,
}

fn format_of<B>(request: &Request<B>) -> Result<Format, Refusal> {
    if request.version() != Version::HTTP_2 {
        return Err(Refusal::NotHttp2);
    }
    if request.method() != Method::POST {
        return Err(Refusal::NotPost);
    }
    let content_type = request.headers().get(CONTENT_TYPE).ok_or(Refusal::NotGrpc)?;
    format_named(content_type.as_bytes()).ok_or(Refusal::NotGrpc)
}

/// `application/grpc`, alone, with the name of a format, or with parameters.
fn format_named(content_type: &[u8]) -> Option<Format> {
    const GRPC: &[u8] = b"application/grpc";
    let (media_type, rest) = content_type.split_at_checked(GRPC.len())?;
    if !media_type.eq_ignore_ascii_case(GRPC) {
        return None;
    }
    let end = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
    match rest[..end].trim_ascii_end() {
        b"" => Some(Format::Protobuf),
        format if format.eq_ignore_ascii_case(b"+proto") => Some(Format::Protobuf),
        [b'+', ..] => Some(Format::Other),
        _ => None,
    }
}

impl From<Refusal> for Response<ResponseBody> {
    fn from(refusal: Refusal) -> Self {
        let (status, text) = refusal.describe();
        let mut response = Response::new(ResponseBody::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if refusal == Refusal::NotPost {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

impl Refusal {
    fn describe(self) -> (StatusCode, &'static str) {
        match self {
            Self::NotHttp2 => (
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "This port speaks gRPC, which needs HTTP/2.\n",
            ),
            Self::NotPost => (
                StatusCode::METHOD_NOT_ALLOWED,
                "This port speaks gRPC, whose calls are POST requests.\n",
            ),
            Self::NotGrpc => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "This port speaks gRPC: the content-type has to be application/grpc.\n",
            ),
            Self::NotProtobuf => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "This method speaks protobuf: the content-type has to be application/grpc+proto.\n",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_of_grpc_are_known() {
        for text in ["application/grpc", "application/grpc+proto", "Application/GRPC; x=y"] {
            assert_eq!(format_named(text.as_bytes()), Some(Format::Protobuf), "{text}");
        }
        assert_eq!(format_named(b"application/grpc+json"), Some(Format::Other));
        for text in ["", "application/json", "application/grpc-web", "application/grpcx"] {
            assert_eq!(format_named(text.as_bytes()), None, "{text}");
        }
    }
}
