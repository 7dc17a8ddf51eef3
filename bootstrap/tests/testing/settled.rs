//! When all that a call has caused has ended.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use polyport_bootstrap::{
    Bootstrap, Error, Fault, OnTaskFailure, Tasks, framework::RecordedKind, module,
    operation::Inject, testing::TestApp,
};
use tokio::{
    sync::oneshot,
    time::{interval, sleep},
};

use crate::support::calls::{alone, answer, fake};

const HOUR: Duration = Duration::from_secs(3600);

/// How many tasks have come to their end.
#[derive(Default)]
struct Ended(AtomicUsize);

/// Begins a task, which begins another, which takes its time.
async fn ripple(Inject(tasks): Inject<Tasks>, Inject(ended): Inject<Ended>) -> Result<(), Fault> {
    let (own, second) = ((*tasks).clone(), Arc::clone(&ended));
    tasks.spawn("first", async move {
        sleep(Duration::from_millis(20)).await;
        own.spawn("second", async move {
            sleep(Duration::from_millis(20)).await;
            second.0.fetch_add(1, SeqCst);
            Ok(())
        });
        Ok(())
    });
    Ok(())
}

async fn breaks(Inject(tasks): Inject<Tasks>) -> Result<(), Fault> {
    let failing = async { Err(Error::other("the index is full")) };
    tasks.task("indexing").on_failure(OnTaskFailure::Log).spawn(failing);
    Ok(())
}

async fn subscribe(Inject(tasks): Inject<Tasks>) -> Result<(), Fault> {
    tasks.spawn("subscription", pending());
    Ok(())
}

/// Works every hour from now on, three times.
async fn schedule(Inject(tasks): Inject<Tasks>, Inject(ended): Inject<Ended>) -> Result<(), Fault> {
    tasks.spawn("hourly", async move {
        let mut hours = interval(HOUR);
        for _ in 0..3 {
            hours.tick().await;
            ended.0.fetch_add(1, SeqCst);
        }
        Ok(())
    });
    Ok(())
}

/// Begins a task that is begun anew where it fails, which it does twice.
async fn recovers(Inject(tasks): Inject<Tasks>, Inject(ended): Inject<Ended>) -> Result<(), Fault> {
    begin_flaky(&tasks, &ended);
    Ok(())
}

fn begin_flaky(tasks: &Tasks, ended: &Arc<Ended>) {
    let ended = Arc::clone(ended);
    tasks.task("flaky").on_failure(OnTaskFailure::Restart).spawn_fn(move || {
        let attempt = ended.0.fetch_add(1, SeqCst);
        async move { if attempt < 2 { Err(Error::other("not yet")) } else { Ok(()) } }
    });
}

async fn broken() -> Result<(), Fault> {
    Err(Fault::internal(Error::other("the disk is gone")))
}

async fn refused() -> Result<(), Fault> {
    Err(Fault::not_found("NOBODY", "nobody is there"))
}

fn application() -> Bootstrap {
    fake().module(module("app", |m| {
        m.provide_value(Arc::new(Ended::default()));
        answer(m, "default", "ripple", ripple);
        answer(m, "default", "breaks", breaks);
        answer(m, "default", "subscribe", subscribe);
        answer(m, "default", "schedule", schedule);
        answer(m, "default", "recovers", recovers);
        answer(m, "default", "broken", broken);
        answer(m, "default", "refused", refused);
        Ok(())
    }))
}

async fn start() -> TestApp {
    alone(application()).config("shutdown.drain", "50ms").await.expect("starts")
}

async fn call(app: &TestApp, name: &str) -> Result<(), Fault> {
    app.operation(name).call(()).await
}

#[tokio::test]
async fn what_a_call_causes_is_waited_for_and_what_that_causes_too() {
    let app = start().await;
    let ended = app.container().try_get::<Ended>().expect("is there");
    for round in 1..=20 {
        call(&app, "ripple").await.expect("begins");
        app.settled().await.expect("nothing fails");
        assert_eq!(ended.0.load(SeqCst), round);
    }
    app.close().await.expect("stops");
}

#[tokio::test]
async fn a_background_task_that_fails_is_named() {
    let app = start().await;
    call(&app, "breaks").await.expect("begins");
    let error = app.settled().await.expect_err("the task fails");
    assert_eq!(error.to_string(), "task indexing: the index is full");
    app.settled().await.expect("is told once");
    app.close().await.expect("stops");
}

#[tokio::test]
async fn an_internal_fault_is_a_failure_and_a_refusal_is_none() {
    let app = start().await;
    call(&app, "refused").await.expect_err("is refused");
    app.settled().await.expect("that is an answer like any other");
    call(&app, "broken").await.expect_err("fails");
    let error = app.settled().await.expect_err("is internal").to_string();
    assert!(error.contains("operation broken (TEST broken), request "), "{error}");
    assert!(error.contains("the disk is gone"), "{error}");
    app.close().await.expect("stops");
}

#[tokio::test]
async fn what_does_not_end_is_named_at_the_limit() {
    let app = start().await;
    call(&app, "subscribe").await.expect("begins");
    let error = app.settled_within(Duration::from_millis(50)).await.expect_err("goes on");
    let said = error.to_string();
    assert!(said.contains("not settled after 50ms: background task subscription for"), "{said}");
    app.close().await.expect_err("is cut");
}

#[tokio::test]
async fn a_task_that_a_hook_has_begun_may_go_on() {
    let polling = application().on_server_ready(async |container| {
        container.get::<Tasks>().await?.spawn("poller", pending());
        Ok(())
    });
    let app = alone(polling).config("shutdown.drain", "50ms").await.expect("starts");
    app.settled().await.expect("waits for calls only");
    app.close().await.expect_err("is cut");
}

#[tokio::test]
async fn a_task_that_a_hooks_task_has_begun_may_go_on_too() {
    let supervised = application().on_server_ready(async |container| {
        let tasks = container.get::<Tasks>().await?;
        let (own, (begins, has_begun)) = (Tasks::clone(&tasks), oneshot::channel());
        tasks.spawn("supervisor", async move {
            own.spawn("worker", pending());
            let _ = begins.send(());
            pending().await
        });
        has_begun.await.map_err(|_| Error::other("has ended"))
    });
    let app = alone(supervised).config("shutdown.drain", "50ms").await.expect("starts");
    let settled = app.settled_within(Duration::from_millis(200)).await;
    settled.expect("waits for what calls have begun");
    app.close().await.expect_err("is cut");
}

#[tokio::test(start_paused = true)]
async fn a_hooks_task_that_is_begun_anew_is_no_failure_of_a_call() {
    let polling = application().on_server_ready(async |container| {
        begin_flaky(&*container.get::<Tasks>().await?, &container.get::<Ended>().await?);
        Ok(())
    });
    let app = alone(polling).await.expect("starts");
    sleep(HOUR).await;
    let ended = app.container().try_get::<Ended>().expect("is there");
    assert_eq!(ended.0.load(SeqCst), 3, "has failed twice");
    app.settled().await.expect("no call has caused that");
    drop(ended);
    app.close().await.expect("stops");
}

#[tokio::test(start_paused = true)]
async fn a_task_of_a_call_that_recovers_is_waited_for_and_is_no_failure() {
    let app = start().await;
    call(&app, "recovers").await.expect("begins");
    app.settled().await.expect("ends well");
    let ended = app.container().try_get::<Ended>().expect("is there");
    assert_eq!(ended.0.load(SeqCst), 3);
    drop(ended);
    app.close().await.expect("stops");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_a_call_has_begun_is_waited_for_to_its_end() {
    let app = start().await;
    call(&app, "schedule").await.expect("begins");
    app.settled().await.expect("two hours pass at once");
    let ended = app.container().try_get::<Ended>().expect("is there");
    assert_eq!(ended.0.load(SeqCst), 3);
    drop(ended);
    app.close().await.expect("stops");
}

#[tokio::test(start_paused = true)]
async fn what_happens_in_hours_can_be_waited_for_where_the_clock_stands_still() {
    let app = start().await;
    let caller = app.clone();
    tokio::spawn(async move {
        sleep(HOUR).await;
        call(&caller, "refused").await.expect_err("is refused");
    });
    let faulted = app.recorder().wait_for(|one| one.kind == RecordedKind::Faulted).await;
    assert_eq!(faulted.reason.as_deref(), Some("NOBODY"));
    tokio::task::yield_now().await;
    app.close().await.expect("stops");
}
