//! One HTTP call from request to response, without a socket: through the whole chain, and by hand in
//! an axum handler that does the same (request id, one guard, binding, validation, envelope). The
//! chain has an interceptor besides.

use std::convert::Infallible;

use async_trait::async_trait;
use axum::{
    Json, Router,
    body::Body,
    extract::{Query, rejection::QueryRejection},
    response::{IntoResponse, Response},
    routing::get,
};
use garde::Validate;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use polyport::{
    Context, Fault,
    container::ContainerBuilder,
    operation::{Input, Interceptor, Next, OperationExt, Reply},
    wire::EnvelopeStyle,
};
use polyport_http::{HttpSettings, IntoService, OperationService};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;
use uuid::Uuid;

use crate::turn::{Turn, now, turn};

/// All of them, in their order.
pub(crate) const NAMES: [&str; 3] =
    ["axum: by hand", "polyport: the chain", "axum: a bare handler"];

/// The case of that name.
pub(crate) fn case(name: &str) -> Option<Turn> {
    let calls = Calls::new();
    Some(match name {
        "axum: by hand" => turn(move || calls.answer(calls.by_hand())),
        "polyport: the chain" => turn(move || calls.answer(calls.through_the_chain())),
        "axum: a bare handler" => turn(move || calls.answer(calls.bare())),
        _ => return None,
    })
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct GetUser {
    #[garde(length(min = 1, max = 64))]
    user_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct User {
    user_id: String,
    username: &'static str,
    age: u32,
}

fn user(query: GetUser) -> User {
    User { user_id: query.user_id, username: "Tom", age: 10 }
}

async fn get_user(Input(query): Input<GetUser>) -> Result<User, Fault> {
    Ok(user(query))
}

/// Goes on, as most interceptors do.
struct Passes;

#[async_trait]
impl Interceptor for Passes {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        next.run(context).await
    }
}

fn is_allowed(context: &Context) -> Result<(), Fault> {
    match context.metadata.contains_key("authorization") {
        true => Ok(()),
        false => Err(Fault::unauthenticated("NO_TOKEN", "the call carries no token")),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<T> {
    return_code: &'static str,
    data: T,
}

/// What an axum user writes.
async fn by_hand(headers: HeaderMap, query: Result<Query<GetUser>, QueryRejection>) -> Response {
    let id = match headers.get("x-request-id") {
        Some(id) => id.clone(),
        None => HeaderValue::try_from(Uuid::now_v7().to_string())
            .unwrap_or(HeaderValue::from_static("-")),
    };
    if !headers.contains_key("authorization") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(Query(query)) = query else { return StatusCode::BAD_REQUEST.into_response() };
    if query.validate().is_err() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let body = Envelope { return_code: "SUC00000", data: user(query) };
    let mut response = Json(body).into_response();
    response.headers_mut().insert("x-request-id", id);
    response
}

async fn bare() -> &'static str {
    "hello"
}

/// All of them, ready to be called; each tells how many bytes its answer has.
struct Calls {
    runtime: Runtime,
    chain: OperationService,
    router: Router,
}

impl Calls {
    #[allow(clippy::expect_used, reason = "a benchmark that cannot begin ends")]
    fn new() -> Self {
        let container = ContainerBuilder::new().build().expect("fits together");
        let settings =
            HttpSettings { envelope: EnvelopeStyle::ReturnCode, ..HttpSettings::default() };
        let chain = get_user
            .pipeline(|p| p.guard(is_allowed).interceptor(Passes))
            .into_service(&container, &settings);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let chain = runtime.block_on(chain).expect("can be served");
        let router = Router::new().route("/users", get(by_hand)).route("/hello", get(bare));
        Self { runtime, chain, router }
    }

    /// The chain has a deadline, whose clock is the runtime's.
    fn answer(&self, call: impl Future<Output = usize>) -> usize {
        let _inside = self.runtime.enter();
        now(call)
    }

    async fn through_the_chain(&self) -> usize {
        size(self.chain.clone().oneshot(request("/users?userId=tom")).await).await
    }

    async fn by_hand(&self) -> usize {
        size(self.router.clone().oneshot(request("/users?userId=tom")).await).await
    }

    async fn bare(&self) -> usize {
        size(self.router.clone().oneshot(request("/hello")).await).await
    }
}

fn request(path: &'static str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static(path);
    let headers = request.headers_mut();
    headers.insert("host", HeaderValue::from_static("localhost"));
    headers.insert("authorization", HeaderValue::from_static("Bearer x"));
    headers
        .insert("x-request-id", HeaderValue::from_static("0190c5d4-7a5c-7c6f-8000-1f2e3d4c5b6a"));
    request
}

#[allow(clippy::expect_used, reason = "a benchmark that cannot go on ends")]
async fn size<B>(answer: Result<Response<B>, Infallible>) -> usize
where
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    let Ok(response) = answer;
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.expect("is read").to_bytes().len()
}
