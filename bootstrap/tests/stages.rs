//! The stages of a start and a stop: who is told, who is waited for, and who is owed a call.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{future::pending, time::Duration};

use polyport_bootstrap::{
    Bootstrap, Error, ErrorKind, Lifecycle, Module, Phase, Result, Stage, StepOutcome, module,
    testing::{TestBootstrap, create_bootstrap},
};
use support::{Fake, Log};

fn fake(log: &Log) -> Bootstrap {
    Bootstrap::new().load(Fake::new(log)).root(env!("CARGO_MANIFEST_DIR"))
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("does not take that long")
}

/// A hook that writes down that it runs.
macro_rules! note {
    ($log:expr, $entry:literal) => {{
        let log = $log.clone();
        async move |_| {
            log.add($entry);
            Ok(())
        }
    }};
}

#[tokio::test]
async fn a_start_and_a_stop_go_through_all_stages_in_order_and_time_them() {
    let log = Log::default();
    let bootstrap = fake(&log).on_ready(note!(log, "ready")).closed(note!(log, "closed"));
    let app = soon(create_bootstrap(bootstrap).into_future()).await.unwrap();
    let timeline = app.timeline().clone();
    assert_eq!(app.lifecycle().stage(), Some(Stage::Serve));
    soon(app.close()).await.unwrap();

    let stages: Vec<_> = timeline.stages().iter().map(|(stage, _)| stage.as_str()).collect();
    let all = "configuration modules before build check singletons bind on_ready serve on_stopping \
               delay intake drain before_close dispose close closed";
    assert_eq!(stages.join(" "), all);
    let entries = timeline.entries();
    assert!(entries.iter().all(|entry| entry.outcome == StepOutcome::Done), "{timeline}");
    for part in ["framework fake", "hook on_ready of the bootstrap"] {
        assert!(entries.iter().any(|entry| entry.component.as_deref() == Some(part)), "{timeline}");
    }
    assert!(timeline.to_string().contains("\n  framework fake "), "{timeline}");
}

#[tokio::test]
async fn every_singleton_that_a_start_builds_has_its_name_in_the_timeline() {
    struct Pool;
    let pool = module("pool", |m| {
        m.provide_with(async || Ok::<_, Error>(Pool)).eager();
        Ok(())
    });
    let app = soon(create_bootstrap(fake(&Log::default()).module(pool)).into_future()).await;
    let app = app.unwrap();
    let entries = app.timeline().entries();
    let built = entries.iter().filter(|entry| entry.component.as_deref() == Some("Pool"));
    assert_eq!(built.map(|entry| entry.stage).collect::<Vec<_>>(), [Stage::Singletons]);
    soon(app.close()).await.unwrap();
}

#[tokio::test]
async fn a_stage_can_be_waited_for_from_elsewhere() {
    let log = Log::default();
    let (lifecycle, start) =
        create_bootstrap(fake(&log).will_ready(async |_| pending().await)).starting();
    let start = tokio::spawn(start);
    assert_eq!(soon(lifecycle.reached_stage(Stage::Singletons)).await, Some(Stage::Singletons));
    assert_eq!(lifecycle.phase(), Phase::Starting);
    lifecycle.stop("seen enough");
    let error = soon(start).await.unwrap().expect_err("was interrupted");
    assert_eq!(error.to_string(), "the start was interrupted (seen enough)");
    assert_eq!(error.stage(), Some("singletons"));
    assert_eq!(soon(lifecycle.reached_stage(Stage::Closed)).await, Some(Stage::Closed));
    assert_eq!(log.count("default bind"), 0);
}

#[tokio::test]
async fn a_hook_of_a_start_has_a_deadline_of_its_own() {
    let log = Log::default();
    let slow = module("slow", |m| {
        m.did_load(async |_| pending().await);
        Ok(())
    });
    let test = create_bootstrap(fake(&log).module(slow)).config("startup.hook", "20ms");
    let error = soon(test.into_future()).await.expect_err("must not start");
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(error.to_string(), "hook did_load of module slow: not finished after 20ms");
    assert_eq!(
        (error.stage(), error.advice().unwrap().contains("startup.hook")),
        (Some("check"), true)
    );
}

#[tokio::test]
async fn a_module_that_blocks_its_thread_is_named_at_the_deadline() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let blocks = module("blocks", move |_| {
        let _ = blocked.lock().unwrap().recv();
        Ok(())
    });
    let (lifecycle, start) = create_bootstrap(fake(&Log::default()).module(blocks)).starting();
    let start = tokio::spawn(start);
    soon(lifecycle.reached_stage(Stage::Modules)).await;
    lifecycle.stop("SIGTERM");
    let error = soon(start).await.unwrap().expect_err("was interrupted");
    assert_eq!((error.stage(), lifecycle.phase()), (Some("modules"), Phase::Stopped));
    drop(release);
}

fn recorder(name: &'static str, log: &Log, starts: bool) -> impl Module {
    let log = log.clone();
    module(name, move |m| {
        let add = |what: &'static str| {
            let log = log.clone();
            async move |_| {
                log.add(format!("{name} {what}"));
                Ok(())
            }
        };
        if starts {
            m.will_ready(add("will_ready"));
        }
        m.on_server_ready(add("on_server_ready"));
        m.on_stopping(add("on_stopping"));
        m.before_close(add("before_close"));
        m.closed(add("closed"));
        Ok(())
    })
}

#[tokio::test]
async fn a_failed_start_calls_the_stop_hooks_of_those_whose_start_hooks_were_called() {
    let log = Log::default();
    let bootstrap = fake(&log)
        .module(recorder("idle", &log, false))
        .module(recorder("busy", &log, true))
        .on_ready(async |_| Err(Error::other("no licence")));
    soon(create_bootstrap(bootstrap).into_future()).await.expect_err("must not start");
    let hooks: Vec<_> =
        log.entries().into_iter().filter(|entry| !entry.starts_with("def")).collect();
    assert_eq!(hooks, ["busy will_ready", "busy before_close", "busy closed"]);

    let log = Log::default();
    let bootstrap = fake(&log)
        .module(recorder("first", &log, false))
        .module(module("bad", |m| {
            m.on_server_ready(async |_| Err(Error::other("no licence")));
            Ok(())
        }))
        .module(recorder("last", &log, false));
    soon(create_bootstrap(bootstrap).into_future()).await.expect_err("must not start");
    let hooks: Vec<_> =
        log.entries().into_iter().filter(|entry| !entry.starts_with("def")).collect();
    let first = ["on_server_ready", "on_stopping", "before_close", "closed"];
    assert_eq!(hooks, first.map(|hook| format!("first {hook}")));
}

#[tokio::test]
async fn the_error_of_the_hook_that_asked_for_the_stop_is_in_the_result() {
    let asks = async |container: polyport_bootstrap::Container| -> Result<()> {
        container.get::<Lifecycle>().await?.stop("the hook has had enough");
        Err(Error::hook("and it failed"))
    };
    let error = soon(create_bootstrap(fake(&Log::default()).on_ready(asks)).into_future());
    let error = error.await.expect_err("must not start");
    assert_eq!(error.to_string(), "hook on_ready of the bootstrap: and it failed");

    let log = Log::default();
    let bootstrap = fake(&log).on_stopping(asks).closed(note!(log, "closed"));
    let app = soon(create_bootstrap(bootstrap).into_future()).await.unwrap();
    let error = soon(app.close()).await.expect_err("was not clean");
    assert_eq!(error.to_string(), "hook on_stopping of the bootstrap: and it failed");
    assert_eq!((error.stage(), log.count("closed")), (Some("on_stopping"), 1));
}

#[tokio::test]
async fn a_stop_hook_that_hangs_takes_nobodys_turn() {
    let log = Log::default();
    let hangs = |name| {
        module(name, |m| {
            m.before_close(async |_| pending().await);
            Ok(())
        })
    };
    let bootstrap =
        fake(&log).before_close(note!(log, "ran")).module(hangs("a")).module(hangs("b"));
    let test = create_bootstrap(bootstrap).config("shutdown.before_close", "90ms");
    let app = soon(test.into_future()).await.unwrap();
    let error = soon(app.close()).await.expect_err("was not clean");
    assert_eq!(error.parts().len(), 2, "{error:?}");
    assert_eq!(error.exit_code(), 75);
    assert_eq!((log.count("ran"), log.count("default close")), (1, 1));
}

#[tokio::test]
async fn a_framework_that_stops_serving_by_itself_stops_the_process_in_order() {
    for (how, said) in [("fails", "lost its socket"), ("panics", "panicked: failed panics")] {
        let log = Log::default();
        let bad = Fake::new(&log).named("bad");
        let bad = if how == "fails" { bad.fails_at("failed") } else { bad.panics_at("failed") };
        let bootstrap = fake(&log).load(bad).on_stopping(note!(log, "on_stopping"));
        let app = soon(create_bootstrap(bootstrap).into_future()).await.unwrap();
        let error = soon(app.wait()).await.expect_err("has failed");
        assert_eq!(error.to_string(), format!("framework fake \"bad\": {said}"));
        assert_ne!(error.exit_code(), 0);
        assert_eq!((log.count("on_stopping"), log.count("default close")), (1, 1));
    }
}

#[tokio::test]
async fn a_failure_that_somebody_reports_stops_the_process_and_decides_its_exit_code() {
    let app = soon(create_bootstrap(fake(&Log::default())).into_future()).await.unwrap();
    app.lifecycle().fail(Error::hook("the ledger is broken"));
    app.lifecycle().fail(Error::other("so is the other one"));
    let error = soon(app.wait()).await.expect_err("has failed");
    assert_eq!((error.kind(), error.parts().len()), (ErrorKind::Hook, 2));
    assert_eq!(app.lifecycle().stop_reason(), Some("the ledger is broken"));
}

#[tokio::test]
async fn what_a_framework_has_not_finished_is_counted_at_its_own_deadline() {
    let log = Log::default();
    let bootstrap = fake(&log).load(Fake::new(&log).named("stuck").hangs_at("drain"));
    let test = create_bootstrap(bootstrap).config("shutdown.drain_of.fake_stuck", "30ms");
    let app = soon(test.into_future()).await.unwrap();
    assert_eq!(app.active().iter().map(|active| active.calls).collect::<Vec<_>>(), [0, 3]);
    let error = soon(app.close()).await.expect_err("was not clean");
    assert_eq!(
        error.to_string(),
        "framework fake \"stuck\": 3 calls were cut, not finished after 30ms: 127.0.0.1:9 does not read; \
         2 outside of operations (in a mounted router, on the wire)",
    );
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Deadline, Some("drain")));
    assert_eq!(log.count("stuck close"), 1);
}

#[tokio::test]
async fn a_quiet_period_keeps_the_drain_open() {
    let quiet = Duration::from_millis(120);
    let test: TestBootstrap = create_bootstrap(fake(&Log::default()));
    let app = soon(test.config("shutdown.quiet", "120ms").into_future()).await.unwrap();
    let timeline = app.timeline().clone();
    soon(app.close()).await.unwrap();
    let stages = timeline.stages();
    let (_, drain) = stages.iter().find(|(stage, _)| *stage == Stage::Drain).unwrap();
    assert!(*drain >= quiet - Duration::from_millis(2), "{timeline}");
}

#[tokio::test]
async fn a_quiet_period_ends_with_the_drain() {
    let test = create_bootstrap(fake(&Log::default()));
    let test = test.config("shutdown.quiet", "1h").config("shutdown.drain", "50ms");
    soon(soon(test.into_future()).await.unwrap().close()).await.unwrap();
}

#[tokio::test]
async fn a_total_smaller_than_the_sum_of_the_stages_is_a_configuration_error() {
    let log = Log::default();
    let test = create_bootstrap(fake(&log));
    let test = test.config("shutdown.total", "20s").config("shutdown.delay", "1s");
    let error = soon(test.into_future()).await.expect_err("must not start");
    assert_eq!(error.exit_code(), 78);
    assert!(error.to_string().starts_with("shutdown.total is 20s, but a stop may take 31s: "));
    assert_eq!(log.count("default bind"), 0);
}
