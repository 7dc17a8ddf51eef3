//! The section `middleware`: which middleware stands where, and in which order.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use async_trait::async_trait;
use garde::Validate;
use polyport::{
    Bootstrap, Context, Fault, Reloader,
    config::Effect,
    module,
    operation::{Band, Interceptor, Next, OperationExt, Protocol, Reply},
};
use serde::Deserialize;
use serde_json::{Value, json};
use support::{
    Folder, Log,
    calls::{Note, alone, answer, call, fake, soon, stages, text, unwrapped},
    lines::Lines,
};

async fn hello() -> Result<&'static str, Fault> {
    Ok("hello")
}

const ROUTES: [&str; 4] = ["GET /api/users", "POST /api/users", "GET /health", "users.get"];

/// An application with the middlewares c1 and c2 (core), a1, a2 and a3, on all routes.
fn noted() -> Bootstrap {
    let note = |name| Note(name, Log::default());
    fake()
        .pipeline(|p| {
            p.core_middleware("c1", note("c1"))
                .middleware("a1", note("a1"))
                .core_middleware("c2", note("c2"))
                .middleware("a2", note("a2"))
                .middleware("a3", note("a3"))
        })
        .module(module("m", |m| {
            ROUTES.into_iter().for_each(|route| answer(m, "default", route, hello));
            Ok(())
        }))
}

/// The middlewares around each route of it, where the section is this.
async fn standing(section: Value) -> Vec<String> {
    let app = soon(alone(noted()).config("middleware", section)).await.unwrap();
    let all = ROUTES.map(|route| stages(&app, route).join(" "));
    soon(app.close()).await.unwrap();
    all.to_vec()
}

/// The report of a start with this section.
async fn refused(section: Value) -> String {
    let test = alone(noted()).config("middleware", section);
    unwrapped(&format!("{:?}", soon(test).await.expect_err("does not start")))
}

#[tokio::test]
async fn middleware_stands_in_the_order_of_the_configuration_then_of_registration() {
    assert_eq!(standing(json!({})).await[0], "c1 c2 a1 a2 a3");
    let order = json!({ "order": { "core": ["c2"], "application": ["a3", "a1"] } });
    assert_eq!(standing(order).await[0], "c2 c1 a3 a1 a2");
}

#[tokio::test]
async fn middleware_is_switched_off_and_limited_to_routes() {
    let section = json!({
        "c1": { "enable": false },
        "c2": { "match": ["/api"] },
        "a1": { "ignore": ["POST /api", "users.*"] },
        "a2": { "match": ["/*", "users"], "ignore": ["re:^/api/u"] },
        "a3": { "match": ["re:^(GET|POST) /api/"] },
    });
    assert_eq!(standing(section).await, ["c2 a1 a3", "c2 a3", "a1 a2", "a2"]);
}

#[tokio::test]
async fn names_that_nobody_has_are_told_with_those_that_are_known() {
    let section = json!({ "order": { "core": ["c3", "a1"] }, "trafic": {} });
    let report = refused(section).await;
    for part in [
        "no middleware is called trafic; the nearest is traffic",
        "key middleware.order.core.0: no middleware is called c3; the nearest is c1",
        "name one of trace, traffic, load-shed, rate-limit, concurrency-limit, timeout, c1, a1",
        "key middleware.order.core.1: the middleware a1 stands in the other band",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
}

#[tokio::test]
async fn what_contradicts_itself_or_is_no_pattern_is_told_by_its_key() {
    let section = json!({
        "c1": { "enabel": true },
        "c2": { "match": ["re:("] },
        "a1": { "match": ["/a"], "ignore": ["/a"] },
        "a2": { "match": [] },
        "a3": { "enable": "perhaps" },
        "order": { "application": ["a1", "a1"] },
    });
    let report = refused(section.clone()).await;
    assert!(report.contains("middleware.order.application.1: stands there twice"), "{report}");
    let mut section = section;
    section.as_object_mut().unwrap().remove("order");
    let report = refused(section).await;
    for part in [
        "key middleware.c1.enabel: unknown key; the nearest is enable",
        "key middleware.c2.match.0: is no regular expression: unclosed group",
        "key middleware.a1.match: \"/a\" is ignored too: take it out of one of the two",
        "key middleware.a2.match: an empty list matches nothing",
        "key middleware.a3.enable: expected a boolean, found \"perhaps\"",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
}

#[tokio::test]
async fn what_is_said_to_no_effect_is_warned_of() {
    let (lines, _guard) = Lines::catch();
    standing(json!({
        "c1": { "match": ["/api", "/apj"] },
        "rate-limit": { "enable": true },
        "concurrency-limit": { "enable": true, "max": 9 },
    }))
    .await;
    let said = lines.lines();
    let said: Vec<_> = said.iter().map(|line| (line.get("key"), line.get("pattern"))).collect();
    assert_eq!(said, [("middleware.rate-limit.enable", ""), ("middleware.c1.match", "/apj")]);
}

#[derive(Debug, Default, Deserialize, Validate)]
#[serde(default)]
struct Options {
    #[garde(range(max = 5))]
    repeat: usize,
    #[garde(skip)]
    text: Text,
}

#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text(String);

impl Default for Text {
    fn default() -> Self {
        Self("a".to_owned())
    }
}

/// Adds a header as its options say.
struct Header(String);

#[async_trait]
impl Interceptor for Header {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        let name = http::HeaderName::from_static("x-text");
        Ok(next.run(context).await?.with_header(name, self.0.parse().unwrap()))
    }
}

fn with_options() -> Bootstrap {
    let make = |options: Options| Header(options.text.0.repeat(options.repeat + 1));
    fake().pipeline(|p| p.middleware_from("header", Band::Application, make)).module(module(
        "m",
        |m| {
            answer(m, "default", "hello", hello);
            answer(m, "default", "other", hello);
            Ok(())
        },
    ))
}

#[tokio::test]
async fn options_stand_in_the_same_table_and_are_checked_as_every_section() {
    let table = json!({ "match": ["hello"], "repeat": 2, "text": "x" });
    let app = soon(alone(with_options()).config("middleware.header", table)).await.unwrap();
    let answer = call(&app, "hello").await;
    assert_eq!(answer.unwrap().headers().unwrap()["x-text"], "xxx");
    assert!(call(&app, "other").await.unwrap().headers().is_none());
    soon(app.close()).await.unwrap();

    let table = json!({ "repeat": 6, "mach": [], "rept": 1 });
    let test = alone(with_options()).config("middleware.header", table);
    let report = unwrapped(&format!("{:?}", soon(test).await.expect_err("does not fit")));
    for part in [
        "key middleware.header.repeat: greater than 5, found 6",
        "key middleware.header.mach: unknown key; the nearest is match",
        "key middleware.header.rept: unknown key, expected enable, match, ignore, repeat or text",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
}

#[tokio::test]
async fn without_a_table_options_are_the_default() {
    let app = soon(alone(with_options())).await.unwrap();
    assert_eq!(call(&app, "hello").await.unwrap().headers().unwrap()["x-text"], "a");
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn of_one_name_the_middleware_closest_to_the_operation_stands() {
    let log = Log::default();
    let (outer, own) = (Note("outer", log.clone()), Note("own", log.clone()));
    let mine = Note("mine", log.clone());
    let bootstrap = fake()
        .pipeline(|p| p.middleware("audit", outer).core_middleware("timeout", mine))
        .module(module("m", move |m| {
            let operation = hello.pipeline(|p| p.middleware("audit", own.clone()));
            answer(m, "default", "own", operation);
            answer(m, "default", "plain", hello);
            Ok(())
        }));
    let app = soon(alone(bootstrap)).await.unwrap();
    assert_eq!(stages(&app, "own"), ["timeout", "audit"]);
    assert_eq!(text(&call(&app, "own").await), "hello");
    assert_eq!(text(&call(&app, "plain").await), "hello");
    let entered = log.entries().into_iter().filter(|entry| entry.starts_with('>'));
    assert_eq!(entered.collect::<Vec<_>>(), ["> mine", "> own", "> mine", "> outer"]);
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn two_middlewares_of_one_name_at_one_place_do_not_start() {
    let log = Log::default();
    let (one, other) = (Note("one", log.clone()), Note("other", log.clone()));
    let served = |bootstrap: Bootstrap| {
        bootstrap.module(module("m", |m| {
            answer(m, "default", "hello", hello);
            Ok(())
        }))
    };
    let twice =
        served(fake().pipeline(|p| p.middleware("audit", one).core_middleware("audit", other)));
    let report = format!("{:?}", soon(alone(twice)).await.expect_err("one would vanish"));
    assert!(report.contains("two middlewares of one application are called audit"), "{report}");

    let (one, other) = (Note("one", log.clone()), Note("other", log));
    let apart = served(fake().pipeline(|p| {
        let p = p.middleware("audit", one).only_on(&[Protocol::new("elsewhere")]);
        p.middleware("audit", other)
    }));
    let app = soon(alone(apart)).await.expect("only one of them is for this protocol");
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn a_change_of_the_section_is_named_as_one_that_needs_a_restart() {
    let files = |max| format!("[middleware.concurrency-limit]\nmax = {max}\n");
    let folder = Folder::new(&[("config.default.toml", &files(5))]);
    let test = polyport::testing::create_bootstrap(noted()).root(folder.path());
    let app = soon(test).await.unwrap();
    folder.write("config.default.toml", &files(6));
    let reload = app.container().try_get::<Reloader>().unwrap().reload().await.unwrap();
    let changed: Vec<_> = reload.changed().iter().map(|one| (one.key(), one.effect())).collect();
    assert_eq!(changed, [("middleware.concurrency-limit.max", Effect::Restart)]);
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn faults_of_middleware_are_told_with_those_of_all_other_sections() {
    let test = alone(noted())
        .config("startup.hook", "soonish")
        .config("middleware.c1.enabel", true)
        .config("middleware.timeout.after", "0s");
    let report = unwrapped(&format!("{:?}", soon(test).await.expect_err("three do not fit")));
    for part in [
        "key startup.hook: ",
        "key middleware.c1.enabel: unknown key; the nearest is enable",
        "key middleware.timeout.after: no call can be answered in no time",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
}
