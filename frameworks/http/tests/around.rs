//! What stands around everything that HTTP answers.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::{Extension, Router, routing::get};
use http::{HeaderName, HeaderValue, Request};
use polyport_bootstrap::{
    Bootstrap, Fault,
    operation::{Context, Interceptor, Next, OperationKind, Reply},
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{HttpFramework, HttpRequest, HttpRoutes, testing::HttpTest};
use serde_json::{Value, json};
use support::{Post, hello, module, post, within};
use tower::util::MapRequestLayer;

/// Keeps what it has seen, and leaves a header.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn take(&self) -> Vec<String> {
        self.0.lock().map(|mut log| std::mem::take(&mut *log)).unwrap_or_default()
    }
}

#[async_trait]
impl Interceptor for Log {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let request = HttpRequest::of(context).expect("it is HTTP");
        let answer = next.run(context).await;
        let status = answer.as_ref().map_or_else(|fault| fault.status(), |_| 200);
        let line = format!("{} {} {}", request.method(), context.operation.name(), status);
        self.0.lock().expect("not poisoned").push(line);
        let (name, value) = (HeaderName::from_static("x-seen"), HeaderValue::from_static("1"));
        match answer {
            Ok(reply) => Ok(reply.with_header(name, value)),
            Err(fault) => Err(fault.with_header(name, value)),
        }
    }
}

struct User(&'static str);

fn only_with_a_token(context: &Context) -> Result<(), Fault> {
    if !context.metadata.contains_key("authorization") {
        return Err(Fault::unauthenticated("NO_TOKEN", "who are you?"));
    }
    context.set(User("tom"));
    Ok(())
}

fn pages() -> Router {
    let who = async |Extension(context): Extension<Context>| {
        context.value::<User>().map_or("nobody", |user| user.0)
    };
    Router::new().route("/who", get(who)).route(
        "/framed",
        get(async || ([("x-frame-options", "ALLOWALL"), ("set-cookie", "a=b")], "framed")),
    )
}

async fn guarded(log: &Log) -> TestApp {
    let log = log.clone();
    let routes =
        |r: HttpRoutes| r.get("/hello", hello).post("/posts/{room}", post).mount("/pages", pages());
    let bootstrap = Bootstrap::new()
        .load(HttpFramework::new())
        .module(module("test", routes))
        .pipeline(|p| p.middleware("log", log).guard(only_with_a_token));
    create_bootstrap(bootstrap).config("http.body_limit", 100).await.expect("it starts")
}

#[tokio::test]
async fn what_nothing_is_served_for_passes_the_middleware_and_no_guard() {
    within(async {
        let log = Log::default();
        let app = guarded(&log).await;
        let http = app.http();
        let mut lines = Vec::new();
        for (reply, status, line) in [
            (http.get("/nothing").await, 404, "GET fallback 404"),
            (http.delete("/hello").await, 405, "DELETE fallback 405"),
            (http.options("/hello").await, 204, "OPTIONS fallback 200"),
            (http.get("/hello").await, 401, "GET hello 401"),
            (http.get("/posts/%ff").await, 405, "GET fallback 405"),
            (http.post("/posts/%ff").await, 400, "POST post 400"),
            (http.post("/posts/a").json(&"x".repeat(101)).await, 413, "POST post 413"),
            (
                http.get("/hello").header("x-request-timeout-ms", "soon").await,
                400,
                "GET fallback 400",
            ),
            (
                http.get("/pages/nothing").header("authorization", "x").await,
                404,
                "GET axum router 404",
            ),
        ] {
            assert_eq!(reply.status(), status, "{line}");
            assert_eq!(reply.header("x-seen"), Some("1"), "{line}");
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{line}");
            assert!(reply.header("x-request-id").is_some(), "{line}");
            lines.push(line);
        }
        assert_eq!(log.take(), lines);
        let reply = http.delete("/hello").await;
        assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
    })
    .await;
}

#[tokio::test]
async fn a_mounted_router_stands_behind_the_guards_of_its_module() {
    within(async {
        let log = Log::default();
        let app = guarded(&log).await;
        let reply = app.http().get("/pages/who").await;
        assert_eq!(
            (reply.status().as_u16(), log.take()),
            (401, vec!["GET axum router 401".into()])
        );
        assert_eq!(reply.json::<Value>()["reason"], "NO_TOKEN");
        let reply = app.http().get("/pages/who").header("authorization", "x").await;
        assert_eq!((reply.text(), reply.header("x-seen")), ("tom", Some("1")));
        let reply = app.http().get("/pages/framed").header("authorization", "x").await;
        assert_eq!(reply.headers().get_all("x-frame-options").iter().count(), 1);
        assert_eq!(reply.header("x-frame-options"), Some("ALLOWALL"), "its own headers win");
        assert_eq!(reply.header("set-cookie"), Some("a=b"));
        assert_eq!(reply.header("referrer-policy"), Some("strict-origin-when-cross-origin"));
    })
    .await;
}

#[tokio::test]
async fn routers_and_the_fallback_stand_in_the_registry() {
    within(async {
        let app = guarded(&Log::default()).await;
        let all = app.exposures().all();
        let chain = |route: &str| -> (OperationKind, Vec<String>) {
            let exposure = all.iter().find(|e| e.route == route).expect(route);
            let plan = app.exposures().plan(exposure);
            let names = plan.stages().iter().map(|stage| stage.name().to_owned()).collect();
            (exposure.operation().kind(), names)
        };
        let (kind, names) = chain("ANY /pages/*");
        assert_eq!((kind, names.len()), (OperationKind::Native, 2));
        let (kind, names) = chain("(fallback)");
        assert_eq!(kind, OperationKind::Fallback);
        assert_eq!(names, ["log"]);
        assert_eq!(chain("GET /hello").1, ["log", "only_with_a_token"]);
    })
    .await;
}

#[tokio::test]
async fn native_layers_stand_around_everything_and_inside_of_the_shell() {
    within(async {
        let mark = |name: &'static str| {
            MapRequestLayer::new(move |mut request: Request<axum::body::Body>| {
                request.headers_mut().append("x-layers", HeaderValue::from_static(name));
                if request.uri().path() == "/panics" {
                    panic!("a layer's own");
                }
                request
            })
        };
        let layers = async |request: HttpRequest| {
            let names = request.headers().get_all("x-layers").iter();
            Ok::<_, Fault>(names.map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" "))
        };
        let app = create_bootstrap(
            Bootstrap::new()
                .load(HttpFramework::new().layer(mark("inner")).layer(mark("outer")))
                .module(module("test", move |r| {
                    r.get("/layers", layers).post("/posts/{room}", post)
                })),
        )
        .await
        .expect("it starts");
        let reply = app.http().get("/layers").header("x-request-id", "r-1").await;
        assert_eq!(reply.json::<String>(), r#""outer" "inner""#);
        assert_eq!(reply.header("x-request-id"), Some("r-1"));
        let reply = app.http().post("/posts/a").json(&json!({ "from": "tom" })).await;
        assert_eq!(reply.json::<Post>().from, "tom", "bodies pass through layers");
        let reply = app.http().get("/panics").await;
        assert_eq!(
            (reply.status().as_u16(), &reply.json::<Value>()["reason"]),
            (500, &json!("INTERNAL"))
        );
        assert_eq!(app.http().get("/nothing").await.status(), 404);
    })
    .await;
}
