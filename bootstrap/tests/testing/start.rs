//! A start that goes wrong is an error of its own test.

use std::{
    future::pending,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use polyport_bootstrap::{
    Bootstrap, Error, ErrorKind, Phase, Result, module, testing::create_bootstrap,
};

use crate::support::{
    Fake, Log,
    calls::{alone, fake, soon, unwrapped},
};

/// Much less than the deadlines of the stages.
const SHORT: Duration = Duration::from_millis(200);

/// The report of a start that fails, and the exit code that it stands for.
async fn failure(bootstrap: Bootstrap) -> (String, u8) {
    let error = soon(alone(bootstrap)).await.expect_err("must not start");
    (unwrapped(&format!("{error:?}")), error.exit_code())
}

#[tokio::test]
async fn every_kind_of_failure_comes_back_with_its_exit_code() {
    let failing = |step| Bootstrap::new().load(Fake::new(&Log::default()).fails_at(step));
    for (bootstrap, code, said) in [
        (Bootstrap::new(), 70, "no framework is loaded"),
        (fake().module(module("app", |_| Err(Error::wiring("told")))), 70, "module app: told"),
        (fake().before(async |_| Err(Error::hook("told"))), 71, "before-hook 1: told"),
        (fake().on_ready(async |_| panic!("told")), 71, "panicked: told"),
        (failing("build"), 70, "framework fake: build failed"),
        (failing("bind"), 69, "framework fake: bind failed"),
        (failing("serve"), 69, "framework fake: serve failed"),
    ] {
        let (report, exit_code) = failure(bootstrap).await;
        assert!(report.contains(said), "{said}: {report}");
        assert_eq!(exit_code, code, "{report}");
    }
    let error = alone(fake()).config("startup.bind", "soon").await.expect_err("is no duration");
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Configuration, 78));
}

#[tokio::test]
async fn a_start_that_hangs_ends_at_the_tests_own_deadline_and_is_rolled_back() {
    let log = Log::default();
    let bootstrap = Bootstrap::new().load(Fake::new(&log)).on_ready(async |_| pending().await);
    let (lifecycle, start) = alone(bootstrap).start_within(SHORT).starting();
    let error = soon(start).await.expect_err("hangs");
    assert_eq!(error.kind(), ErrorKind::Deadline);
    let report = unwrapped(&format!("{error:?}"));
    assert!(report.contains("not ready after 200ms"), "{report}");
    assert!(report.contains("stage on_ready, waiting for hook on_ready"), "{report}");
    assert_eq!(log.count("default close"), 1, "is rolled back: {:?}", log.entries());
    assert_eq!(lifecycle.phase(), Phase::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_deadline_is_kept_where_the_only_worker_is_blocked() {
    let (release, released) = mpsc::channel::<()>();
    let bootstrap = fake().on_ready(async move |_| {
        // Blocks the worker, as code does that should not.
        let _ = released.recv();
        Ok(())
    });
    let began = Instant::now();
    let error = alone(bootstrap).start_within(SHORT).await.expect_err("is blocked");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let report = unwrapped(&format!("{error:?}"));
    assert!(report.contains("waiting for hook on_ready"), "{report}");
    assert!(report.contains("still being rolled back"), "{report}");
    drop(release);
}

#[tokio::test]
async fn a_start_that_is_ready_too_late_is_an_error_all_the_same() {
    let log = Log::default();
    let slow = Bootstrap::new().load(Fake::new(&log)).on_ready(async |_| {
        // The only thread of this runtime: nothing is heard meanwhile.
        thread::sleep(SHORT * 5);
        Ok(())
    });
    let (lifecycle, start) = alone(slow).start_within(SHORT).starting();
    let error = soon(start).await.expect_err("is late");
    assert_eq!(error.kind(), ErrorKind::Deadline);
    let report = unwrapped(&format!("{error:?}"));
    assert!(report.contains("the application is not ready after 200ms"), "{report}");
    assert!(report.contains("hook on_ready of the bootstrap took 1."), "{report}");
    soon(lifecycle.reached(Phase::Stopped)).await;
    assert_eq!(log.count("default close"), 1, "is stopped: {:?}", log.entries());
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_does_not_pause_the_deadline() {
    // As long as something runs the clock does not jump to the deadlines of the stage and the hook.
    let busy = fake().on_ready(async |_| {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let error = soon(alone(busy).start_within(SHORT)).await.expect_err("hangs");
    assert_eq!(error.kind(), ErrorKind::Deadline);
    let report = unwrapped(&format!("{error:?}"));
    assert!(report.contains("not ready after 200ms"), "{report}");
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_any_more_is_rolled_back() {
    let log = Log::default();
    let bootstrap = Bootstrap::new().load(Fake::new(&log)).on_ready(async |_| pending().await);
    let (lifecycle, start) = alone(bootstrap).starting();
    let ready = lifecycle.reached_stage(polyport_bootstrap::Stage::OnReady);
    tokio::select! {
        _ = start => panic!("hangs"),
        _ = ready => {}
    }
    soon(lifecycle.reached(Phase::Stopped)).await;
    assert_eq!(log.count("default close"), 1, "{:?}", log.entries());
}

#[tokio::test]
async fn an_app_that_is_dropped_stops_in_the_background() {
    let log = Log::default();
    let app = create_bootstrap(Bootstrap::new().load(Fake::new(&log))).root("none").await.unwrap();
    let (lifecycle, other) = (app.lifecycle().clone(), app.clone());
    drop(app);
    assert_eq!(lifecycle.phase(), Phase::Ready, "another handle is there");
    drop(other);
    soon(lifecycle.reached(Phase::Stopped)).await;
    assert_eq!(log.count("default close"), 1);
}

#[tokio::test]
async fn the_same_application_starts_any_number_of_times_at_once() -> Result<()> {
    let apps = (0..100).map(|_| tokio::spawn(async { alone(fake()).await }));
    let apps = futures_util::future::join_all(apps).await;
    for app in apps {
        app.expect("does not panic")?.close().await?;
    }
    Ok(())
}
