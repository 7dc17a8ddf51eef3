//! gRPC-Web ("PROTOCOL-WEB"): gRPC for those who cannot read trailers, such as browsers.

use std::{convert::Infallible, sync::Arc};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        CONTENT_TYPE, ORIGIN, VARY,
    },
};
use polyport_listener::{RequestBody, ResponseBody};
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer, ServiceExt, service_fn};

use crate::{
    GrpcSettings,
    handler::{Asked, GrpcHandler},
};

/// What every client of gRPC-Web sends, so that a preflight (Fetch standard, section 3.2.2) asks
/// for it.
const X_GRPC_WEB: &[u8] = b"x-grpc-web";

/// What pages may read of an answer: all that is no secret of the browser's.
const EXPOSED: &str = "grpc-status, grpc-message, grpc-status-details-bin, x-request-id, *";

/// Translates between gRPC-Web and gRPC.
pub(crate) struct Web {
    origins: Vec<HeaderValue>,
    any_origin: bool,
}

impl Web {
    /// None where it is not asked for.
    pub(crate) fn new(settings: &GrpcSettings) -> Option<Self> {
        settings.web.then(|| Self {
            origins: settings.web_origins.iter().filter_map(|origin| origin.parse().ok()).collect(),
            any_origin: settings.web_origins.iter().any(|origin| origin == "*"),
        })
    }

    /// Whether a request is of gRPC-Web.
    pub(crate) fn speaks<B>(&self, request: &Request<B>) -> bool {
        has_type(request, b"application/grpc-web") || is_preflight(request)
    }

    pub(crate) async fn answer(
        self: Arc<Self>,
        handler: Arc<GrpcHandler>,
        request: Request<RequestBody>,
    ) -> Response<ResponseBody> {
        let origin = request.headers().get(ORIGIN).filter(|origin| self.allows(origin)).cloned();
        let mut response = match *request.method() {
            Method::OPTIONS => permission(request.headers(), origin.is_some()),
            _ => translated(&handler, request).await,
        };
        if let Some(origin) = origin {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
        response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
        response
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.any_origin || self.origins.contains(origin)
    }
}

async fn translated(
    handler: &GrpcHandler,
    request: Request<RequestBody>,
) -> Response<ResponseBody> {
    let inner = service_fn(async |mut request: Request<Body>| {
        // Frames are made of its messages in whatever version it came.
        *request.version_mut() = Version::HTTP_2;
        Ok::<_, Infallible>(handler.answer(Asked::Layered(request)).await)
    });
    let Ok(response) = GrpcWebLayer::new().layer(inner).oneshot(request).await;
    response.map(ResponseBody::boxed)
}

/// The answer to a preflight.
fn permission(asked: &HeaderMap, is_allowed: bool) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if is_allowed {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
        if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
    }
    response
}

/// Whether a browser asks if a page may call by gRPC-Web.
pub(crate) fn is_preflight<B>(request: &Request<B>) -> bool {
    let asked = || request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS);
    request.method() == Method::OPTIONS
        && asked().is_some_and(|names| {
            let mut names = names.as_bytes().split(|byte| *byte == b',');
            names.any(|name| name.trim_ascii().eq_ignore_ascii_case(X_GRPC_WEB))
        })
}

/// Whether a request says that it is of gRPC, in whatever form.
pub(crate) fn has_grpc_type<B>(request: &Request<B>) -> bool {
    has_type(request, b"application/grpc")
}

fn has_type<B>(request: &Request<B>, beginning: &[u8]) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type
        .and_then(|text| text.get(..beginning.len()))
        .is_some_and(|text| text.eq_ignore_ascii_case(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, name: http::HeaderName, value: &str) -> Request<()> {
        let request = Request::builder().method(method).header(name, value);
        request.body(()).expect("a request")
    }

    #[test]
    fn what_is_of_grpc_is_told_by_its_type() {
        for text in ["application/grpc", "Application/gRPC+proto", "application/grpc-web-text"] {
            assert!(has_grpc_type(&request(Method::POST, CONTENT_TYPE, text)), "{text}");
        }
        for text in ["application/json", "application/grp", ""] {
            assert!(!has_grpc_type(&request(Method::POST, CONTENT_TYPE, text)), "{text}");
        }
    }

    #[test]
    fn a_preflight_is_told_by_the_headers_that_it_asks_for() {
        let asks = |method, names: &str| {
            is_preflight(&request(method, ACCESS_CONTROL_REQUEST_HEADERS, names))
        };
        assert!(asks(Method::OPTIONS, "content-type,X-Grpc-Web"));
        assert!(!asks(Method::OPTIONS, "content-type") && !asks(Method::POST, "x-grpc-web"));
    }
}
