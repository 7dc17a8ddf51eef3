use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout},
};

use super::*;
use crate::{
    Phase,
    config::{ConfigBuilder, Environment},
};

const LIMIT: Duration = Duration::from_secs(10);

fn tasks() -> (Tasks, Lifecycle) {
    with("stop")
}

fn with(on_failure: &str) -> (Tasks, Lifecycle) {
    let config = ConfigBuilder::new(Environment::unittest(), "no/such/folder")
        .override_value("tasks.on_failure", on_failure);
    let lifecycle = Lifecycle::default();
    (Tasks::new(lifecycle.clone(), config.build().expect("fits"), Default::default()), lifecycle)
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(600), future).await.expect("in time")
}

async fn drained(tasks: &Tasks) -> Option<Error> {
    soon(tasks.drain(LIMIT, async {})).await.1
}

#[tokio::test(start_paused = true)]
async fn a_task_is_named_while_it_runs_and_counted_afterwards() {
    let (tasks, _) = tasks();
    let (end, ended) = oneshot::channel::<()>();
    let handle = tasks.spawn("mailer", async {
        let _ = ended.await;
        Ok(())
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    let active = tasks.active();
    assert_eq!((active.len(), &*active[0].task, active[0].running), (1, "mailer", 1));
    assert!(!handle.is_finished());
    end.send(()).expect("it waits");
    assert!(drained(&tasks).await.is_none());
    let counts = tasks.counts();
    assert_eq!((counts.running, counts.finished, counts.cancelled), (0, 1, 0));
    assert!(handle.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_failure_and_a_panic_stop_the_process_by_default() {
    for panics in [false, true] {
        let (tasks, lifecycle) = tasks();
        tasks.spawn("importer", async move {
            assert!(!panics, "row 7 is broken");
            Err(Error::other("row 7 is broken"))
        });
        soon(lifecycle.stop_requested()).await;
        let [error] = lifecycle.take_failures().try_into().expect("one");
        assert_eq!(error.exit_code(), 71);
        let text = error.to_string();
        assert!(text.contains("task importer") && text.contains("row 7"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_keeps_its_kind_and_so_the_exit_code() {
    let (tasks, lifecycle) = tasks();
    tasks.spawn("sync", async { Err(Error::connection("the peer is gone")) });
    soon(lifecycle.stop_requested()).await;
    assert_eq!(lifecycle.take_failures()[0].exit_code(), 69);
}

#[tokio::test(start_paused = true)]
async fn what_is_only_logged_stops_nothing() {
    let (tasks, lifecycle) = with("log");
    tasks.spawn("a", async { Err(Error::other("gone")) });
    tasks.spawn_fn("b", || async { panic!("gone") });
    assert!(drained(&tasks).await.is_none());
    assert_eq!(tasks.counts().failed, 2);
    assert_eq!(lifecycle.phase(), Phase::Starting);
    assert!(lifecycle.stop_reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_task_is_begun_anew_with_growing_delays_until_it_ends_well() {
    let (tasks, lifecycle) = with("restart");
    let runs = Arc::new(AtomicUsize::new(0));
    let (count, done) = (Arc::clone(&runs), Arc::new(Notify::new()));
    let told = Arc::clone(&done);
    tasks.spawn_fn("poller", move || {
        let (run, told) = (count.fetch_add(1, Ordering::SeqCst), Arc::clone(&told));
        async move {
            match run {
                0 => Err(Error::other("refused")),
                1 => panic!("refused"),
                _ => {
                    told.notify_one();
                    Ok(())
                }
            }
        }
    });
    soon(done.notified()).await;
    assert!(drained(&tasks).await.is_none());
    let counts = tasks.counts();
    assert_eq!((counts.failed, counts.restarted, counts.finished), (2, 2, 1));
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert!(lifecycle.stop_reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_future_cannot_be_begun_anew_and_so_stops_the_process() {
    let (tasks, lifecycle) = with("restart");
    tasks.spawn("once", async { Err(Error::other("gone")) });
    soon(lifecycle.stop_requested()).await;
    assert_eq!(lifecycle.take_failures().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_task_says_for_itself_counts_more_than_the_setting() {
    let (tasks, lifecycle) = with("stop");
    let fails = || async { Err(Error::other("gone")) };
    tasks.task("a").on_failure(OnTaskFailure::Log).spawn(fails());
    soon(tasks.0.register.idle()).await;
    assert!(lifecycle.stop_reason().is_none());

    let hour = Duration::from_secs(3600);
    let slow = BackoffSettings { first: hour, last: hour };
    tasks.task("b").on_failure(OnTaskFailure::Restart).back_off(slow).spawn_fn(fails);
    while tasks.counts().failed < 2 {
        tokio::task::yield_now().await;
    }
    assert!(drained(&tasks).await.is_none());
    assert!(lifecycle.stop_reason().is_none());
    assert_eq!(tasks.counts().running, 0);
}

#[tokio::test(start_paused = true)]
async fn tasks_see_the_stop_and_are_waited_for() {
    let (tasks, _) = tasks();
    let own = tasks.clone();
    tasks.spawn("heeds", async move {
        own.stopping().await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        Ok(())
    });
    let token = tasks.token();
    assert!(!token.is_cancelled() && !tasks.is_stopping());
    tokio::task::yield_now().await;
    let begun = Instant::now();
    assert!(drained(&tasks).await.is_none());
    assert_eq!(begun.elapsed(), Duration::from_secs(4));
    assert!(token.is_cancelled() && tasks.is_stopping());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_cancelled_at_the_deadline_and_named() {
    let (tasks, _) = tasks();
    let (held, watched) = oneshot::channel::<()>();
    tasks.spawn("stubborn", async move {
        let _held = held;
        pending().await
    });
    tasks.spawn("stubborn", pending());
    tasks.spawn("fine", async { Ok(()) });
    let begun = Instant::now();
    let error = drained(&tasks).await.expect("two are cut");
    assert_eq!(begun.elapsed(), LIMIT);
    assert_eq!(error.exit_code(), 75);
    let text = error.to_string();
    assert!(text.contains("2 tasks were cut, not finished after 10s: stubborn: 2 for"), "{text}");
    soon(watched).await.expect_err("the task is dropped");
    assert_eq!((tasks.counts().cancelled, tasks.counts().running), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_can_begin_tasks_that_are_drained_too() {
    let (tasks, _) = tasks();
    let own = tasks.clone();
    let call = async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        own.spawn("follow-up", async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok(())
        });
        "answered"
    };
    let begun = Instant::now();
    let (answer, cut) = soon(tasks.drain(LIMIT, call)).await;
    assert_eq!(
        (answer, cut.is_none(), begun.elapsed()),
        ("answered", true, Duration::from_secs(6))
    );
    assert_eq!(tasks.counts().finished, 1);
}

#[tokio::test(start_paused = true)]
async fn tasks_are_cut_at_their_own_deadline_while_calls_go_on() {
    let (tasks, _) = tasks();
    let handle = tasks.spawn("stubborn", pending());
    let watched = handle.clone();
    let call = async move {
        tokio::time::sleep(LIMIT * 2).await;
        watched.is_finished()
    };
    let (was_finished, cut) = soon(tasks.drain(LIMIT, call)).await;
    assert!(was_finished && cut.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_comes_too_late_is_not_begun_and_reported() {
    let (tasks, lifecycle) = tasks();
    assert!(drained(&tasks).await.is_none());
    let handle = tasks.spawn("late", async { panic!("must not run") });
    assert!(handle.is_finished());
    let [error] = lifecycle.take_failures().try_into().expect("one");
    assert!(error.to_string().contains("task late: not begun"), "{error}");
    assert_eq!(tasks.counts(), TaskCounts::default());
}

#[tokio::test(start_paused = true)]
async fn a_task_can_be_cancelled_by_its_handle() {
    let (tasks, lifecycle) = tasks();
    let handle = tasks.spawn("unwanted", pending());
    handle.cancel();
    soon(tasks.0.register.idle()).await;
    assert_eq!(tasks.counts().cancelled, 1);
    assert_eq!((handle.name(), lifecycle.stop_reason()), ("unwanted", None));
}

#[tokio::test]
async fn a_task_that_blocks_its_thread_does_not_hold_up_the_stop() {
    let (tasks, _) = tasks();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
    let runtime = runtime.expect("a runtime");
    {
        let _inside = runtime.enter();
        tasks.spawn("blocks", async move {
            let _ = released.recv();
            Ok(())
        });
    }
    let cut = timeout(LIMIT, tasks.drain(Duration::from_millis(50), async {})).await;
    assert!(cut.expect("ends").1.is_some());
    drop(release);
    runtime.shutdown_background();
}

#[test]
fn settings_are_read_as_people_write_them() {
    let json = r#"{"on_failure":"restart","back_off":{"first":"1s"}}"#;
    let settings: TaskSettings = serde_json::from_str(json).expect("fits");
    assert_eq!(settings.on_failure, OnTaskFailure::Restart);
    let bounds = (settings.back_off.first, settings.back_off.last);
    assert_eq!(bounds, (Duration::from_secs(1), Duration::from_secs(30)));
    assert!(serde_json::from_str::<TaskSettings>(r#"{"on_failure":"ignore"}"#).is_err());
}
