//! A clock that stands still, from end to end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use polyport_bootstrap::{
    Backoff, Error, HealthCheck, HealthStatus, OnTaskFailure, Result, Tasks, module,
};
use tokio::time::{Instant, advance, interval, pause, sleep};

use crate::support::calls::{alone, fake};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(start_paused = true)]
async fn a_schedule_runs_as_often_as_the_test_says() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let nightly = fake().on_server_ready(async move |container| {
        let tasks = container.get::<Tasks>().await?;
        let stop = tasks.token();
        tasks.spawn("nightly", async move {
            let mut nights = interval(DAY);
            while stop.run_until_cancelled(nights.tick()).await.is_some() {
                counted.fetch_add(1, SeqCst);
            }
            Ok(())
        });
        Ok(())
    });
    let app = alone(nightly).await.expect("starts");
    sleep(DAY * 7 + Duration::from_secs(1)).await;
    assert_eq!(runs.load(SeqCst), 8, "at once, and every night");
    app.close().await.expect("stops");
}

#[tokio::test(start_paused = true)]
async fn a_component_is_asked_again_when_its_time_has_come() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let check = HealthCheck::new("disk", move |_| {
        let ask = counted.fetch_add(1, SeqCst);
        async move { if ask == 0 { Ok(()) } else { Err(Error::other("full")) } }
    });
    let app = alone(fake().health(check.every(DAY))).await.expect("starts");
    let health = app.container().try_get::<polyport_bootstrap::Health>().expect("is there");
    assert_eq!(health.readiness().status, HealthStatus::Up);
    sleep(DAY + Duration::from_secs(1)).await;
    assert_eq!(health.readiness().status, HealthStatus::Down);
    app.close().await.expect("stops");
}

/// A stop of which one part takes its time.
async fn stop(config: &[(&str, &str)]) -> Result<()> {
    let slow = fake().on_stopping(async |_| {
        sleep(Duration::from_secs(20)).await;
        Ok(())
    });
    let app = config.iter().fold(alone(slow), |app, (key, value)| app.config(*key, *value));
    app.await.expect("starts").close().await
}

#[tokio::test(start_paused = true)]
async fn the_stop_of_a_test_has_patience_unless_the_configuration_says_otherwise() {
    stop(&[]).await.expect("a busy machine is no fault of the application");
    stop(&[("shutdown.total", "30s")]).await.expect("which is what it may take where it runs");
    let error = stop(&[("shutdown.on_stopping", "2s")]).await.expect_err("is what was asked for");
    assert_eq!(error.exit_code(), 75, "{error:?}");
}

#[tokio::test]
async fn a_test_can_pause_the_clock_when_the_application_serves() {
    let app = alone(fake()).await.expect("starts");
    pause();
    let began = Instant::now();
    sleep(DAY).await;
    assert!(began.elapsed() >= DAY, "{:?}", began.elapsed());
    app.close().await.expect("stops");
}

#[tokio::test(start_paused = true)]
async fn delays_begin_anew_by_the_clock_that_the_test_moves() {
    let most = Duration::from_secs(1);
    let mut backoff = Backoff::new(Duration::from_millis(1), most);
    let longest = (0..64).map(|_| backoff.next_delay()).max().unwrap();
    assert!(longest > Duration::from_millis(100), "has grown: {longest:?}");
    advance(DAY).await;
    assert!(backoff.next_delay() <= Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_begun_anew_waits_by_that_clock() -> Result<()> {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    let failing =
        fake().module(module("app", |_| Ok(()))).on_server_ready(async move |container| {
            let tasks = container.get::<Tasks>().await?;
            tasks.task("poller").on_failure(OnTaskFailure::Restart).spawn_fn(move || {
                let attempt = counted.fetch_add(1, SeqCst);
                async move { if attempt < 20 { Err(Error::other("not yet")) } else { Ok(()) } }
            });
            Ok(())
        });
    let app = alone(failing).await?;
    sleep(DAY).await;
    assert_eq!(begun.load(SeqCst), 21);
    app.close().await
}
