//! What an application leaves is named when it is closed.

use std::{
    future::pending,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use polyport_bootstrap::{
    Bootstrap, Container, Fault, Provide, Result, Tasks,
    framework::{Leftover, Mark, Witness},
    module,
    operation::Inject,
    testing::TestApp,
};
use tokio::sync::Notify;

use crate::support::calls::{alone, answer, fake, soon, unwrapped};

#[derive(Provide)]
struct Pool;

#[derive(Provide)]
#[provide(eager)]
struct Users {
    #[inject]
    _pool: Arc<Pool>,
}

fn with_users() -> Bootstrap {
    fake().module(module("users", |m| {
        m.provide::<Pool>();
        m.provide::<Users>();
        Ok(())
    }))
}

async fn start(bootstrap: Bootstrap) -> TestApp {
    alone(bootstrap).await.expect("starts")
}

async fn report(app: TestApp) -> String {
    unwrapped(&format!("{:?}", soon(app.close()).await.expect_err("leaves something")))
}

#[tokio::test]
async fn an_application_that_leaves_nothing_ends_cleanly() {
    let app = start(with_users()).await;
    app.container().get::<Users>().await.expect("is built");
    app.close().await.expect("leaves nothing");
}

#[tokio::test]
async fn a_singleton_that_somebody_still_holds_is_named_with_its_count() {
    let app = start(with_users()).await;
    let pool = app.container().get::<Pool>().await.expect("is built");
    let other = Arc::clone(&pool);
    let report = report(app).await;
    assert!(report.contains("Pool (module users): 2 Arcs of it are still held"), "{report}");
    assert!(!report.contains("Users (module"), "nobody holds it: {report}");
    drop((pool, other));
}

#[tokio::test]
async fn a_container_that_somebody_still_holds_is_named_and_not_all_that_is_in_it() {
    let app = start(with_users()).await;
    let container: Container = app.container().clone();
    let report = report(app).await;
    assert!(report.contains("the container was left: 1 of its handles"), "{report}");
    assert!(!report.contains("a singleton was left"), "{report}");
    drop(container);
}

#[tokio::test]
async fn a_value_that_the_test_has_handed_in_may_be_held() {
    let pool = Arc::new(Pool);
    let app = alone(with_users()).override_value(Arc::clone(&pool)).await.expect("starts");
    app.close().await.expect("leaves nothing of its own");
    drop(pool);
}

#[tokio::test]
async fn what_is_left_on_purpose_is_no_error() {
    let app = alone(with_users()).may_leave(Leftover::Singleton).await.expect("starts");
    let pool = app.container().get::<Pool>().await.expect("is built");
    app.close().await.expect("is allowed");
    drop(pool);
}

#[tokio::test]
async fn a_handle_that_somebody_still_holds_is_named_since_singletons_cannot_be_looked_at() {
    let app = start(with_users()).await;
    let pool = app.container().get::<Pool>().await.expect("is built");
    let other = app.clone();
    let said = report(app).await;
    let unseen = "singletons were not looked at: 1 further handle of TestApp is still held";
    assert!(said.contains(unseen), "{said}");
    let said = report(other).await;
    assert!(said.contains("1 Arc of it is still held"), "{said}");
    drop(pool);

    let app = alone(with_users()).may_leave(Leftover::Singleton).await.expect("starts");
    let other = app.clone();
    app.close().await.expect("is allowed");
    drop(other);
}

async fn blocks(Inject(gate): Inject<Gate>) -> Result<(), Fault> {
    gate.entered.notify_one();
    let gate = gate.opened.lock().unwrap().take().expect("one call");
    // Blocks its thread, as code does that should not.
    let _ = gate.recv();
    Ok(())
}

struct Gate {
    entered: Notify,
    opened: Mutex<Option<mpsc::Receiver<()>>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_cannot_be_cut_is_named_and_not_what_it_holds() {
    let (open, opened) = mpsc::channel::<()>();
    let gate = Arc::new(Gate { entered: Notify::new(), opened: Mutex::new(Some(opened)) });
    let provided = Arc::clone(&gate);
    let blocking = fake().module(module("app", move |m| {
        m.provide_value(Arc::clone(&provided));
        answer(m, "default", "blocks", blocks);
        Ok(())
    }));
    let app = start(blocking).await;
    let call = tokio::spawn(app.operation("blocks").call::<()>(()));
    soon(gate.entered.notified()).await;
    let report = report(app).await;
    assert!(report.contains("a call was left: blocks (FAKE blocks)"), "{report}");
    assert!(!report.contains("container was left"), "holds it: {report}");
    drop(open);
    soon(call).await.expect("ends").expect("answers");
}

#[tokio::test(start_paused = true)]
async fn how_long_a_task_has_run_is_told_by_the_clock_of_the_test() {
    let app = start(fake().on_server_ready(never_ends)).await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    let report = report(app).await;
    assert!(report.contains("forever: 1 for up to 60.0 s"), "50, and 10 of the drain: {report}");
}

/// What a framework leaves open, in the words of the test.
fn leaving(kind: Leftover, what: &'static str) -> (Bootstrap, Arc<Mutex<Option<Mark>>>) {
    let kept = Arc::new(Mutex::new(None));
    let keeps = Arc::clone(&kept);
    let bootstrap = fake().on_ready(async move |_| {
        *keeps.lock().unwrap() = Some(Witness::here().mark(kind, || what.to_owned()));
        Ok(())
    });
    (bootstrap, kept)
}

#[tokio::test]
async fn whatever_a_framework_leaves_open_is_named() {
    for (kind, what, said) in [
        (Leftover::Connection, "http 127.0.0.1:7", "a connection was left: http 127.0.0.1:7"),
        (Leftover::Listener, "http 127.0.0.1:8", "a listener was left: http 127.0.0.1:8"),
        (Leftover::Message, "orders 17", "a message was left: orders 17"),
    ] {
        let (bootstrap, kept) = leaving(kind, what);
        let report = report(start(bootstrap).await).await;
        assert!(report.contains(said), "{report}");
        assert!(report.contains(&format!("may_leave(Leftover::{kind:?})")), "{report}");
        drop(kept);
        let (bootstrap, kept) = leaving(kind, what);
        let app = alone(bootstrap).may_leave(kind).await.expect("starts");
        app.close().await.expect("is allowed");
        drop(kept);
    }
}

async fn never_ends(container: Container) -> Result<()> {
    container.get::<Tasks>().await?.spawn("forever", pending());
    Ok(())
}

#[tokio::test]
async fn a_background_task_that_does_not_end_is_named_or_allowed() {
    let app = alone(fake().on_server_ready(never_ends)).config("shutdown.drain", "50ms");
    let report = report(app.await.expect("starts")).await;
    assert!(report.contains("1 task was cut, not finished after 50ms: forever: 1"), "{report}");

    let app = alone(fake().on_server_ready(never_ends)).may_leave(Leftover::Task);
    soon(app.await.expect("starts").close()).await.expect("is allowed, and takes no 10 s");
}

#[tokio::test]
async fn all_that_is_left_is_in_one_report() {
    let (bootstrap, kept) = leaving(Leftover::Message, "orders 17");
    let bootstrap = bootstrap.module(module("users", |m| {
        m.provide::<Pool>();
        Ok(())
    }));
    let app = alone(bootstrap.closed(async |_| Err(polyport_bootstrap::Error::hook("no end"))));
    let app = app.await.expect("starts");
    let pool = app.container().get::<Pool>().await.expect("is built");
    let report = report(app).await;
    for said in ["no end", "a message was left: orders 17", "a singleton was left: Pool"] {
        assert!(report.contains(said), "{said}: {report}");
    }
    drop((pool, kept));
}
