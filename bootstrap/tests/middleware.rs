//! The middleware that every application has.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::time::Duration;

use bytes::Bytes;
use polyport::{
    Bootstrap, Fault, FaultKind,
    middleware::{ConcurrencyLimit, RateLimit, Timeout},
    module,
    operation::{Call, OperationExt, PeerAddr, RawInput},
    testing::TestApp,
};
use serde_json::{Value, json};
use support::{
    calls::{alone, answer, call, call_with, fake, reason, stages, text},
    lines::Lines,
};
use tokio::time::{Instant, advance, sleep};
use tracing::Level;

const SECOND: Duration = Duration::from_secs(1);

async fn hello() -> Result<&'static str, Fault> {
    Ok("hello")
}

async fn slow() -> Result<&'static str, Fault> {
    sleep(10 * SECOND).await;
    Ok("at last")
}

fn served() -> Bootstrap {
    fake().module(module("m", |m| {
        answer(m, "default", "hello", hello);
        answer(m, "default", "slow", slow);
        answer(m, "default", "patient", slow.attr(Timeout::new(15 * SECOND)));
        answer(m, "default", "alone", slow.attr(ConcurrencyLimit::new(1)));
        answer(m, "default", "rare", hello.attr(RateLimit::new(1, 60 * SECOND)));
        answer(m, "default", "refuses", async || {
            Err::<(), _>(Fault::not_found("NOBODY", "nobody"))
        });
        answer(m, "default", "fails", async || {
            Err::<(), _>(Fault::internal(polyport::Error::other("hunter2")))
        });
        answer(m, "default", "secret", async || {
            Ok::<_, Fault>(json!({ "name": "tom", "password": "hunter2" }))
        });
        Ok(())
    }))
}

async fn app(section: Value) -> TestApp {
    alone(served()).config("middleware", section).await.unwrap()
}

#[tokio::test]
async fn an_operation_for_which_nothing_is_said_has_none_of_it() {
    let app = app(json!({})).await;
    assert!(stages(&app, "hello").is_empty());
    assert_eq!(stages(&app, "patient"), ["timeout"]);
    assert_eq!(stages(&app, "alone"), ["concurrency-limit"]);
    assert_eq!(stages(&app, "rare"), ["rate-limit"]);
    app.close().await.unwrap();
}

#[tokio::test]
async fn all_of_it_stands_in_its_order_and_the_order_can_be_changed() {
    let mut section = json!({
        "trace": { "enable": true }, "traffic": { "enable": true }, "load-shed": { "max": 9 },
        "rate-limit": { "calls": 9 }, "concurrency-limit": { "max": 9 },
        "timeout": { "after": "9s" },
    });
    let usual = "trace traffic load-shed rate-limit concurrency-limit timeout traffic";
    let app = app(section.clone()).await;
    assert_eq!(stages(&app, "hello").join(" "), usual);
    app.close().await.unwrap();
    section["order"] = json!({ "core": ["timeout", "traffic"] });
    let changed = "timeout traffic trace load-shed rate-limit concurrency-limit traffic";
    let app = alone(served()).config("middleware", section).await.unwrap();
    assert_eq!(stages(&app, "hello").join(" "), changed);
    app.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn timeout_ends_calls_by_its_option_and_by_the_attribute() {
    let app = app(json!({ "timeout": { "after": "3s" } })).await;
    let begun = Instant::now();
    let fault = call(&app, "slow").await.unwrap_err();
    assert_eq!((fault.kind(), fault.reason()), (FaultKind::DeadlineExceeded, "TIMEOUT"));
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(text(&call(&app, "patient").await), "at last", "15 s are enough for it");
    app.close().await.unwrap();
}

/// Calls `route` so often at the same time, and counts the answers.
async fn at_once(app: &TestApp, route: &str, calls: usize) -> usize {
    let answers = futures_util::future::join_all((0..calls).map(|_| call(app, route))).await;
    answers.iter().filter(|answer| answer.is_ok()).count()
}

#[tokio::test(start_paused = true)]
async fn concurrency_limit_refuses_what_is_too_much_for_all_operations_or_for_each_route() {
    let together = app(json!({ "concurrency-limit": { "max": 3 } })).await;
    let (one, two) = tokio::join!(at_once(&together, "slow", 3), at_once(&together, "patient", 2));
    assert_eq!((one, two), (3, 0));
    let each = app(json!({ "concurrency-limit": { "max": 3, "per": "route" } })).await;
    let (one, two) = tokio::join!(at_once(&each, "slow", 4), at_once(&each, "patient", 2));
    assert_eq!((one, two), (3, 2));
    for app in [together, each] {
        assert_eq!(at_once(&app, "alone", 2).await, 1, "as its attribute says");
        app.close().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn concurrency_limit_lets_some_wait_for_some_time() {
    let limit = json!({ "max": 1, "queue": 1, "wait": "11s" });
    let app = app(json!({ "concurrency-limit": limit })).await;
    let begun = Instant::now();
    assert_eq!(at_once(&app, "slow", 3).await, 2, "one runs, one waits, one is refused");
    assert_eq!(begun.elapsed().as_secs(), 20);
    let (route, patience) = ("slow", json!({ "max": 1, "queue": 1, "wait": "2s" }));
    app.close().await.unwrap();
    let app = alone(served()).config("middleware.concurrency-limit", patience).await.unwrap();
    assert_eq!(at_once(&app, route, 2).await, 1, "it waits no longer than it may");
    assert_eq!(text(&call(&app, route).await), "at last", "the place in the queue is free again");
    app.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gives_back_what_it_held() {
    let limits = json!({
        "concurrency-limit": { "max": 1, "queue": 1, "wait": "60s" }, "load-shed": { "max": 2 },
    });
    let app = app(limits).await;
    for _ in 0..3 {
        let mut running = Box::pin(call(&app, "slow"));
        let mut waiting = Box::pin(call(&app, "slow"));
        assert!(futures_util::poll!(&mut running).is_pending());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(reason(&call(&app, "hello").await), "OVERLOADED");
        drop((running, waiting));
        assert_eq!(text(&call(&app, "hello").await), "hello");
    }
    app.close().await.unwrap();
}

fn from(peer: &'static str) -> impl FnOnce(&mut Call) {
    move |call| {
        call.extensions.insert(PeerAddr(peer.parse().unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn rate_limit_counts_by_peer_and_says_when_to_come_again() {
    let app = app(json!({ "rate-limit": { "calls": 2, "per": "10s", "match": ["hello"] } })).await;
    let (one, other) = ("10.0.0.1:1000", "10.0.0.2:1000");
    for port in [one, "10.0.0.1:2000"] {
        assert!(call_with(&app, "hello", from(port)).await.is_ok());
    }
    let fault = call_with(&app, "hello", from(one)).await.unwrap_err();
    assert_eq!((fault.kind(), fault.reason()), (FaultKind::ResourceExhausted, "RATE_LIMITED"));
    assert_eq!(fault.retry_after(), Some(5 * SECOND));
    assert!(call_with(&app, "hello", from(other)).await.is_ok(), "another peer");
    assert!(call_with(&app, "refuses", from(one)).await.is_err_and(|it| it.reason() == "NOBODY"));
    advance(5 * SECOND).await;
    assert!(call_with(&app, "hello", from(one)).await.is_ok());
    assert!(call_with(&app, "hello", from(one)).await.is_err());
    app.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rate_limit_counts_by_header_and_by_the_attribute() {
    let limit = json!({ "calls": 2, "per": "60s", "by": "header:x-api-key", "burst": 1 });
    let app = app(json!({ "rate-limit": limit })).await;
    let by = |key: &'static str| {
        move |call: &mut Call| drop(call.metadata.insert("x-api-key", key.parse().unwrap()))
    };
    assert!(call_with(&app, "hello", by("a")).await.is_ok());
    assert!(call_with(&app, "hello", by("a")).await.is_err(), "one at once");
    assert!(call_with(&app, "hello", by("b")).await.is_ok());
    assert!(call_with(&app, "rare", by("a")).await.is_ok(), "a bucket of its own");
    assert!(call_with(&app, "rare", by("a")).await.is_err());
    advance(30 * SECOND).await;
    assert!(call_with(&app, "hello", by("a")).await.is_ok());
    assert!(call_with(&app, "rare", by("a")).await.is_err(), "a minute is not over");
    app.close().await.unwrap();
    let test = alone(served()).config("middleware.rate-limit.by", "cookie");
    let report = format!("{:?}", test.await.expect_err("is no key"));
    let report = support::calls::unwrapped(&report);
    assert!(report.contains("expected all, peer or header:<name>"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn load_shed_refuses_while_calls_take_too_long_and_recovers() {
    let app = app(json!({ "load-shed": { "latency": "1s" } })).await;
    assert_eq!(at_once(&app, "slow", 5).await, 5, "nobody knows yet that they are slow");
    assert_eq!(at_once(&app, "slow", 5).await, 1, "one goes through to see");
    let mut tries = 0;
    while at_once(&app, "hello", 2).await < 2 {
        tries += 1;
        assert!(tries < 100, "it never recovers");
    }
    app.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn traffic_logs_what_a_call_came_to() {
    let (lines, _guard) = Lines::catch();
    let app = app(json!({ "traffic": { "enable": true } })).await;
    let body = |call: &mut Call| call.input = RawInput::json(Bytes::from_static(b"[1]"));
    call_with(&app, "hello", body).await.unwrap();
    call(&app, "slow").await.unwrap();
    call(&app, "refuses").await.unwrap_err();
    call(&app, "fails").await.unwrap_err();
    let deadline = |call: &mut Call| call.deadline = Some(Instant::now() + SECOND);
    call_with(&app, "slow", deadline).await.unwrap_err();
    let lines = lines.lines();
    let seen: Vec<_> =
        lines.iter().map(|line| (line.level, line.get("message"), line.get("route"))).collect();
    assert_eq!(
        seen,
        [
            (Level::INFO, "call begins", "hello"),
            (Level::INFO, "call answered", "hello"),
            (Level::INFO, "call begins", "slow"),
            (Level::WARN, "slow call", "slow"),
            (Level::INFO, "call begins", "refuses"),
            (Level::INFO, "call refused", "refuses"),
            (Level::INFO, "call begins", "fails"),
            (Level::WARN, "call failed", "fails"),
            (Level::INFO, "call begins", "slow"),
            (Level::WARN, "call cut off", "slow"),
        ]
    );
    let [begins, answered, _, slow, _, refused, _, failed, ..] = &lines[..] else { panic!() };
    assert_eq!((begins.get("protocol"), begins.get("request_bytes")), ("fake", "3"));
    assert!(!begins.get("request_id").is_empty());
    assert_eq!(begins.get("request_id"), answered.get("request_id"));
    assert_eq!((slow.get("elapsed_ms"), slow.get("operation_ms")), ("10000.0", "10000.0"));
    let fault = |line: &support::lines::Line| {
        ["fault", "reason", "status"].map(|name| line.get(name).to_owned()).join(" ")
    };
    assert_eq!(fault(refused), "NOT_FOUND NOBODY 404");
    assert_eq!(fault(failed), "INTERNAL INTERNAL 500");
    assert!(lines.iter().all(|line| line.get("request").is_empty()), "no bodies unless allowed");
    app.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn traffic_tells_the_operation_from_what_waits_in_front_of_it() {
    let (lines, _guard) = Lines::catch();
    let limit = json!({ "max": 1, "queue": 1, "wait": "60s" });
    let traffic = json!({ "enable": true, "start": false });
    let app = app(json!({ "traffic": traffic, "concurrency-limit": limit })).await;
    assert_eq!(at_once(&app, "slow", 2).await, 2);
    let times = lines.lines();
    let times = times.iter().map(|line| (line.get("elapsed_ms"), line.get("operation_ms")));
    assert_eq!(times.collect::<Vec<_>>(), [("10000.0", "10000.0"), ("20000.0", "10000.0")]);
    app.close().await.unwrap();
}

#[tokio::test]
async fn traffic_shows_bodies_where_allowed_without_their_secrets() {
    let (lines, _guard) = Lines::catch();
    let app = app(json!({ "traffic": { "enable": true, "bodies": true, "max_body": 40 } })).await;
    let body = |text: &'static str| {
        move |call: &mut Call| call.input = RawInput::json(Bytes::from_static(text.as_bytes()))
    };
    let request = r#"{"users":[{"apiKey":"hunter2","url":"amqp://u:hunter2@h"}]}"#;
    call_with(&app, "secret", body(request)).await.unwrap();
    call_with(&app, "hello", body("no JSON: hunter2")).await.unwrap();
    let lines = lines.lines();
    assert_eq!(lines[0].get("request"), "{\"users\":[{\"apiKey\":\"***\",\"url\":\"amqp://…");
    assert_eq!(lines[1].get("response"), r#"{"name":"tom","password":"***"}"#);
    assert_eq!(lines[2].get("request"), "(16 bytes, no JSON)");
    assert!(!format!("{lines:?}").contains("hunter2"));
    app.close().await.unwrap();
}

#[tokio::test]
async fn trace_gives_each_call_a_span_with_the_names_of_the_conventions() {
    let (lines, _guard) = Lines::catch();
    let app = app(json!({ "trace": { "enable": true } })).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced =
        |call: &mut Call| drop(call.metadata.insert("traceparent", parent.parse().unwrap()));
    call_with(&app, "hello", traced).await.unwrap();
    call(&app, "refuses").await.unwrap_err();
    call(&app, "fails").await.unwrap_err();
    let spans = lines.spans();
    let [hello, refuses, fails] = &spans[..] else { panic!("{spans:?}") };
    let of = |span: &support::lines::Line, names: [&str; 4]| {
        names.map(|name| span.get(name).to_owned()).join(" ")
    };
    let names = ["otel.name", "otel.kind", "rpc.system", "rpc.method"];
    assert_eq!(of(hello, names), "hello server fake hello");
    assert_eq!(hello.get("trace_id"), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hello.get("parent_id"), "b7ad6b7169203331");
    assert_eq!((hello.get("span_id").len(), refuses.get("parent_id")), (16, ""));
    assert_eq!((refuses.get("error.type"), refuses.get("otel.status_code")), ("NOBODY", ""));
    assert_eq!((fails.get("error.type"), fails.get("otel.status_code")), ("INTERNAL", "ERROR"));
    app.close().await.unwrap();
}
