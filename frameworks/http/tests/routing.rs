//! Which operation answers which request.

mod support;

use http::StatusCode;
use polyport_bootstrap::{
    Bootstrap, Error, ErrorKind, Fault,
    operation::{Inject, Input},
};
use polyport_http::{HttpFramework, testing::HttpTest};
use serde::Deserialize;
use serde_json::{Value, json};
use support::{bootstrap, hello, module, refused, serve, within};

macro_rules! says {
    ($($name:ident)*) => { $(async fn $name() -> Result<&'static str, Fault> { Ok(stringify!($name)) })* };
}

says! { me users_get users_post any_user nested rest own_head own_options }

#[derive(Deserialize, garde::Validate)]
#[garde(allow_unvalidated)]
struct Rest {
    rest: String,
}

async fn echo_rest(Input(input): Input<Rest>) -> Result<String, Fault> {
    Ok(input.rest)
}

fn report(error: &Error) -> String {
    format!("{error:?}")
}

#[tokio::test]
async fn the_most_specific_path_answers_whatever_the_order_and_the_module() {
    within(async {
        let app = polyport_bootstrap::testing::create_bootstrap(
            Bootstrap::new()
                .load(HttpFramework::new())
                .module(module("a", |r| r.get("/users/{id}", any_user).get("/{*rest}", rest)))
                .module(module("b", |r| r.get("/users/me", me).get("/users/{id}/posts", nested))),
        )
        .await
        .expect("it starts");
        for (path, name) in [
            ("/users/me", "me"),
            ("/users/7", "any_user"),
            ("/users/me/posts", "nested"),
            ("/users/7/posts", "nested"),
            ("/users/7/likes", "rest"),
            ("/else", "rest"),
        ] {
            assert_eq!(app.http().get(path).await.json::<String>(), name, "{path}");
        }
        app.close().await.expect("it stops");
    })
    .await;
}

#[tokio::test]
async fn one_path_has_many_methods() {
    within(async {
        let app = serve(|r| {
            r.get("/users", users_get)
                .post("/users", users_post)
                .put("/put", hello)
                .patch("/patch", hello)
                .delete("/delete", hello)
        })
        .await;
        let http = app.http();
        assert_eq!(http.get("/users").await.json::<String>(), "users_get");
        assert_eq!(http.post("/users").await.json::<String>(), "users_post");
        assert_eq!(http.put("/put").await.status(), 200);
        assert_eq!(http.patch("/patch").await.status(), 200);
        assert_eq!(http.delete("/delete").await.status(), 200);
    })
    .await;
}

#[tokio::test]
async fn unknown_paths_are_404_and_unknown_methods_405_with_what_is_allowed() {
    within(async {
        let app = serve(|r| r.get("/users", users_get).post("/users", users_post)).await;
        for path in ["/", "/nothing", "/users/", "//users", "/users/x?y=z"] {
            let reply = app.http().get(path).await;
            assert_eq!(reply.status(), 404, "{path}");
            assert_eq!(reply.json::<Value>()["reason"], "ROUTE_NOT_FOUND");
        }
        let reply = app.http().delete("/users").await;
        assert_eq!(reply.status(), 405);
        assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS, POST"));
        assert_eq!(reply.json::<Value>()["reason"], "METHOD_NOT_ALLOWED");
    })
    .await;
}

#[tokio::test]
async fn options_says_what_is_allowed_unless_it_is_a_route() {
    within(async {
        let app = serve(|r| r.post("/users", users_post).options("/own", own_options)).await;
        let reply = app.http().options("/users").await;
        assert_eq!(
            (reply.status(), reply.header("allow")),
            (StatusCode::NO_CONTENT, Some("OPTIONS, POST"))
        );
        assert!(reply.bytes().is_empty());
        assert_eq!(app.http().options("/own").await.json::<String>(), "own_options");
        assert_eq!(app.http().options("/nothing").await.status(), 404);
    })
    .await;
}

#[tokio::test]
async fn head_is_answered_by_get_unless_it_is_a_route() {
    within(async {
        let app =
            serve(|r| r.get("/users", users_get).get("/own", hello).head("/own", own_head)).await;
        let reply = app.http().head("/users").await;
        assert_eq!((reply.status(), reply.header("content-length")), (StatusCode::OK, Some("11")));
        assert_eq!(app.http().head("/own").await.header("content-length"), Some("10"));
        assert_eq!(app.http().get("/own").await.json::<String>(), "hello");
    })
    .await;
}

#[tokio::test]
async fn parameters_are_decoded_and_must_be_utf8() {
    within(async {
        let app = serve(|r| r.get("/files/{*rest}", echo_rest).get("/one/{rest}", echo_rest)).await;
        let text = async |path| app.http().get(path).await.json::<String>();
        assert_eq!(text("/files/a/b%20c").await, "a/b c");
        assert_eq!(text("/one/a%2Fb").await, "a/b", "an encoded slash divides no segments");
        let reply = app.http().get("/one/%ff").await;
        assert_eq!(reply.status(), 400);
        assert_eq!(reply.json::<Value>()["reason"], "INVALID_PATH");
    })
    .await;
}

#[tokio::test]
async fn two_operations_on_one_route_are_an_error_that_names_both() {
    within(async {
        let two = Bootstrap::new()
            .load(HttpFramework::new())
            .module(module("a", |r| r.get("/users", users_get)))
            .module(module("b", |r| r.get("/users", me)));
        let error = refused(two).await;
        let text = report(&error);
        assert_eq!(error.kind(), ErrorKind::Wiring);
        for word in ["HTTP GET /users", "users_get (module a)", "me (module b)"] {
            assert!(text.contains(word), "{word} in {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn paths_that_differ_in_a_parameters_name_are_an_error_that_names_both() {
    within(async {
        let two = Bootstrap::new()
            .load(HttpFramework::new())
            .module(module("a", |r| r.get("/users/{id}", users_get).put("/users/{id}", hello)))
            .module(module("b", |r| {
                r.post("/users/{name}", users_post).get("/users/{*rest}", rest)
            }));
        let text = report(&refused(two).await);
        for word in [
            "POST /users/{name} (module b)",
            "GET /users/{*rest} (module b)",
            "GET/PUT /users/{id} (module a)",
            "help: ",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_fault_of_the_routes_is_in_one_report() {
    within(async {
        struct Missing;
        async fn needs(_: Inject<Missing>) -> Result<(), Fault> {
            Ok(())
        }
        let text = report(
            &refused(bootstrap(|r| {
                r.status(StatusCode::OK)
                    .get("users", hello)
                    .get("/a/{b", hello)
                    .get("/{*a}/b", hello)
                    .get("/a/{b}c", hello)
                    .get("/a", hello)
                    .status(StatusCode::NOT_FOUND)
                    .get("/health/live", hello)
            }))
            .await,
        );
        for word in [
            "status(…) stands before any route",
            "GET users (module test): the path \"users\" does not begin with /",
            "\"/a/{b\" has a parameter without a name",
            "\"/{*a}/b\" has {*…} elsewhere than at its end",
            "\"/a/{b}c\" has a segment with more than one parameter",
            "GET /a: 404 Not Found is no status of success",
            "HTTP GET /health/live is served twice",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
        let text = report(&refused(bootstrap(|r| r.get("/needs", needs))).await);
        assert!(text.contains("HTTP GET /needs") && text.contains("Missing"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn the_status_of_success_is_the_routes() {
    async fn nothing() -> Result<(), Fault> {
        Ok(())
    }
    within(async {
        let app = serve(|r| {
            r.post("/accepted", hello)
                .status(StatusCode::ACCEPTED)
                .post("/nothing", nothing)
                .post("/quiet", nothing)
                .status(StatusCode::ACCEPTED)
                .post("/silent", hello)
                .status(StatusCode::NO_CONTENT)
        })
        .await;
        let reply = app.http().post("/accepted").await;
        assert_eq!((reply.status().as_u16(), reply.json::<Value>()), (202, json!("hello")));
        for (path, status) in [("/nothing", 204), ("/quiet", 202), ("/silent", 204)] {
            let reply = app.http().post(path).await;
            assert_eq!((reply.status().as_u16(), reply.text()), (status, ""), "{path}");
            assert_eq!(reply.header("content-type"), None);
        }
    })
    .await;
}

#[tokio::test]
async fn paths_that_mean_the_same_are_the_same() {
    within(async {
        let inner = axum::Router::new().route("/deep", axum::routing::get("axum's"));
        let app = serve(move |r| {
            r.get("/fine", me)
                .get("/%C3%BC", me)
                .get("/{*rest}", echo_rest)
                .mount("/in", inner.clone())
        })
        .await;
        for path in ["/fine", "/%66ine", "/%66%69%6e%65", "/%c3%bc", "/%C3%Bc"] {
            assert_eq!(app.http().get(path).await.json::<String>(), "me", "{path}");
        }
        for path in ["/in/deep", "/%69n/deep", "/in/%64eep?x=%61"] {
            assert_eq!(app.http().get(path).await.text(), "axum's", "{path}");
        }
        let encoded = app.http().get("/%2Ffine").await;
        assert_eq!(encoded.json::<String>(), "/fine", "an encoded slash is data");
        let reply = app.http().get("/a/../fine").await;
        assert_eq!(reply.json::<String>(), "a/../fine", "dot segments are the client's");
    })
    .await;
}
