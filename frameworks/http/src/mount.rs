//! Routers of axum and folders of files, on their way into the table.

use std::{
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
};

use axum::{Router, body::Body};
use futures_util::{
    FutureExt,
    future::{Ready, ready},
};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, uri::PathAndQuery};
use polyport_bootstrap::{
    Error,
    operation::{Endpoint, Fault, Reply, ReplyBody},
};
use tower::{Layer, Service};

use crate::{
    StaticFiles, dispatch::wrong_method, files::MountedFiles, refusal::Refusal, request::Place,
    table,
};

/// What is registered for all paths below a prefix.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) prefix: String,
    pub(crate) endpoint: Endpoint,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// A router, and where its endpoint looks for it, once it is ready.
    Router(Router, Arc<OnceLock<Router>>),
    Files(Arc<MountedFiles>),
}

impl Mount {
    pub(crate) fn router(prefix: &str, router: Router) -> Self {
        let slot = Arc::new(OnceLock::new());
        let endpoint = endpoint(&slot);
        Self { prefix: prefix.to_owned(), endpoint, content: Content::Router(router, slot) }
    }

    pub(crate) fn files(prefix: &str, files: StaticFiles) -> Self {
        let files = MountedFiles::new(files);
        let endpoint = files.endpoint();
        Self { prefix: prefix.to_owned(), endpoint, content: Content::Files(files) }
    }

    /// The paths that it answers: `/pages/*`.
    pub(crate) fn pattern(&self) -> String {
        format!("{}/*", self.prefix.trim_end_matches('/'))
    }

    /// Makes it ready for its place, which fits.
    pub(crate) fn settle(self, prefix: &str, base: &Path) -> Result<Endpoint, Error> {
        match self.content {
            Content::Router(router, slot) => {
                let _ = slot.set(prepare(prefix, router));
            }
            Content::Files(files) => files.settle(prefix, base)?,
        }
        Ok(self.endpoint)
    }
}

/// A mount at its place, with what stands around it.
pub(crate) struct Mounted {
    pub(crate) endpoint: Endpoint,
    pub(crate) place: Arc<Place>,
}

/// As an extension of a call: the request on its way to a mounted router, and what comes back.
pub(crate) struct NativeCall {
    request: Mutex<Option<Request<Body>>>,
    response: Mutex<Option<Response<Body>>>,
    /// The methods by which the table has the path.
    allow: Option<HeaderValue>,
}

impl NativeCall {
    pub(crate) fn new(request: Request<Body>, allow: Option<HeaderValue>) -> Self {
        Self { request: Mutex::new(Some(request)), response: Mutex::new(None), allow }
    }

    /// What the router has answered, if it was asked.
    pub(crate) fn response(&self) -> Option<Response<Body>> {
        self.response.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn request(&self) -> Option<Request<Body>> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the table has the path, by other methods.
    pub(crate) fn is_known(&self) -> bool {
        self.allow.is_some()
    }

    /// Answers a call by a method that its path does not have: what is allowed is what the table
    /// has, and `own`.
    pub(crate) fn wrong_method(
        &self,
        method: &Method,
        own: Option<&HeaderValue>,
    ) -> Result<Reply, Fault> {
        const NONE: HeaderValue = HeaderValue::from_static("");
        wrong_method(method, table::united(self.allow.as_ref().unwrap_or(&NONE), own))
    }

    /// Keeps the router's response, but where it says that nothing is served.
    fn answer(&self, method: &Method, response: Response<Body>) -> Result<Reply, Fault> {
        let is_unrouted = is_unrouted(&response);
        match &self.allow {
            Some(_) if is_unrouted || response.status() == StatusCode::METHOD_NOT_ALLOWED => {
                self.wrong_method(method, response.headers().get(header::ALLOW))
            }
            _ if is_unrouted => Err(Refusal::unknown_path()),
            _ => {
                *self.response.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
                Ok(Reply::new(ReplyBody::Native))
            }
        }
    }
}

/// The endpoint of a router that is put in `slot` when its place is known.
fn endpoint(slot: &Arc<OnceLock<Router>>) -> Endpoint {
    let slot = Arc::clone(slot);
    Endpoint::native("axum router", move |context| {
        let router = slot.get().cloned();
        async move {
            let native = context.extension::<Arc<NativeCall>>();
            let request = native.and_then(|native| Some((native, native.request()?)));
            let (Some(mut router), Some((native, mut request))) = (router, request) else {
                return Err(Error::other("the call has been answered already").into());
            };
            request.extensions_mut().insert(context.clone());
            let method = request.method().clone();
            let Ok(response) = router.call(request).await;
            native.answer(&method, response)
        }
        .boxed()
    })
}

/// As an extension of a response: no handler of the router has seen the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unrouted;

/// The paths that a router mounted under `prefix` (without a slash at its end) answers.
pub(crate) fn patterns(prefix: &str) -> impl Iterator<Item = String> {
    let bare = (!prefix.is_empty()).then(|| prefix.to_owned());
    bare.into_iter().chain([format!("{prefix}/"), format!("{prefix}/{{*mounted}}")])
}

/// Nests the router under its prefix, and marks what it does not know.
fn prepare(prefix: &str, router: Router) -> Router {
    if !prefix.is_empty() {
        return under(prefix, router);
    }
    if has_own_fallback(&router) { router } else { router.fallback(unrouted) }
}

fn under(prefix: &str, router: Router) -> Router {
    // axum refuses segments that begin with `:` or `*`, which are literal ones here.
    Router::new().without_v07_checks().nest(prefix, router).fallback(unrouted)
}

async fn unrouted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.extensions_mut().insert(Unrouted);
    response
}

/// Whether the router answers what it does not know by itself, which axum tells nobody: nested
/// routers without a fallback use that of the outer one, so a request for nothing shows it.
fn has_own_fallback(router: &Router) -> bool {
    let mut probe = under("/probe", router.clone().layer(Intercept));
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static("/probe/-/-/-/-/-/-/-/-");
    let reply = probe.call(request).now_or_never();
    !reply.is_some_and(|reply| reply.is_ok_and(|reply| is_unrouted(&reply)))
}

/// Gives a URI this path, which is its own in its normal form.
pub(crate) fn rewrite(uri: &mut Uri, path: &str) {
    let whole = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = whole.ok();
    if let Ok(normal) = Uri::from_parts(parts) {
        *uri = normal;
    }
}

/// Whether no handler of the router has seen the request.
fn is_unrouted<B>(response: &Response<B>) -> bool {
    response.extensions().get::<Unrouted>().is_some()
}

/// Stands before every handler of a router, so that none of them runs.
#[derive(Debug, Clone, Copy)]
struct Intercept;

impl<S> Layer<S> for Intercept {
    type Service = Self;

    fn layer(&self, _: S) -> Self {
        Self
    }
}

impl Service<Request<Body>> for Intercept {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    async fn never() -> StatusCode {
        unreachable!("the probe must not run it")
    }

    #[test]
    fn a_fallback_of_ones_own_is_found_without_running_anything() {
        let router = Router::new().route("/a", get(never));
        assert!(!has_own_fallback(&router));
        assert!(!has_own_fallback(&Router::new().nest("/b", router.clone())));
        let fallback = router.fallback(never);
        assert!(has_own_fallback(&fallback));
        assert!(has_own_fallback(&Router::new().fallback_service(Intercept)));
    }

    #[test]
    fn a_uri_keeps_what_is_not_its_path() {
        for (given, normal) in [("/%62?x=%62", "/b?x=%62"), ("http://a:1/%62", "http://a:1/b")] {
            let mut uri = Uri::from_static(given);
            rewrite(&mut uri, "/b");
            assert_eq!(uri, normal);
        }
    }

    #[test]
    fn a_mount_reaches_over_its_prefix_and_all_below() {
        let of = |prefix| patterns(prefix).collect::<Vec<_>>();
        assert_eq!(of("/a"), ["/a", "/a/", "/a/{*mounted}"]);
        assert_eq!(of(""), ["/", "/{*mounted}"]);
    }
}
