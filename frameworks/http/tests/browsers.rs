//! What browsers are told: who may read an answer, and what to be careful about.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use axum::{Router, routing::get};
use http::HeaderValue;
use polyport_bootstrap::{
    Bootstrap, Fault,
    operation::{Context, Reply},
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{
    HttpFramework, HttpRoutes,
    testing::{HttpReply, HttpTest},
};
use serde_json::{Value, json};
use support::{bootstrap, hello, module, post, within};
use tower::util::MapRequestLayer;

fn only_with_a_token(context: &Context) -> Result<(), Fault> {
    match context.metadata.contains_key("authorization") {
        true => Ok(()),
        false => Err(Fault::unauthenticated("NO_TOKEN", "who are you?")),
    }
}

fn pages() -> Router {
    let own = [("access-control-allow-origin", "*"), ("x-frame-options", "DENY")];
    Router::new().route("/who", get("nobody")).route("/own", get(move || async move { (own, "") }))
}

const ORIGIN: &str = "https://app.example";

async fn shared(origins: Value) -> TestApp {
    let routes = |r: HttpRoutes| {
        r.get("/hello", hello).options("/own", hello).get("/own", hello).mount("/pages", pages())
    };
    let guard = |context: &Context| only_with_a_token(context);
    let bootstrap = bootstrap(routes).pipeline(move |p| p.guard(guard));
    let credentials = origins != json!(["*"]);
    let app = create_bootstrap(bootstrap).config("http.cors.origins", origins);
    app.config("http.cors.credentials", credentials).await.expect("it starts")
}

#[tokio::test]
async fn preflights_of_what_is_served_are_answered_before_any_guard() {
    within(async {
        let app = shared(json!([ORIGIN])).await;
        let ask = async |path: &str, origin: &str| {
            let request = app.http().options(path).header("origin", origin);
            request.header("access-control-request-method", "PUT").await
        };
        for path in ["/hello", "/own", "/pages/who"] {
            let reply = ask(path, ORIGIN).await;
            assert_eq!(reply.status(), 204, "{path}");
            assert_eq!(reply.header("access-control-allow-origin"), Some(ORIGIN));
            assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
            assert_eq!(reply.header("access-control-max-age"), Some("600"));
            let methods = reply.header("access-control-allow-methods");
            assert_eq!(methods, Some("GET, HEAD, POST, PUT, PATCH, DELETE"));
            let varies: Vec<_> = reply.headers().get_all("vary").iter().collect();
            assert!(varies.contains(&&HeaderValue::from_static("origin")), "{varies:?}");
        }
        let reply = ask("/hello", "https://evil.example").await;
        assert_eq!(reply.header("access-control-allow-origin"), None);
        assert_eq!(reply.header("access-control-allow-methods"), None);
        let reply = ask("/nothing", ORIGIN).await;
        assert_eq!(reply.status(), 404);
        assert_eq!(reply.header("access-control-allow-origin"), Some(ORIGIN), "pages may read it");
        let reply = app.http().options("/hello").header("origin", ORIGIN).await;
        assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"), "it is no preflight");
    })
    .await;
}

#[tokio::test]
async fn answers_and_faults_say_who_may_read_them() {
    within(async {
        let app = shared(json!([ORIGIN])).await;
        for (authorization, status) in [("x", 200), ("", 401)] {
            let mut request = app.http().get("/hello").header("origin", ORIGIN);
            if !authorization.is_empty() {
                request = request.header("authorization", authorization);
            }
            let reply = request.await;
            assert_eq!(reply.status(), status);
            assert_eq!(reply.header("access-control-allow-origin"), Some(ORIGIN));
            assert_eq!(reply.header("access-control-expose-headers"), Some("x-request-id"));
        }
        let reply = app.http().get("/hello").header("origin", "https://evil.example").await;
        assert_eq!(reply.header("access-control-allow-origin"), None);
        assert_eq!(reply.header("vary"), Some("origin"));
        let any = shared(json!(["*"])).await;
        let reply = any.http().get("/hello").header("origin", "https://evil.example").await;
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        assert_eq!(reply.header("vary"), None);
    })
    .await;
}

#[tokio::test]
async fn any_origin_with_credentials_does_not_start() {
    for anybody in ["*", "null", "https://*"] {
        let app = create_bootstrap(bootstrap(|r| r))
            .config("http.cors.origins", json!([anybody]))
            .config("http.cors.credentials", true);
        let error = app.await.expect_err("anybody could act for the user");
        assert!(format!("{error:?}").contains("name the origins"), "{error:?}");
    }
}

#[tokio::test]
async fn security_headers_are_as_they_are_set() {
    within(async {
        let framed = async || {
            let value = HeaderValue::from_static("DENY");
            Ok::<_, Fault>(Reply::json(1).with_header(http::header::X_FRAME_OPTIONS, value))
        };
        let routes = move |r: HttpRoutes| r.get("/hello", hello).get("/framed", framed);
        let app = create_bootstrap(bootstrap(routes))
            .config("http.security_headers.hsts", "1day")
            .config("http.security_headers.referrer_policy", "")
            .config("http.security_headers.frame_ancestors", "'none'")
            .await
            .expect("it starts");
        let reply = app.http().get("/hello").await;
        assert_eq!(reply.header("strict-transport-security"), Some("max-age=86400"));
        assert_eq!(reply.header("content-security-policy"), Some("frame-ancestors 'none'"));
        assert_eq!(reply.header("referrer-policy"), None);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let reply = app.http().get("/framed").await;
        assert_eq!(reply.headers().get_all("x-frame-options").iter().count(), 1);
        assert_eq!(reply.header("x-frame-options"), Some("DENY"));
        let off = create_bootstrap(bootstrap(|r| r.get("/hello", hello)));
        let off = off.config("http.security_headers.enabled", false).await.expect("it starts");
        assert_eq!(off.http().get("/hello").await.header("x-content-type-options"), None);
    })
    .await;
}

/// A page of another origin can tell what has happened.
fn assert_readable(reply: &HttpReply, status: u16, reason: &str) {
    assert_eq!(reply.status(), status, "{reply:?}");
    assert_eq!(reply.json::<Value>()["reason"], reason);
    assert_eq!(reply.header("access-control-allow-origin"), Some(ORIGIN), "{reply:?}");
    assert_eq!(reply.header("access-control-expose-headers"), Some("x-request-id"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{reply:?}");
    assert!(reply.header("x-request-id").is_some());
}

#[tokio::test]
async fn browsers_can_read_whatever_refuses_or_ends_a_call() {
    within(async {
        let slow = async || {
            std::future::pending::<()>().await;
            Ok::<_, Fault>(())
        };
        let panics = async || -> Result<(), Fault> { panic!("on purpose") };
        let routes = move |r: HttpRoutes| {
            r.get("/hello", hello)
                .get("/slow", slow)
                .get("/panics", panics)
                .post("/posts/{room}", post)
        };
        let layer = MapRequestLayer::new(|request: http::Request<axum::body::Body>| {
            assert!(request.uri().path() != "/layer", "on purpose");
            request
        });
        let bootstrap =
            Bootstrap::new().load(HttpFramework::new().layer(layer)).module(module("test", routes));
        let app = create_bootstrap(bootstrap)
            .config("http.cors.origins", json!([ORIGIN]))
            .config("http.body_limit", 10)
            .await
            .expect("it starts");
        let from = |request: polyport_http::testing::HttpRequest| request.header("origin", ORIGIN);
        let http = app.http();
        let slow = from(http.get("/slow")).header("x-request-timeout-ms", "10").await;
        assert_readable(&slow, 504, "DEADLINE_EXCEEDED");
        assert_readable(&from(http.get("/panics")).await, 500, "INTERNAL");
        assert_readable(&from(http.get("/layer")).await, 500, "INTERNAL");
        assert_readable(&from(http.get("/nothing")).await, 404, "ROUTE_NOT_FOUND");
        assert_readable(&from(http.delete("/hello")).await, 405, "METHOD_NOT_ALLOWED");
        let long = from(http.post("/posts/a")).json(&"x".repeat(11)).await;
        assert_readable(&long, 413, "BODY_TOO_LARGE");
    })
    .await;
}

#[tokio::test]
async fn browsers_can_read_a_429_and_preflights_are_not_counted() {
    within(async {
        let app = create_bootstrap(bootstrap(|r| r.put("/hello", hello)))
            .config("http.cors.origins", json!([ORIGIN]))
            .config("middleware.rate-limit.calls", 1)
            .config("middleware.rate-limit.per", "1h")
            .await
            .expect("it starts");
        for _ in 0..3 {
            let request = app.http().options("/hello").header("origin", ORIGIN);
            let reply = request.header("access-control-request-method", "PUT").await;
            assert_eq!(reply.status(), 204);
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
            assert!(reply.header("x-request-id").is_some());
        }
        assert_eq!(app.http().put("/hello").header("origin", ORIGIN).await.status(), 200);
        let refused = app.http().put("/hello").header("origin", ORIGIN).await;
        assert_readable(&refused, 429, "RATE_LIMITED");
        assert!(refused.header("retry-after").is_some());
    })
    .await;
}

#[tokio::test]
async fn a_routers_own_policy_is_not_mixed_with_the_frameworks() {
    within(async {
        let app = shared(json!([ORIGIN])).await;
        let reply = app.http().get("/pages/own").header("origin", ORIGIN);
        let reply = reply.header("authorization", "x").await;
        assert_eq!(reply.headers().get_all("access-control-allow-origin").iter().count(), 1);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        assert_eq!(reply.header("x-frame-options"), Some("DENY"));
    })
    .await;
}
