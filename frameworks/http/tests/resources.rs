//! Tables of resources, and routers beside them.
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

mod support;

use axum::{Router, routing::get};
use http::Method;
use polyport_bootstrap::{
    Fault,
    operation::{OperationExt, Path},
};
use polyport_http::testing::HttpTest;
use support::{bootstrap, refused, serve, within};

macro_rules! says {
    ($($name:ident)*) => { $(async fn $name() -> Result<&'static str, Fault> { Ok(stringify!($name)) })* };
}

says! { index new create edit update destroy }

async fn show(Path(id): Path<String>) -> Result<String, Fault> {
    Ok(format!("show {id}"))
}

async fn nested(Path((user, post)): Path<(u32, u32)>) -> Result<String, Fault> {
    Ok(format!("post {post} of {user}"))
}

#[tokio::test]
async fn every_action_has_its_place() {
    within(async {
        let app = serve(|r| {
            r.resources("/users", |users| {
                users
                    .index(index)
                    .new(new)
                    .create(create)
                    .show(show)
                    .edit(edit)
                    .update(update)
                    .destroy(destroy)
            })
        })
        .await;
        for (method, path, says) in [
            (Method::GET, "/users", "index"),
            (Method::GET, "/users/new", "new"),
            (Method::POST, "/users", "create"),
            (Method::GET, "/users/7", "show 7"),
            (Method::GET, "/users/7/edit", "edit"),
            (Method::PATCH, "/users/7", "update"),
            (Method::PUT, "/users/7", "update"),
            (Method::DELETE, "/users/7", "destroy"),
        ] {
            let reply = app.http().request(method.clone(), path).await;
            assert_eq!(reply.json::<String>(), says, "{method} {path}");
        }
        let reply = app.http().options("/users/7").await;
        assert_eq!(reply.header("allow"), Some("DELETE, GET, HEAD, OPTIONS, PATCH, PUT"));
    })
    .await;
}

#[tokio::test]
async fn only_the_actions_that_are_given_are_served_and_resources_nest() {
    within(async {
        let app = serve(|r| {
            r.prefix("/v1", |r| {
                r.resources("/users", |users| users.param("userId").show(show.named("user")))
                    .resources("/users/{userId}/posts", |posts| posts.param("postId").show(nested))
            })
        })
        .await;
        assert_eq!(app.http().get("/v1/users/7").await.json::<String>(), "show 7");
        assert_eq!(app.http().get("/v1/users/7/posts/9").await.json::<String>(), "post 9 of 7");
        assert_eq!(app.http().get("/v1/users").await.status(), 404);
        assert_eq!(app.http().delete("/v1/users/7").await.status(), 405);
    })
    .await;
}

#[tokio::test]
async fn a_parameter_that_is_none_is_an_error() {
    within(async {
        let error = refused(bootstrap(|r| r.resources("/a", |a| a.param("").show(show)))).await;
        assert!(format!("{error:?}").contains("GET /a/{}"), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_router_is_merged_as_it_is_at_the_root_and_under_a_prefix() {
    within(async {
        let router =
            || Router::new().route("/about", get("about us")).route("/users/me", get("me"));
        let app = serve(move |r| {
            r.resources("/users", |users| users.show(show))
                .mount("/", router())
                .prefix("/v1", |r| r.mount("/pages", router()))
        })
        .await;
        assert_eq!(app.http().get("/about").await.text(), "about us");
        assert_eq!(app.http().get("/v1/pages/about").await.text(), "about us");
        assert_eq!(app.http().get("/users/8").await.json::<String>(), "show 8");
        assert_eq!(app.http().get("/nothing").await.status(), 404);
    })
    .await;
}
