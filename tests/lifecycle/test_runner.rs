//! `create_bootstrap` in a test runner: an entry that goes wrong is an error of its own test, and
//! of no other.

use std::{future::pending, process::Command, time::Instant};

use polyport::{prelude::*, testing::create_bootstrap};

use crate::program::{PATIENCE, within};

/// An application whose entry is this hook.
fn entry(hook: impl Future<Output = Result<()>> + Send + 'static) -> Bootstrap {
    Bootstrap::new().load(HttpFramework::new()).before(move |_| hook)
}

async fn start_error(bootstrap: Bootstrap) -> String {
    let error = within(create_bootstrap(bootstrap)).await.expect_err("must not start");
    format!("{error:?}")
}

#[tokio::test]
async fn an_entry_that_fails_is_an_error() {
    let report = start_error(entry(async { Err(Error::other("the entry has failed")) })).await;
    assert!(report.contains("before-hook 1: the entry has failed"), "{report}");
}

#[tokio::test]
async fn an_entry_that_panics_is_an_error() {
    let report = start_error(entry(async { panic!("the entry has panicked") })).await;
    assert!(report.contains("panicked: the entry has panicked"), "{report}");
}

#[tokio::test]
async fn an_entry_that_hangs_is_an_error_at_the_time_limit_of_the_test() {
    let began = Instant::now();
    let hangs = create_bootstrap(entry(pending())).config("startup.before", "300ms");
    let error = within(hangs).await.expect_err("must not start");
    assert!(began.elapsed() < PATIENCE / 3, "{:?}", began.elapsed());
    let report = format!("{error:?}");
    assert!(report.contains("stage before, waiting for before-hook 1"), "{report}");
}

#[tokio::test]
#[should_panic(expected = "the entry has failed")]
async fn a_test_that_does_not_expect_it_fails_with_the_report() {
    let failed = entry(async { Err(Error::other("the entry has failed")) });
    create_bootstrap(failed).await.expect("starts");
}

#[tokio::test]
async fn the_next_test_starts_and_is_served() {
    let app = within(create_bootstrap(entry(async { Ok(()) }))).await.expect("starts");
    let address = app.addresses()[0].address.expect("is bound");
    std::net::TcpStream::connect(address).expect("is served");
    within(app.close()).await.expect("stops");
}

#[test]
fn a_test_runner_outlives_every_entry_that_goes_wrong() {
    let own = std::env::current_exe().expect("is known");
    let tests = ["test_runner::a_test_that", "test_runner::an_entry", "test_runner::the_next"];
    // All of them in one process, whoever runs this.
    let output = Command::new(own).args(tests).args(["--test-threads", "1"]).output();
    let output = output.expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("test result: ok. 5 passed; 0 failed"), "{said}");
}
