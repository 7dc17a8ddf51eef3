//! The call, in three ways.

use std::{convert::Infallible, future::Future, pin::Pin};

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
use tower::ServiceExt;
use uuid::Uuid;

/// How many bytes the answer has.
pub(crate) type Answer = Pin<Box<dyn Future<Output = usize>>>;

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

/// All of them, ready to be called.
pub(crate) struct Calls {
    chain: OperationService,
    router: Router,
}

impl Calls {
    #[allow(clippy::expect_used, reason = "a benchmark that cannot go on ends")]
    pub(crate) async fn new() -> Self {
        let container = ContainerBuilder::new().build().expect("fits together");
        let settings =
            HttpSettings { envelope: EnvelopeStyle::ReturnCode, ..HttpSettings::default() };
        let chain = get_user
            .pipeline(|p| p.guard(is_allowed).interceptor(Passes))
            .into_service(&container, &settings)
            .await
            .expect("can be served");
        let router = Router::new().route("/users", get(by_hand)).route("/hello", get(bare));
        Self { chain, router }
    }

    pub(crate) fn through_the_chain(&self) -> Answer {
        let answer = self.chain.clone().oneshot(request("/users?userId=tom"));
        Box::pin(async { size(answer.await).await })
    }

    pub(crate) fn by_hand(&self) -> Answer {
        let answer = self.router.clone().oneshot(request("/users?userId=tom"));
        Box::pin(async { size(answer.await).await })
    }

    pub(crate) fn bare(&self) -> Answer {
        let answer = self.router.clone().oneshot(request("/hello"));
        Box::pin(async { size(answer.await).await })
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
