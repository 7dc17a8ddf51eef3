//! What happened in an application is known, and of which.

use std::{process::Command, sync::Arc, time::Duration};

use futures_util::future::join_all;
use polyport_bootstrap::{
    Bootstrap, Container, Error, Fault, FaultKind, Tasks,
    framework::{Recorded, RecordedKind, Witness},
    module,
    operation::{Ctx, Inject},
    testing::TestApp,
};

use crate::support::calls::{alone, answer, fake};

/// Who the application is, in its log.
struct Name(String);

async fn speak(Inject(name): Inject<Name>, Inject(tasks): Inject<Tasks>) -> Result<(), Fault> {
    tracing::info!(name = name.0, "called");
    let own = Arc::clone(&name);
    tasks.spawn("speaking", async move {
        tokio::task::yield_now().await;
        tracing::info!(name = own.0, "in the background");
        Ok(())
    });
    Ok(())
}

async fn fails(Ctx(_): Ctx) -> Result<(), Fault> {
    Err(Fault::internal(Error::other("the disk is gone")))
}

async fn say_ready(container: Container) -> polyport_bootstrap::Result<()> {
    let name = container.get::<Name>().await?;
    tracing::info!(name = name.0, "ready");
    Ok(())
}

fn application(name: &str) -> Bootstrap {
    let name = Arc::new(Name(name.to_owned()));
    let app = module("app", move |m| {
        m.provide_value(Arc::clone(&name));
        answer(m, "default", "speak", speak);
        answer(m, "default", "fails", fails);
        Ok(())
    });
    fake().module(app).on_server_ready(say_ready)
}

async fn start(name: &str) -> TestApp {
    alone(application(name)).await.expect("starts")
}

fn texts(app: &TestApp) -> Vec<String> {
    app.recorder().logs().into_iter().filter_map(|line| line.text).collect()
}

#[tokio::test]
async fn calls_and_faults_are_recorded_with_their_operation_and_request_id() {
    let app = start("a").await;
    app.operation("speak").request_id("r-1").call::<()>(()).await.expect("is answered");
    app.operation("fails").request_id("r-2").call::<()>(()).await.expect_err("fails");
    let called = app.recorder().of(RecordedKind::Called);
    assert_eq!(called.len(), 1);
    let Recorded { framework, route, operation, request_id, .. } = &called[0];
    let operation = (operation.as_deref(), request_id.as_deref());
    assert_eq!(
        (&**framework, &**route, operation),
        ("test", "speak", (Some("speak"), Some("r-1")))
    );
    let faults = app.recorder().faults();
    assert_eq!((faults.len(), faults[0].fault), (1, Some(FaultKind::Internal)));
    assert!(faults[0].text.as_ref().unwrap().contains("the disk is gone"), "{:?}", faults[0]);
    let lines = app.recorder().of_call("r-1").into_iter();
    let logged = lines.filter(|one| one.kind == RecordedKind::Logged).count();
    assert_eq!(logged, 1, "{}", app.recorder());
    app.close().await.expect("stops");
}

#[tokio::test]
async fn what_frameworks_tell_is_recorded_and_can_be_waited_for() {
    let app = alone(application("a").on_server_ready(async |_| {
        let witness = Witness::here();
        tokio::spawn(async move {
            witness.record(|| Recorded::published("amqp", "orders").text("{\"id\":7}").size(8));
        });
        Ok(())
    }));
    let app = app.await.expect("starts");
    let published = app.recorder().wait_for(|one| one.route == "orders").await;
    assert_eq!(published.json().unwrap()["id"], 7);
    assert_eq!(app.recorder().by_route(RecordedKind::Published, "orders").len(), 1);
    app.close().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_logs_of_many_applications_at_once_do_not_mix() {
    let run = |number: usize| async move {
        let name = format!("app-{number}");
        let app = start(&name).await;
        app.operation("speak").call::<()>(()).await.expect("is answered");
        app.settled().await.expect("nothing fails");
        let recorder = app.recorder().clone();
        app.close().await.expect("stops");
        (name, recorder)
    };
    for (name, recorder) in join_all((0..50).map(|number| tokio::spawn(run(number))))
        .await
        .into_iter()
        .map(Result::unwrap)
    {
        let lines: Vec<_> = recorder.logs().into_iter().filter_map(|line| line.text).collect();
        let own = format!("name={name}");
        for said in ["ready", "called", "in the background"] {
            let line = format!("{said} {own}");
            assert_eq!(lines.iter().filter(|text| **text == line).count(), 1, "{line}: {lines:?}");
        }
        assert!(lines.iter().any(|text| text.contains("stopping")), "{lines:?}");
        let others = lines.iter().filter(|text| text.contains("name=") && !text.ends_with(&own));
        assert_eq!(others.count(), 0, "{lines:?}");
    }
}

#[tokio::test]
async fn the_level_is_that_of_the_applications_own_log() {
    let quiet = alone(application("a")).config("log.level", "warn").await.expect("starts");
    let loud = alone(application("b")).config("log.level", "debug").await.expect("starts");
    for app in [&quiet, &loud] {
        app.operation("fails").call::<()>(()).await.expect_err("fails");
        app.operation("speak").call::<()>(()).await.expect("is answered");
    }
    let is_said = |app: &TestApp, text: &str| texts(app).iter().any(|line| line.starts_with(text));
    assert!(is_said(&quiet, "call failed") && !is_said(&quiet, "called"), "{}", quiet.recorder());
    assert!(is_said(&loud, "called"), "{}", loud.recorder());
    quiet.close().await.expect("stops");
    loud.close().await.expect("stops");
}

#[tokio::test]
async fn what_a_framework_leaves_out_of_the_log_is_not_recorded_either() {
    let noisy = || {
        fake().on_ready(async |_| {
            tracing::error!(target: "fake_noise", "is dealt with");
            Ok(())
        })
    };
    let app = alone(noisy()).await.expect("starts");
    assert!(!texts(&app).contains(&"is dealt with".to_owned()), "{}", app.recorder());
    app.close().await.expect("stops");
    let app = alone(noisy()).config("log.level", "info,fake_noise=error").await.expect("starts");
    assert!(texts(&app).contains(&"is dealt with".to_owned()), "is asked for: {}", app.recorder());
    app.close().await.expect("stops");
}

#[tokio::test]
#[ignore = "is run by the last one"]
async fn fails_with_a_log() {
    let app = start("the one that fails").await;
    app.operation("speak").call::<()>(()).await.expect("is answered");
    let late = app.recorder().clone();
    tokio::time::timeout(Duration::from_secs(5), app.settled()).await.unwrap().unwrap();
    assert!(late.logs().is_empty(), "fails");
}

fn failing(said: &'static str) -> polyport_bootstrap::Result<()> {
    tracing::info!("about to {said}");
    Err(Error::hook("told"))
}

#[tokio::test]
#[ignore = "is run by the last one"]
async fn does_not_start() {
    alone(fake().on_ready(async |_| failing("start"))).await.unwrap();
}

#[tokio::test]
#[ignore = "is run by the last one"]
async fn does_not_end() {
    let app = alone(fake().closed(async |_| failing("end"))).await.unwrap();
    app.close().await.unwrap();
}

#[tokio::test]
#[ignore = "is run by the last one"]
async fn ends_in_an_error() -> polyport_bootstrap::Result<()> {
    let app = start("the one that is dropped").await;
    app.operation("speak").call::<()>(()).await.expect("is answered");
    app.settled().await?;
    Err(Error::other("for another reason"))
}

#[test]
fn a_test_that_fails_shows_what_happened_and_one_that_passes_shows_nothing() {
    let run = |arguments: &[&str]| {
        let own = std::env::current_exe().expect("is known");
        let output = Command::new(own).args(arguments).output().expect("runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let failed = run(&["recorder::fails_with_a_log", "--exact", "--ignored"]);
    assert!(failed.contains("what happened in the application"), "{failed}");
    assert!(failed.contains("in the background name=the one that fails"), "{failed}");
    for (test, said) in [
        ("does_not_start", "about to start"),
        ("does_not_end", "about to end"),
        ("ends_in_an_error", "in the background name=the one that is dropped"),
    ] {
        let failed = run(&[&format!("recorder::{test}"), "--exact", "--ignored"]);
        assert_eq!(failed.matches("what happened in the application").count(), 1, "{failed}");
        assert!(failed.contains(said), "{failed}");
    }
    let passed = run(&["recorder::the_level_is", "--show-output"]);
    assert!(passed.contains("1 passed") && !passed.contains("what happened"), "{passed}");
}
