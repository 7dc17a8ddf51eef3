//! Background tasks that calls begin, and what becomes of them and of the process.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use polyport_bootstrap::{
    Bootstrap, Error, Fault, OnTaskFailure, Phase, Tasks, module,
    operation::Inject,
    testing::{TestApp, create_bootstrap},
};
use polyport_http::{HttpModule, testing::HttpTest};
use support::{bootstrap, within};
use tokio::sync::{Semaphore, mpsc};

/// What tasks tell, and wait for.
struct Probe {
    told: mpsc::UnboundedSender<&'static str>,
    open: Semaphore,
}

impl Probe {
    fn tell(&self, word: &'static str) {
        self.told.send(word).expect("the test listens");
    }

    async fn pass(&self) {
        let _permit = self.open.acquire().await;
    }
}

/// Answers at once, and goes on in the background.
async fn mail(
    Inject(tasks): Inject<Tasks>,
    Inject(probe): Inject<Probe>,
) -> Result<&'static str, Fault> {
    tasks.spawn("mail", async move {
        probe.tell("begun");
        probe.pass().await;
        probe.tell("sent");
        Ok(())
    });
    Ok("accepted")
}

/// Waits, and begins a task only then.
async fn slow(
    Inject(tasks): Inject<Tasks>,
    Inject(probe): Inject<Probe>,
) -> Result<&'static str, Fault> {
    probe.tell("called");
    probe.pass().await;
    tasks.spawn("follow-up", async move {
        probe.tell("followed up");
        Ok(())
    });
    Ok("done")
}

async fn fail(Inject(tasks): Inject<Tasks>) -> Result<(), Fault> {
    tasks.spawn("import", async { Err(Error::other("row 7 is broken")) });
    Ok(())
}

fn app() -> (Bootstrap, Arc<Probe>, mpsc::UnboundedReceiver<&'static str>) {
    let (told, hear) = mpsc::unbounded_channel();
    let probe = Arc::new(Probe { told, open: Semaphore::new(0) });
    let provided = Arc::clone(&probe);
    let calls = module("calls", move |m| {
        m.provide_value(Arc::clone(&provided))
            .http(|r| r.post("/mail", mail).post("/slow", slow).post("/fail", fail));
        Ok(())
    });
    (bootstrap(|r| r).module(calls), probe, hear)
}

/// The report, without the breaks of its lines.
fn told(error: &Error) -> String {
    format!("{error:?}").split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn tasks(app: &TestApp) -> Arc<Tasks> {
    app.container().try_get::<Tasks>().expect("always there")
}

#[tokio::test]
async fn what_a_call_has_left_running_is_waited_for_at_the_stop() {
    within(async {
        let (bootstrap, probe, mut hear) = app();
        let app = create_bootstrap(bootstrap).await.expect("it starts");
        assert_eq!(app.http().post("/mail").await.json::<String>(), "accepted");
        assert_eq!(hear.recv().await, Some("begun"));
        app.stop("test");
        tasks(&app).stopping().await;
        assert_eq!(app.phase(), Phase::Stopping);
        probe.open.add_permits(1);
        app.wait().await.expect("a clean stop");
        assert_eq!(hear.try_recv(), Ok("sent"));
    })
    .await;
}

#[tokio::test]
async fn a_call_in_flight_can_begin_a_task_during_the_stop() {
    within(async {
        let (bootstrap, probe, mut hear) = app();
        let app = create_bootstrap(bootstrap).await.expect("it starts");
        let client = app.http();
        let call = tokio::spawn(async move { client.post("/slow").await });
        assert_eq!(hear.recv().await, Some("called"));
        app.stop("test");
        tasks(&app).stopping().await;
        probe.open.add_permits(1);
        assert_eq!(call.await.expect("no panic").json::<String>(), "done");
        app.wait().await.expect("a clean stop");
        assert_eq!(hear.try_recv(), Ok("followed up"));
    })
    .await;
}

#[tokio::test]
async fn a_task_that_does_not_end_is_cut_at_its_own_deadline_and_named() {
    within(async {
        let (bootstrap, _probe, mut hear) = app();
        let bootstrap = create_bootstrap(bootstrap)
            .config("shutdown.drain", "1h")
            .config("shutdown.drain_of.tasks", "100ms");
        let app = bootstrap.await.expect("it starts");
        assert_eq!(app.http().post("/mail").await.status(), 200);
        assert_eq!(hear.recv().await, Some("begun"));
        let error = app.close().await.expect_err("a task was cut");
        let report = told(&error);
        assert_eq!(error.exit_code(), 75, "{report}");
        assert!(report.contains("1 task was cut, not finished after 100ms: mail: 1"), "{report}");
        assert!(report.contains("stage: drain"), "{report}");
        assert_eq!(hear.try_recv().ok(), None, "it went on behind the stop");
    })
    .await;
}

#[tokio::test]
async fn a_task_that_fails_stops_the_process_in_order_with_its_error() {
    within(async {
        let (bootstrap, ..) = app();
        let (sent, mut hooks) = mpsc::unbounded_channel();
        let bootstrap = bootstrap.before_close(async move |_| {
            sent.send("before_close").expect("the test listens");
            Ok(())
        });
        let app = create_bootstrap(bootstrap).await.expect("it starts");
        assert_eq!(app.http().post("/fail").await.status(), 204);
        let error = app.wait().await.expect_err("a task has failed");
        let report = told(&error);
        assert_eq!(error.exit_code(), 71, "{report}");
        assert!(report.contains("task import: row 7 is broken"), "{report}");
        assert_eq!(hooks.try_recv(), Ok("before_close"));
    })
    .await;
}

#[tokio::test]
async fn a_failure_that_is_only_logged_changes_nothing() {
    within(async {
        let (bootstrap, ..) = app();
        let app = create_bootstrap(bootstrap).config("tasks.on_failure", "log").await;
        let app = app.expect("it starts");
        assert_eq!(app.http().post("/fail").await.status(), 204);
        while tasks(&app).counts().failed == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(app.http().get("/health/ready").await.status(), 200);
        app.close().await.expect("a clean stop");
    })
    .await;
}

#[tokio::test]
async fn a_task_of_a_hook_that_fails_ends_the_start() {
    within(async {
        let (bootstrap, ..) = app();
        let bootstrap = bootstrap
            .before(async |container| {
                let tasks = container.get::<Tasks>().await?;
                tasks.spawn("remote-config", async { panic!("no such host") });
                Ok(())
            })
            .on_ready(async |_| std::future::pending().await);
        let error = create_bootstrap(bootstrap).await.expect_err("a task has failed");
        let report = told(&error);
        assert_eq!(error.exit_code(), 71, "{report}");
        assert!(report.contains("task remote-config: panicked: no such host"), "{report}");
    })
    .await;
}

#[tokio::test]
async fn a_poller_is_begun_anew_and_ends_with_the_process() {
    within(async {
        let (bootstrap, probe, mut hear) = app();
        let own = Arc::clone(&probe);
        let bootstrap = bootstrap.on_server_ready(async move |container| {
            let tasks = container.get::<Tasks>().await?;
            let looped = Tasks::clone(&tasks);
            let poll = move || {
                let (probe, tasks) = (Arc::clone(&own), looped.clone());
                async move {
                    probe.tell("polls");
                    match probe.open.try_acquire() {
                        Ok(permit) => {
                            permit.forget();
                            Err(Error::connection("refused"))
                        }
                        Err(_) => {
                            tasks.stopping().await;
                            Ok(())
                        }
                    }
                }
            };
            tasks.task("poller").on_failure(OnTaskFailure::Restart).spawn_fn(poll);
            Ok(())
        });
        probe.open.add_permits(2);
        let app = create_bootstrap(bootstrap).await.expect("it starts");
        for _ in 0..3 {
            assert_eq!(hear.recv().await, Some("polls"));
        }
        assert_eq!(tasks(&app).active()[0].restarts, 2);
        app.close().await.expect("a clean stop");
    })
    .await;
}

#[tokio::test]
async fn faults_of_the_settings_are_refused_at_start() {
    for (key, value, word) in [
        ("tasks.on_failure", "ignore", "tasks.on_failure"),
        ("tasks.on_error", "stop", "on_error"),
        ("shutdown.drain_of.task", "1s", "name one of"),
    ] {
        let start = create_bootstrap(bootstrap(|r| r)).config(key, value);
        let error = within(async { start.await.expect_err("does not fit") }).await;
        let report = told(&error);
        assert_eq!(error.exit_code(), 78, "{report}");
        assert!(report.contains(word), "{report}");
    }
}

#[tokio::test]
async fn nothing_runs_after_the_stop() {
    within(async {
        let (bootstrap, ..) = app();
        let app = create_bootstrap(bootstrap).await.expect("it starts");
        let tasks = tasks(&app);
        app.close().await.expect("a clean stop");
        let handle = tasks.spawn("late", async { panic!("must not run") });
        assert!(handle.is_finished() && tasks.active().is_empty());
    })
    .await;
}
