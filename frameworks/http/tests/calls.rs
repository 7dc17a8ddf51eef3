//! From a request to the operation's input, and from its outcome to the reply.

mod support;

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use polyport_bootstrap::{
    Fault, FaultKind, Result,
    middleware::Timeout,
    operation::{Ctx, Inject, OperationExt},
    testing::create_bootstrap,
};
use polyport_http::{HttpRoutes, testing::HttpTest};
use polyport_listener::PeerAddr;
use serde_json::{Value, json};
use support::{Post, bootstrap, hello, post, serve, within};
use tokio::sync::Notify;

fn posts(r: HttpRoutes) -> HttpRoutes {
    r.post("/rooms/{room}/messages", post)
        .get("/rooms/{room}", post)
        .get("/hello", hello)
        .post("/hello", hello)
}

#[tokio::test]
async fn an_input_is_bound_from_path_query_and_body() {
    within(async {
        let app = serve(posts).await;
        let reply = app
            .http()
            .post("/rooms/the%20lobby/messages?limit=5")
            .json(&json!({ "from": "tom", "room": "hidden", "limit": 1 }))
            .await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let bound: Post = reply.json();
        assert_eq!(
            (bound.room.as_str(), bound.from.as_str(), bound.limit),
            ("the lobby", "tom", Some(5))
        );
        let reply = app.http().get("/rooms/lobby?from=ann").await;
        assert_eq!(reply.json::<Post>().from, "ann");
    })
    .await;
}

#[tokio::test]
async fn bodies_are_read_by_their_content_type() {
    within(async {
        let app = serve(posts).await;
        let send = async |content_type, body| {
            app.http().post("/rooms/lobby/messages").body(content_type, body).await
        };
        for (content_type, body) in [
            ("application/x-www-form-urlencoded; charset=utf-8", "from=tom+x&limit=3"),
            ("application/json;charset=UTF-8", r#"{"from":"tom x","limit":3}"#),
            ("application/merge-patch+json", r#"{"from":"tom x","limit":3}"#),
            (
                "multipart/form-data; boundary=B",
                "--B\r\nContent-Disposition: form-data; name=from\r\n\r\ntom x\r\n\
                 --B\r\nContent-Disposition: form-data; name=limit\r\n\r\n3\r\n--B--\r\n",
            ),
        ] {
            let bound: Post = send(content_type, body).await.json();
            assert_eq!((bound.from.as_str(), bound.limit), ("tom x", Some(3)), "{content_type}");
        }
        for content_type in ["text/plain", "multipart/form-data"] {
            let reply = send(content_type, "from=tom").await;
            assert_eq!(reply.status(), 415);
            assert_eq!(reply.json::<Value>()["reason"], "UNSUPPORTED_MEDIA_TYPE");
        }
        let reply = app
            .http()
            .post("/rooms/lobby/messages?from=tom")
            .header("content-type", "text/plain")
            .await;
        assert_eq!(reply.status(), 200, "without a body its type does not matter");
        let reply = app.http().post("/hello").body("text/plain", "ignored").await;
        assert_eq!(reply.status(), 200, "an operation without input has no body to misread");
        let zipped =
            app.http().post("/rooms/l/messages").json(&1).header("content-encoding", "gzip");
        assert_eq!(zipped.await.status(), 415);
    })
    .await;
}

#[tokio::test]
async fn malformed_json_missing_fields_and_broken_rules_are_400() {
    within(async {
        let app = serve(posts).await;
        for (body, message) in [
            ("{", "EOF while parsing"),
            ("{}", "from: is required"),
            (r#"{"from":""}"#, "from: length is lower than 1"),
            (r#"{"from":"tom"} x"#, "trailing"),
        ] {
            let request = app.http().post("/rooms/lobby/messages").body("application/json", body);
            let reply = request.await;
            assert_eq!(reply.status(), 400);
            assert_eq!(reply.header("content-type"), Some("application/problem+json"));
            let problem: Value = reply.json();
            assert_eq!(problem["reason"], "INVALID_INPUT");
            let detail = problem["detail"].as_str().unwrap_or_default();
            assert!(detail.contains(message), "{detail}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_answer_is_in_the_configured_envelope() {
    async fn missing() -> Result<(), Fault> {
        Err(Fault::not_found("USER_NOT_FOUND", "no such user"))
    }
    async fn nothing() -> Result<(), Fault> {
        Ok(())
    }
    within(async {
        let routes = |r: HttpRoutes| posts(r).get("/missing", missing).get("/nothing", nothing);
        let app = create_bootstrap(bootstrap(routes)).config("http.envelope", "return-code").await;
        let app = app.expect("it starts");
        let get = async |path| {
            let reply = app.http().get(path).await;
            assert_eq!(reply.header("content-type"), Some("application/json"));
            (reply.status().as_u16(), reply.json::<Value>())
        };
        assert_eq!(
            get("/hello").await,
            (200, json!({ "returnCode": "SUC00000", "data": "hello" }))
        );
        assert_eq!(get("/nothing").await, (200, json!({ "returnCode": "SUC00000", "data": null })));
        assert_eq!(
            get("/missing").await,
            (404, json!({ "returnCode": "ERR40400", "errorMessage": "no such user" })),
        );
        assert_eq!(get("/unknown").await.1["returnCode"], "ERR40400");
        assert_eq!(get("/rooms/lobby").await.1["returnCode"], "ERR40000");
        let reply = app.http().delete("/hello").await;
        assert_eq!(reply.json::<Value>()["returnCode"], "ERR40500");
        let fault = reply.fault().expect("a fault");
        assert_eq!((fault.kind(), fault.status()), (FaultKind::InvalidArgument, 405));
        assert_eq!(fault.headers()["allow"], reply.headers()["allow"]);
        assert!(app.http().get("/hello").await.fault().is_none());

        let app = create_bootstrap(bootstrap(routes)).config("http.envelope", "code-message-data");
        let app = app.await.expect("it starts");
        let reply = app.http().get("/missing").header("x-request-id", "r-1").await;
        assert_eq!(
            reply.json::<Value>(),
            json!({ "code": 10000, "message": "no such user", "data": null, "request_id": "r-1" }),
        );
        let fault = reply.fault().expect("a fault");
        assert_eq!((fault.kind(), fault.message()), (FaultKind::NotFound, "no such user"));
    })
    .await;
}

#[tokio::test]
async fn the_request_id_is_the_clients_or_a_new_one_and_is_on_every_answer() {
    async fn id(Ctx(context): Ctx) -> Result<String, Fault> {
        Ok(context.request_id.to_string())
    }
    within(async {
        let app = serve(|r| r.get("/id", id)).await;
        for path in ["/id", "/unknown"] {
            let reply = app.http().get(path).header("x-request-id", "abc-1").await;
            assert_eq!(reply.header("x-request-id"), Some("abc-1"), "{path}");
        }
        let reply = app.http().get("/id").await;
        assert_eq!(reply.header("x-request-id"), Some(reply.json::<String>().as_str()));
        assert_eq!(reply.json::<String>().len(), 36);
        let reply = app.http().get("/unknown").header("x-request-id", "two words").await;
        let made = reply.header("x-request-id").expect("always there").to_owned();
        assert_eq!(made.len(), 36, "an id that could forge log lines is not taken");
        assert_eq!(reply.json::<Value>()["request_id"], made);
        assert_eq!(app.http().delete("/id").await.header("x-request-id").map(str::len), Some(36));
    })
    .await;
}

#[tokio::test]
async fn operations_see_headers_and_the_peer() {
    async fn seen(Ctx(context): Ctx) -> Result<(String, bool), Fault> {
        let header = context.metadata.get("x-tenant").and_then(|value| value.to_str().ok());
        let peer = context.extension::<PeerAddr>().is_some_and(|peer| peer.0.ip().is_loopback());
        Ok((header.unwrap_or_default().to_owned(), peer))
    }
    within(async {
        let app = serve(|r| r.get("/seen", seen)).await;
        let reply = app.http().get("/seen").header("x-tenant", "acme").await;
        assert_eq!(reply.json::<(String, bool)>(), ("acme".to_owned(), true));
    })
    .await;
}

#[tokio::test]
async fn a_panic_is_500_and_tells_nothing() {
    async fn panics() -> Result<(), Fault> {
        panic!("secret")
    }
    within(async {
        let app = serve(|r| r.get("/panics", panics)).await;
        let reply = app.http().get("/panics").await;
        assert_eq!(reply.status(), 500);
        assert_eq!(reply.json::<Value>()["reason"], "INTERNAL");
        assert!(!reply.text().contains("secret"));
    })
    .await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_504() {
    async fn waits(gate: Inject<Notify>) -> Result<(), Fault> {
        gate.notified().await;
        Ok(())
    }
    within(async {
        let bootstrap = bootstrap(|r| r.get("/waits", waits).get("/hello", hello)).module(Gate);
        let app = create_bootstrap(bootstrap).config("http.timeout", "50ms").await;
        let app = app.expect("it starts");
        let reply = app.http().get("/waits").await;
        assert_eq!(reply.status(), 504);
        assert_eq!(reply.json::<Value>()["reason"], "DEADLINE_EXCEEDED");
        assert_eq!(app.http().get("/hello").await.status(), 200);
    })
    .await;
}

struct Gate;

impl polyport_bootstrap::Module for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn configure(&self, m: &mut polyport_bootstrap::ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::new(Notify::new()));
        Ok(())
    }
}

#[tokio::test]
async fn an_operation_has_its_own_time_where_it_says_so() {
    within(async {
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(60)).await;
            Ok::<_, Fault>("slow")
        };
        let own = |after| Timeout::new(Duration::from_millis(after));
        let routes = move |r: HttpRoutes| {
            r.get("/slow", slow)
                .get("/slower", slow.attr(own(10_000)))
                .get("/fast", slow.attr(own(5)))
        };
        let app = create_bootstrap(bootstrap(routes)).config("http.timeout", "20ms").await;
        let app = app.expect("it starts");
        assert_eq!(app.http().get("/slow").await.status(), 504);
        assert_eq!(app.http().get("/slower").await.status(), 200);
        assert_eq!(app.http().get("/fast").await.status(), 504);
        let asked = app.http().get("/slower").header("x-request-timeout-ms", "20").await;
        assert_eq!(asked.status(), 504, "the caller's time holds as well");
    })
    .await;
}

#[tokio::test]
async fn without_a_timeout_calls_have_no_deadline() {
    async fn has_deadline(Ctx(context): Ctx) -> Result<bool, Fault> {
        Ok(context.deadline.is_some())
    }
    within(async {
        for (timeout, expected) in [("0s", false), ("1m", true)] {
            let bootstrap = bootstrap(|r| r.get("/", has_deadline));
            let app = create_bootstrap(bootstrap).config("http.timeout", timeout).await;
            let app = app.expect("it starts");
            assert_eq!(app.http().get("/").await.json::<bool>(), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_fault_with_a_status_that_is_no_error_is_500() {
    async fn odd() -> Result<(), Fault> {
        Err(Fault::not_found("ODD", "odd").with_status(200))
    }
    async fn gone() -> Result<(), Fault> {
        Err(Fault::not_found("GONE", "gone").with_status(410))
    }
    within(async {
        let app = serve(|r| r.get("/odd", odd).get("/gone", gone)).await;
        assert_eq!(app.http().get("/odd").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(app.http().get("/gone").await.status(), StatusCode::GONE);
    })
    .await;
}
