//! What operations see of a request, where they are served, and in which programs.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use futures_util::TryStreamExt;
use polyport_bootstrap::{
    Bootstrap, Fault, Module, ModuleBuilder, Result,
    container::Container,
    operation::{BodyStream, Context, Inject, Input, OperationExt},
    testing::create_bootstrap,
};
use polyport_http::{
    HttpFramework, HttpRequest, HttpRoutes, HttpSettings, IntoService,
    testing::{HttpClient, HttpTest},
};
use serde::Deserialize;
use serde_json::{Value, json};
use support::{Post, Raw, bootstrap, hello, post, refused, serve, within};
use tokio::{net::TcpListener, sync::oneshot};

async fn whoami(request: HttpRequest) -> Result<Value, Fault> {
    Ok(json!({
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "version": format!("{:?}", request.version()),
        "route": request.route(),
        "has_peer": request.peer_addr().is_some_and(|peer| peer.ip().is_loopback()),
        "agent": request.headers().get("user-agent").and_then(|agent| agent.to_str().ok()),
    }))
}

#[tokio::test]
async fn an_operation_sees_the_request() {
    within(async {
        let app = serve(|r| r.put("/users/{id}", whoami)).await;
        let reply = app.http().put("/users/7?x=1").header("user-agent", "test").await;
        assert_eq!(
            reply.json::<Value>(),
            json!({
                "method": "PUT", "uri": "/users/7?x=1", "version": "HTTP/1.1",
                "route": "/users/{id}", "has_peer": true, "agent": "test",
            })
        );
    })
    .await;
}

#[derive(Deserialize, garde::Validate)]
#[garde(allow_unvalidated)]
struct Upload {
    name: String,
}

async fn upload(Input(upload): Input<Upload>, body: BodyStream) -> Result<String, Fault> {
    let length = body.try_fold(0, async |sum, bytes| Ok(sum + bytes.len())).await?;
    Ok(format!("{} {length}", upload.name))
}

#[tokio::test]
async fn a_body_comes_bit_by_bit_within_its_limits() {
    within(async {
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let app = create_bootstrap(bootstrap(move |r: HttpRoutes| {
            let sender = Arc::clone(&sender);
            r.post("/uploads/{name}", upload).post("/first", async move |mut body: BodyStream| {
                let first = body.try_next().await?.unwrap_or_default();
                let sender = sender.lock().ok().and_then(|mut sender| sender.take());
                let _ = sender.map(|sender| sender.send(first));
                body.collect().await.map(|rest| rest.len())
            })
        }))
        .config("http.body_limit", 1000)
        .config("http.timeout", "1s")
        .await
        .expect("it starts");

        let request = app.http().post("/uploads/cat").body("image/png", "x".repeat(1000));
        assert_eq!(request.await.json::<String>(), "cat 1000", "whatever its type");
        let request = app.http().post("/uploads/cat").body("image/png", "x".repeat(1001));
        assert_eq!(request.await.status(), 413);
        assert_eq!(app.http().post("/uploads/cat").await.json::<String>(), "cat 0");

        let mut raw = Raw::connect(&app).await;
        raw.send(
            "POST /first HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        )
        .await;
        let first = receiver.await.expect("the operation has begun");
        assert_eq!(first, "abc", "before the rest was sent");
        raw.send("2\r\nde\r\n0\r\n\r\n").await;
        assert_eq!(raw.reply().await.body, "2");

        let mut raw = Raw::connect(&app).await;
        let piece = format!("1f4\r\n{}\r\n", "x".repeat(500)).repeat(3);
        let head = "POST /uploads/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        raw.send(format!("{head}{piece}0\r\n\r\n")).await;
        assert_eq!(raw.reply().await.status(), 413, "its length was not announced");

        let mut raw = Raw::connect(&app).await;
        raw.send(format!("{head}3\r\nabc\r\n")).await;
        assert!(matches!(raw.reply().await.status(), 408 | 504), "it never ends");
    })
    .await;
}

#[tokio::test]
async fn a_client_shortens_the_time_of_a_call_and_does_not_lengthen_it() {
    within(async {
        let never = async || {
            std::future::pending::<()>().await;
            Ok::<_, Fault>(())
        };
        let left = async |context: polyport_bootstrap::operation::Ctx| {
            let left = context.deadline.map(|at| at.duration_since(tokio::time::Instant::now()));
            Ok::<_, Fault>(left.unwrap_or_default().as_millis() as u64)
        };
        let app = serve(move |r| r.get("/never", never).get("/left", left)).await;
        let ask = |path, ms| app.http().get(path).header("x-request-timeout-ms", ms);
        let reply = ask("/never", "10").await;
        assert_eq!(reply.status(), 504);
        let over = ask("/left", "0").await;
        assert_eq!(
            (over.status(), &over.json::<Value>()["reason"]),
            (http::StatusCode::GATEWAY_TIMEOUT, &json!("DEADLINE_EXCEEDED"))
        );
        let left = ask("/left", "99999999").await.json::<u64>();
        assert!(left <= 30_000, "{left}");
        assert!(ask("/left", "5000").await.json::<u64>() <= 5000);
        for invalid in ["", "-1", "1s", "+1", "99999999999999999999999"] {
            let reply = ask("/left", invalid).await;
            assert_eq!(reply.status(), 400, "{invalid:?}");
            assert_eq!(reply.json::<Value>()["reason"], "MALFORMED_TIMEOUT");
        }
    })
    .await;
}

#[tokio::test]
async fn prefixes_stand_before_all_that_modules_register() {
    within(async {
        let routes = |r: HttpRoutes| {
            r.get("/hello", hello).prefix("/v1", |r| {
                r.get("/", hello).post("/rooms/{room}", post).prefix("/deep", |r| {
                    let pages = Router::new().route("/a", axum::routing::get(async || "a"));
                    r.get("/hello", hello).mount("/pages", pages)
                })
            })
        };
        let app = create_bootstrap(bootstrap(routes)).config("http.prefix", "/api").await;
        let app = app.expect("it starts");
        let status = async |path| app.http().get(path).await.status().as_u16();
        for path in
            ["/api/hello", "/api/v1", "/api/v1/deep/hello", "/api/v1/deep/pages/a", "/health/live"]
        {
            assert_eq!(status(path).await, 200, "{path}");
        }
        for path in ["/hello", "/v1", "/api/v1/hello", "/api/health/live"] {
            assert_eq!(status(path).await, 404, "{path}");
        }
        let reply = app.http().post("/api/v1/rooms/a").json(&json!({ "from": "tom" })).await;
        assert_eq!(reply.json::<Post>().room, "a");
        let routes: Vec<_> = app.exposures().all().into_iter().map(|e| e.route).collect();
        for route in ["GET /api/v1", "POST /api/v1/rooms/{room}", "ANY /api/v1/deep/pages/*"] {
            assert!(routes.iter().any(|known| known == route), "{route} in {routes:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_no_prefix_does_not_start() {
    within(async {
        for prefix in ["v1", "/a/{*rest}"] {
            let error = refused(bootstrap(move |r| r.prefix(prefix, |r| r.get("/", hello)))).await;
            assert!(format!("{error:?}").contains("is no prefix of paths"), "{error:?}");
        }
        let app = create_bootstrap(bootstrap(|r| r)).config("http.prefix", "api/").await;
        assert!(format!("{:?}", app.expect_err("malformed")).contains("write it like /api"));
    })
    .await;
}

struct Greeting(&'static str);

struct Greetings;

impl Module for Greetings {
    fn name(&self) -> &'static str {
        "greetings"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::new(Greeting("hello")));
        Ok(())
    }
}

async fn greet(greeting: Inject<Greeting>, Input(post): Input<Post>) -> Result<String, Fault> {
    Ok(format!("{} {} in {}", greeting.0.0, post.from, post.room))
}

/// Serves a router as any axum program does.
async fn serve_axum(router: Router) -> HttpClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    HttpClient::new(address)
}

#[tokio::test]
async fn an_operation_with_its_chain_is_served_by_any_axum_program() {
    within(async {
        let bootstrap = Bootstrap::new().load(HttpFramework::new()).module(Greetings);
        let app = create_bootstrap(bootstrap).await.expect("it starts");
        let container: &Container = app.container();
        let settings =
            HttpSettings { timeout: Duration::from_millis(50), ..HttpSettings::default() };
        let guarded = greet.pipeline(|p| {
            p.guard(|context: &Context| match context.metadata.get("x-key") {
                Some(_) => Ok(()),
                None => Err(Fault::unauthenticated("NO_KEY", "a key is missing")),
            })
        });
        let service = guarded.into_service(container, &settings).await.expect("it fits");
        let never = async || {
            std::future::pending::<()>().await;
            Ok::<_, Fault>(())
        };
        let never = never.into_service(container, &settings).await.expect("it fits");
        let router = Router::new()
            .route_service("/rooms/{room}", service)
            .route_service("/never", never)
            .route("/own", axum::routing::get(async || "own"));
        let client = serve_axum(router).await;

        let call = || client.post("/rooms/the%20lobby").json(&json!({ "from": "tom" }));
        let reply = call().header("x-key", "1").header("x-request-id", "r-1").await;
        assert_eq!(reply.json::<String>(), "hello tom in the lobby");
        assert_eq!(reply.header("x-request-id"), Some("r-1"));
        let reply = call().await;
        assert_eq!(
            (reply.status().as_u16(), &reply.json::<Value>()["reason"]),
            (401, &json!("NO_KEY"))
        );
        let reply =
            client.post("/rooms/a").header("x-key", "1").body("application/json", "{").await;
        assert_eq!(reply.status(), 400);
        assert_eq!(client.get("/never").await.status(), 504);
        assert_eq!(client.get("/own").await.text(), "own");
    })
    .await;
}

#[tokio::test]
async fn what_nobody_provides_makes_no_service() {
    within(async {
        let app = create_bootstrap(bootstrap(|r| r)).await.expect("it starts");
        let made = greet.into_service(app.container(), &HttpSettings::default()).await;
        let error = made.expect_err("nobody provides the greeting");
        assert!(format!("{error:?}").contains("Greeting"), "{error:?}");
    })
    .await;
}
