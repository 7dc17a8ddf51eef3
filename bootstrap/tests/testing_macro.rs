//! `#[polyport::test]`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::{
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use polyport::{
    Bootstrap, Error, Fault, Phase, Result, module,
    operation::{Inject, Input},
    testing::{TestApp, TestBootstrap},
};
use support::calls::{alone, answer, fake, unwrapped};

struct Pages(u32);

async fn pages(Inject(pages): Inject<Pages>) -> Result<u32, Fault> {
    Ok(pages.0)
}

async fn double(Input(number): Input<Number>) -> Result<u32, Fault> {
    Ok(number.value * 2)
}

#[derive(serde::Deserialize, garde::Validate)]
struct Number {
    #[garde(skip)]
    value: u32,
}

/// The application as its `main` has it.
fn bootstrap() -> Bootstrap {
    fake().module(module("app", |m| {
        m.provide_value(Arc::new(Pages(20)));
        answer(m, "default", "pages", pages);
        answer(m, "default", "double", double);
        Ok(())
    }))
}

mod replaced {
    use super::*;

    pub(super) fn small_pages() -> TestBootstrap {
        alone(bootstrap()).override_value(Arc::new(Pages(2)))
    }
}

#[polyport::test(bootstrap)]
async fn the_application_is_lent(app: &TestApp) {
    assert_eq!(app.phase(), Phase::Ready);
    assert_eq!(app.operation("pages").call::<u32>(()).await.unwrap(), 20);
}

/// Attributes and documentation stay where they are.
#[polyport::test(replaced::small_pages)]
async fn the_application_is_given_with_what_is_replaced(mut app: TestApp) -> Result<(), Fault> {
    assert_eq!(app.operation("pages").call::<u32>(()).await?, 2);
    app = app.clone();
    let doubled: u32 = app.operation("double").call(serde_json::json!({ "value": 4 })).await?;
    assert_eq!(doubled, 8);
    Ok(())
}

#[polyport::test(bootstrap)]
async fn a_test_may_close_the_application_itself(app: TestApp) -> Result<()> {
    app.close().await
}

#[polyport::test(bootstrap)]
#[should_panic(expected = "the test itself")]
async fn a_panic_is_the_tests_own(_app: &TestApp) {
    panic!("the test itself");
}

#[polyport::test(bootstrap, start_paused = true)]
async fn the_clock_stands_still(_app: &TestApp) {
    let began = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(began.elapsed(), Duration::from_secs(3600));
}

#[polyport::test(bootstrap)]
async fn there_are_two_workers_where_nothing_is_said(_app: &TestApp) {
    assert_eq!(tokio::runtime::Handle::current().metrics().num_workers(), 2);
}

#[polyport::test(bootstrap, worker_threads = 3)]
async fn there_are_as_many_workers_as_are_said(_app: &TestApp) {
    assert_eq!(tokio::runtime::Handle::current().metrics().num_workers(), 3);
}

#[polyport::test(bootstrap, flavor = "current_thread")]
async fn one_thread_is_enough(_app: TestApp) {
    assert_eq!(tokio::runtime::Handle::current().metrics().num_workers(), 1);
}

fn does_not_start() -> Bootstrap {
    bootstrap().on_ready(async |_| Err(Error::hook("the pool is empty")))
}

#[polyport::test(does_not_start)]
#[should_panic(expected = "the pool is empty")]
async fn an_application_that_does_not_start_fails_the_test(_app: TestApp) {}

fn does_not_end() -> Bootstrap {
    bootstrap().closed(async |_| Err(Error::hook("the file is gone")))
}

#[polyport::test(does_not_end)]
#[should_panic(expected = "the file is gone")]
async fn an_application_that_does_not_end_cleanly_fails_the_test(_app: TestApp) {}

/// Blocks a thread of the runtime for longer than any test waits.
fn blocks() -> TestBootstrap {
    let blocked = bootstrap().on_ready(async |_| {
        thread::sleep(Duration::from_secs(60));
        Ok(())
    });
    alone(blocked).start_within(Duration::from_millis(200))
}

#[polyport::test(blocks)]
#[ignore = "is run by the next one"]
async fn never_runs(_app: TestApp) {}

#[test]
fn an_application_that_blocks_its_thread_fails_its_test_and_does_not_hang_the_runner() {
    let began = Instant::now();
    let said = run("never_runs");
    assert!(unwrapped(&said).contains("not ready after 200ms"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}

#[polyport::test(bootstrap)]
#[ignore = "is run by the next one"]
async fn returns_an_error(app: TestApp) -> Result<(), Fault> {
    tracing::info!("it happened here");
    app.operation("double").call::<u32>(()).await.map(drop)
}

#[test]
fn a_test_that_returns_an_error_shows_what_happened() {
    let said = run("returns_an_error");
    assert!(said.contains("INVALID_INPUT") || said.contains("InvalidArgument"), "{said}");
    assert!(said.contains("what happened in the application"), "{said}");
    assert!(said.contains("it happened here"), "{said}");
}

/// What a test of this program says that is ignored otherwise; it has to fail.
fn run(test: &str) -> String {
    let own = std::env::current_exe().expect("is known");
    let output = Command::new(own).args([test, "--exact", "--ignored"]).output().expect("runs");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn wrong_use_is_told() {
    let tests = trybuild::TestCases::new();
    tests.compile_fail("tests/test_ui/*.rs");
}
