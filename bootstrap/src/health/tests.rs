use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::time::{Instant, timeout};

use super::*;
use crate::container::{Container, ContainerBuilder};

fn container() -> Container {
    ContainerBuilder::new().build().expect("empty")
}

fn always(name: &str, answer: Result<(), &'static str>) -> HealthCheck {
    HealthCheck::new(name, move |_| async move { answer.map_err(Error::other) })
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("in time")
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_check_and_its_last_answer_is_kept() {
    let (health, container) = (Health::default(), container());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let check = HealthCheck::new("db", move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    });
    health.register(check.every(Duration::from_secs(5))).expect("is new");
    health.set_serving(true);
    let unknown = health.readiness();
    assert_eq!((unknown.ready, asked.load(Ordering::SeqCst)), (false, 0));
    assert_eq!(unknown.reason.as_deref(), Some("db has not answered yet"));

    health.begin_checks(container.downgrade()).await;
    for _ in 0..100 {
        assert!(health.readiness().ready);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    health.end_checks();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn an_error_a_panic_and_a_hang_are_reasons_and_hold_up_nobody() {
    let (health, container) = (Health::default(), container());
    let register = |check| health.register(check).expect("is new");
    register(always("fine", Ok(())));
    register(always("error", Err("no route to host")));
    register(HealthCheck::new("panic", |_| async { panic!("index out of bounds") }));
    let hang = HealthCheck::new("hang", |_| async { std::future::pending().await });
    register(hang.deadline(Duration::from_millis(700)));
    let begun = Instant::now();
    health.begin_checks(container.downgrade()).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(700));

    let reasons: Vec<_> =
        health.readiness().components.into_iter().map(|component| component.reason).collect();
    let told = |text: &str| Some(text.to_owned());
    assert_eq!(
        reasons,
        [
            None,
            told("no route to host"),
            told("panicked: index out of bounds"),
            told("no answer after 700ms")
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_blocks_its_thread_is_down_and_is_not_asked_again_meanwhile() {
    let (health, container) = (Health::default(), container());
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (own, count) = (Arc::clone(&blocked), Arc::clone(&asked));
    let check = HealthCheck::new("blocks", move |_| {
        let (own, count) = (Arc::clone(&own), Arc::clone(&count));
        async move {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            // Until the test lets go.
            let _ = own.lock().map(|blocked| blocked.recv());
            Ok(())
        }
    });
    let check = check.deadline(Duration::from_millis(50)).every(Duration::from_millis(10));
    health.register(check).expect("is new");
    soon(health.begin_checks(container.downgrade())).await;
    let reason = health.readiness().components.remove(0).reason;
    assert_eq!(reason.as_deref(), Some("no answer after 50ms"));
    // Many times the pause.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    drop(release);
}

#[tokio::test(start_paused = true)]
async fn a_component_that_is_not_critical_degrades() {
    let (health, container) = (Health::default(), container());
    health.register(always("cache", Err("cold")).critical(false)).expect("is new");
    health.set_serving(true);
    health.begin_checks(container.downgrade()).await;
    let readiness = health.readiness();
    assert_eq!((readiness.ready, readiness.status), (true, HealthStatus::Degraded));
    assert_eq!(readiness.reason.as_deref(), Some("cache is down: cold"));
    health.set_serving(false);
    assert_eq!(health.readiness().reason.as_deref(), Some("the process is stopping"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_sees_a_component_fall_and_rise() {
    let (health, container) = (Health::default(), container());
    let up = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&up);
    let check = HealthCheck::new("db", move |_| {
        let up = state.load(Ordering::SeqCst);
        async move { if up { Ok(()) } else { Err(Error::other("gone")) } }
    });
    health.register(check).expect("is new");
    health.set_serving(true);
    health.begin_checks(container.downgrade()).await;
    let mut watch = health.watch();
    assert!(watch.readiness().ready);
    for ready in [false, true] {
        up.store(ready, Ordering::SeqCst);
        soon(watch.changed()).await;
        assert_eq!(watch.readiness().ready, ready);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_registered_while_serving_is_asked_at_once() {
    let (health, container) = (Health::default(), container());
    health.set_serving(true);
    health.begin_checks(container.downgrade()).await;
    let mut watch = health.watch();
    health.register(always("late", Ok(()))).expect("is new");
    assert!(!watch.readiness().ready);
    soon(watch.changed()).await;
    assert!(watch.readiness().ready);
}

#[test]
fn two_of_one_name_are_refused() {
    let health = Health::default();
    health.register(always("db", Ok(()))).expect("is new");
    let error = health.register(always("db", Ok(()))).expect_err("is taken");
    assert_eq!(error.exit_code(), 70);
}

#[tokio::test(start_paused = true)]
async fn the_end_drops_what_checks_hold() {
    let (health, container) = (Health::default(), container());
    let held = Arc::new(());
    let watched = Arc::downgrade(&held);
    let check = HealthCheck::new("db", move |_| {
        let held = Arc::clone(&held);
        async move {
            let _held = held;
            std::future::pending().await
        }
    });
    health.register(check.deadline(Duration::from_secs(1))).expect("is new");
    health.begin_checks(container.downgrade()).await;
    health.end_checks();
    soon(async {
        while watched.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[test]
fn a_start_that_was_finished_stays_finished() {
    let health = Health::default();
    assert_eq!(health.readiness().reason.as_deref(), Some("the process is starting"));
    assert!(!health.startup().started);
    health.set_serving(true);
    health.set_serving(false);
    assert!(health.startup().started);
}

#[test]
fn the_answers_read_well_as_json() {
    let health = Health::default();
    health.set_serving(true);
    health.indicator("amqp").critical(false).down("refused");
    let mut json = serde_json::to_value(health.readiness()).expect("JSON");
    let since = json["components"][0]["since"].take();
    assert!(since.as_str().is_some_and(|since| since.ends_with('Z')), "{since}");
    let component = json!({
        "name": "amqp", "status": "down", "critical": false, "reason": "refused", "since": null
    });
    let whole = json!({
        "ready": true,
        "status": "degraded",
        "reason": "amqp is down: refused",
        "components": [component],
    });
    assert_eq!(json, whole);
    assert_eq!(serde_json::to_value(health.liveness()).expect("JSON"), json!({"status": "up"}));
}
