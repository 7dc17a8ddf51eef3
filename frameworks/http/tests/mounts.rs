//! Routers of axum beside operations.

mod support;

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use polyport_bootstrap::{Bootstrap, Fault, testing::create_bootstrap};
use polyport_http::{HttpFramework, HttpRoutes, testing::HttpTest};
use serde_json::Value;
use support::{Raw, bootstrap, hello, module, refused, serve, within};

fn pages() -> Router {
    Router::new()
        .route("/about", get(async || "about us"))
        .route("/path", get(async |request: Request| request.uri().to_string()))
        .route("/upload", post(async |body: Bytes| body.len().to_string()))
        .route("/gone", get(async || StatusCode::NOT_FOUND))
        .route(
            "/panics",
            get(async || {
                if true {
                    panic!("secret")
                }
            }),
        )
        .route("/never", get(async || std::future::pending::<()>().await))
        .route(
            "/id",
            get(async |request: Request| {
                request.headers()["x-request-id"].to_str().unwrap_or_default().to_owned()
            }),
        )
}

async fn any_user() -> Result<&'static str, Fault> {
    Ok("any_user")
}

#[tokio::test]
async fn a_router_answers_under_its_prefix_without_an_envelope() {
    within(async {
        let app = serve(|r| r.mount("/pages", pages()).get("/hello", hello)).await;
        let http = app.http();
        let reply = http.get("/pages/about").await;
        assert_eq!((reply.status().as_u16(), reply.text()), (200, "about us"));
        assert_eq!(http.get("/pages/path?x=1").await.text(), "/path?x=1");
        assert_eq!(http.get("/hello").await.json::<String>(), "hello");
        let reply = http.get("/pages/id").header("x-request-id", "r-1").await;
        assert_eq!((reply.text(), reply.header("x-request-id")), ("r-1", Some("r-1")));
        let reply = http.get("/pages/id").await;
        assert_eq!(reply.header("x-request-id"), Some(reply.text()), "a router sees new ids too");
        let reply = http.head("/pages/about").await;
        assert_eq!((reply.status().as_u16(), reply.header("content-length")), (200, Some("8")));
    })
    .await;
}

#[tokio::test]
async fn what_a_router_does_not_know_is_404_in_the_envelope() {
    within(async {
        for prefix in ["/pages", "/"] {
            let app = serve(move |r| r.mount(prefix, pages())).await;
            let path = |path| format!("{}/{path}", prefix.trim_end_matches('/'));
            let reply = app.http().get(&path("nothing")).await;
            assert_eq!(reply.status(), 404);
            assert_eq!(reply.json::<Value>()["reason"], "ROUTE_NOT_FOUND");
            let reply = app.http().get(&path("gone")).await;
            assert_eq!((reply.status().as_u16(), reply.text()), (404, ""), "a handler's own 404");
            let reply = app.http().delete(&path("about")).await;
            assert_eq!(reply.status(), 405);
            assert_eq!(reply.header("allow"), Some("GET,HEAD"), "a reply of axum's");
        }
    })
    .await;
}

#[tokio::test]
async fn a_routers_own_fallback_answers() {
    within(async {
        for prefix in ["/pages", "/"] {
            let app = serve(move |r| r.mount(prefix, pages().fallback(async || "fallback"))).await;
            let path = format!("{}/nothing/at/all", prefix.trim_end_matches('/'));
            assert_eq!(app.http().get(&path).await.text(), "fallback");
        }
    })
    .await;
}

#[tokio::test]
async fn the_closer_of_table_and_mount_answers() {
    within(async {
        let me =
            Router::new().route("/", get(async || "me")).route("/posts", get(async || "my posts"));
        let app = create_bootstrap(
            Bootstrap::new()
                .load(HttpFramework::new())
                .module(module("a", |r| {
                    r.get("/users/{id}", any_user)
                        .get("/api/hello", hello)
                        .get("/{a}/{b}/{c}", hello)
                }))
                .module(module("b", move |r| {
                    r.mount("/users/me", me.clone()).mount("/api", pages()).mount("/", root())
                })),
        )
        .await
        .expect("it starts");
        for (path, text) in [
            ("/users/me", "me"),
            ("/users/me/posts", "my posts"),
            ("/users/7", "\"any_user\""),
            ("/api/hello", "\"hello\""),
            ("/api/about", "about us"),
            ("/a/b/c", "\"hello\""),
            ("/root", "root"),
            ("/", "index"),
        ] {
            assert_eq!(app.http().get(path).await.text(), text, "{path}");
        }
    })
    .await;
}

fn root() -> Router {
    Router::new().route("/", get(async || "index")).route("/root", get(async || "root"))
}

#[tokio::test]
async fn what_is_allowed_is_the_union_of_table_and_mount() {
    within(async {
        let both = |r: HttpRoutes| {
            r.get("/both", hello)
                .get("/table", hello)
                .mount("/", Router::new().route("/both", post(async || "posted")))
        };
        let app = serve(both).await;
        assert_eq!(app.http().post("/both").await.text(), "posted");
        let reply = app.http().delete("/both").await;
        assert_eq!(reply.status(), 405);
        assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS, POST"));
        assert_eq!(reply.json::<Value>()["reason"], "METHOD_NOT_ALLOWED");
        let reply = app.http().options("/both").await;
        assert_eq!(
            (reply.status().as_u16(), reply.header("allow")),
            (204, Some("GET, HEAD, OPTIONS, POST"))
        );
        let reply = app.http().delete("/table").await;
        assert_eq!(
            (reply.status().as_u16(), reply.header("allow")),
            (405, Some("GET, HEAD, OPTIONS"))
        );
    })
    .await;
}

#[tokio::test]
async fn layers_of_a_router_run_and_can_answer_options() {
    async fn cors(request: Request, next: Next) -> Response {
        if request.method() == http::Method::OPTIONS {
            return [("access-control-allow-origin", "*")].into_response();
        }
        next.run(request).await
    }
    within(async {
        let app = serve(|r| r.mount("/pages", pages().layer(from_fn(cors)))).await;
        let reply = app.http().options("/pages/about").await;
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(app.http().get("/pages/about").await.text(), "about us");
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_a_router_or_its_layers_is_500_and_the_connection_lives_on() {
    async fn panics(_: Request, _: Next) -> Response {
        panic!("secret")
    }
    within(async {
        let layered = Router::new().route("/x", get(async || "x")).layer(from_fn(panics));
        let app = serve(move |r| r.mount("/pages", pages()).mount("/layer", layered.clone())).await;
        let mut raw = Raw::connect(&app).await;
        for path in ["/pages/panics", "/layer/x"] {
            raw.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: r-1\r\n\r\n")).await;
            let reply = raw.reply().await;
            assert_eq!((reply.status(), reply.header("x-request-id")), (500, Some("r-1")));
            assert!(reply.body.contains("INTERNAL") && !reply.body.contains("secret"), "{reply:?}");
        }
        raw.send("GET /pages/about HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(raw.reply().await.body, "about us");
    })
    .await;
}

#[tokio::test]
async fn limits_hold_for_routers_too() {
    within(async {
        let app = create_bootstrap(bootstrap(|r| r.mount("/pages", pages())))
            .config("http.body_limit", 10)
            .config("http.timeout", "1s")
            .await
            .expect("it starts");
        let upload = async |text: &'static str| {
            app.http().post("/pages/upload").body("text/plain", text).await
        };
        assert_eq!(upload("0123456789").await.text(), "10");
        let reply = upload("0123456789a").await;
        assert_eq!(reply.status(), 413);
        assert_eq!(reply.json::<Value>()["reason"], "BODY_TOO_LARGE");
        let mut raw = Raw::connect(&app).await;
        raw.send("POST /pages/upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        raw.send("b\r\n0123456789a\r\n0\r\n\r\n").await;
        assert_eq!(raw.reply().await.status(), 413, "axum's own reply, where nobody announced it");
        let reply = app.http().get("/pages/never").await;
        assert_eq!(reply.status(), 504);
        assert_eq!(reply.json::<Value>()["reason"], "DEADLINE_EXCEEDED");
    })
    .await;
}

#[tokio::test]
async fn prefixes_that_do_not_fit_are_errors_that_name_both() {
    within(async {
        let error = refused(
            Bootstrap::new()
                .load(HttpFramework::new())
                .module(module("a", |r| r.mount("/pages", pages()).mount("/t/{x}", pages())))
                .module(module("b", |r| {
                    r.mount("/pages/", pages())
                        .mount("/t/{y}", pages())
                        .mount("bad", pages())
                        .mount("/{*x}", pages())
                })),
        )
        .await;
        let text = format!("{error:?}");
        for word in [
            "/pages/ (module b) and /pages/ (module a)",
            "/t/{y}/ (module b) and /t/{x}/ (module a)",
            "mount bad (module b): the path \"bad\" does not begin with /",
            "mount /{*x} (module b): a prefix has no {*…}",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
    })
    .await;
}
