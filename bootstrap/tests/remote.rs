//! Configuration that another server keeps, in good times and bad ones.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use polyport_bootstrap::{
    Bootstrap, Error, ErrorKind, RemoteConfig, Result,
    container::Container,
    testing::{TestApp, TestBootstrap, create_bootstrap},
};
use serde_json::{Value, json};
use support::{Fake, Folder};

/// A server whose next answers are set, and that counts how often it is asked.
#[derive(Clone, Default)]
struct Center {
    answers: Arc<Mutex<Vec<Answer>>>,
    asked: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Answer {
    Values(Value),
    Down,
    Hang,
    Panic,
}

impl Center {
    /// The last answer is given again and again.
    fn answering(answers: &[Answer]) -> Self {
        let center = Self::default();
        *center.answers.lock().unwrap() = answers.to_vec();
        center
    }

    fn remote(&self, name: &str) -> RemoteConfig {
        let center = self.clone();
        RemoteConfig::new(name, move || center.clone().answer())
    }

    async fn answer(self) -> Result<Value> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = {
            let answers = self.answers.lock().unwrap();
            answers.get(number).or(answers.last()).unwrap().clone()
        };
        match answer {
            Answer::Values(values) => Ok(values),
            Answer::Down => Err(Error::connection("connection refused")),
            Answer::Hang => std::future::pending().await,
            Answer::Panic => panic!("no such luck"),
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn values(values: Value) -> Center {
    Center::answering(&[Answer::Values(values)])
}

fn down() -> Center {
    Center::answering(&[Answer::Down])
}

fn bootstrap(center: &Center) -> Bootstrap {
    let remote = center.remote("config center");
    Bootstrap::new()
        .load(Fake::default())
        .default_config(json!({ "config": { "remote": { "back_off": "1ms" } } }))
        .before(async move |container: Container| remote.sync(&container.config()).await)
}

fn test(folder: &Folder, center: &Center) -> TestBootstrap {
    create_bootstrap(bootstrap(center)).variables::<&str, &str>([]).root(folder.path())
}

async fn started(folder: &Folder, center: &Center) -> TestApp {
    test(folder, center).await.expect("starts")
}

async fn refused(test: TestBootstrap) -> Error {
    test.await.expect_err("must not start")
}

const COPY: &str = "run/remote-config-center.json";

#[tokio::test]
async fn it_stands_above_files_and_below_environment_variables_and_is_named() {
    let folder = Folder::new(&[("config.unittest.toml", "a = 1\nb = 1\nc = 1\n")]);
    let center = values(json!({ "b": 2, "c": 2 }));
    let app = test(&folder, &center).variables([("POLYPORT__C", "3")]).await.expect("starts");
    let config = app.container().config();
    for (key, value, source) in [
        ("a", 1, "config/config.unittest.toml"),
        ("b", 2, "remote: config center"),
        ("c", 3, "environment variable POLYPORT__C"),
    ] {
        assert_eq!(config.get::<u8>(key).unwrap(), value);
        assert_eq!(config.explain(key).unwrap().winner().source(), source);
    }
    app.close().await.expect("stops");
}

#[tokio::test]
async fn of_several_the_later_one_wins() {
    let folder = Folder::new(&[]);
    let second = values(json!({ "b": 2 })).remote("second");
    let bootstrap = bootstrap(&values(json!({ "a": 1, "b": 1 })))
        .before(async move |container: Container| second.sync(&container.config()).await);
    let app = create_bootstrap(bootstrap).variables::<&str, &str>([]).root(folder.path()).await;
    let config = app.as_ref().expect("starts").container().config();
    assert_eq!(config.get::<u8>("a").unwrap(), 1);
    assert_eq!(config.get::<u8>("b").unwrap(), 2);
    assert!(folder.json("run/remote-second.json").is_some());
}

#[tokio::test]
async fn what_fails_is_tried_again_as_often_as_configured() {
    let folder = Folder::new(&[]);
    let up_again =
        Center::answering(&[Answer::Down, Answer::Panic, Answer::Values(json!({ "a": 1 }))]);
    started(&folder, &up_again).await.close().await.expect("stops");
    assert_eq!(up_again.asked(), 3);
    let center = down();
    let folder = Folder::new(&[]);
    let error = refused(test(&folder, &center).config("config.remote.attempts", 5)).await;
    assert_eq!(center.asked(), 5);
    assert_eq!(
        error.to_string(),
        "before-hook 1: remote: config center, tried 5 times: connection refused",
    );
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.advice().unwrap().contains("there is no copy of an earlier start"));
}

#[tokio::test]
async fn a_server_that_hangs_costs_the_time_limit_of_each_attempt_and_no_more() {
    let folder = Folder::new(&[]);
    let hanging = Center::answering(&[Answer::Hang]);
    let slow = test(&folder, &hanging)
        .config("config.remote.time_limit", "300ms")
        .config("config.remote.attempts", 2);
    let error = refused(slow).await;
    assert_eq!(hanging.asked(), 2);
    assert!(error.to_string().ends_with("tried 2 times: no answer after 300ms"), "{error}");
}

#[tokio::test]
async fn when_the_server_is_down_the_last_good_copy_is_used_and_only_the_owner_may_read_it() {
    let folder = Folder::new(&[]);
    let up = values(json!({ "db": { "password": "hunter2" } }));
    started(&folder, &up).await.close().await.expect("stops");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(folder.path().join(COPY)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
    let app = started(&folder, &down()).await;
    let config = app.container().config();
    assert_eq!(config.get::<String>("db.password").unwrap(), "hunter2");
    app.close().await.expect("stops");
}

#[tokio::test]
async fn where_a_stale_start_is_worse_than_none_the_copy_is_not_used() {
    let folder = Folder::new(&[]);
    started(&folder, &values(json!({ "a": 1 }))).await.close().await.expect("stops");
    let strict = test(&folder, &down()).config("config.remote.on_failure", "fail");
    let error = refused(strict).await;
    assert_eq!(
        error.advice().unwrap(),
        "see to its server, or let config.remote.on_failure be \"use-copy\"",
    );
}

#[tokio::test]
async fn what_does_not_make_a_good_configuration_does_not_replace_the_copy() {
    let folder = Folder::new(&[]);
    started(&folder, &values(json!({ "a": 1 }))).await.close().await.expect("stops");
    let kept = folder.json(COPY).unwrap();
    assert_eq!(kept["values"], json!({ "a": 1 }));
    let bad = values(json!({ "shutdown": { "delay": "for ever" } }));
    let error = refused(test(&folder, &bad)).await;
    assert_eq!(error.exit_code(), 78);
    assert!(
        format!("{error:?}").contains("remote: config center, key shutdown.delay"),
        "{error:?}"
    );
    assert_eq!(folder.json(COPY).unwrap(), kept);
}

#[tokio::test]
async fn a_check_leaves_no_copy_behind() {
    let folder = Folder::new(&[]);
    let center = values(json!({ "a": 1 }));
    test(&folder, &center).check().await.expect("nothing is wrong");
    assert_eq!(center.asked(), 1);
    assert_eq!(folder.json(COPY), None);
}

#[tokio::test]
async fn a_copy_that_is_damaged_or_somebody_elses_is_not_used_and_its_content_not_shown() {
    for text in [
        "hunter2",
        r#"{ "remote": "other", "fetched_at": 1, "values": { "password": "hunter2" } }"#,
        r#"{ "remote": "config center", "fetched_at": 1, "values": ["hunter2"] }"#,
        r#"{ "remote": "config center", "fetched_at": 18446744073709551615, "values": {} }"#,
    ] {
        let folder = Folder::new(&[]);
        std::fs::create_dir(folder.path().join("run")).unwrap();
        std::fs::write(folder.path().join(COPY), text).unwrap();
        let report = format!("{:?}", refused(test(&folder, &down())).await);
        assert!(report.contains("remote-config-center.json: the copy cannot be used"), "{report}");
        assert!(report.contains("connection refused"), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    }
}

#[tokio::test]
async fn what_is_no_table_and_what_panics_are_errors_that_name_the_remote() {
    for (answer, fault) in [
        (Answer::Values(json!([1])), "configuration is added as a table, not as an array"),
        (Answer::Panic, "no such luck"),
    ] {
        let center = Center::answering(&[answer]);
        let error = refused(test(&Folder::new(&[]), &center)).await.to_string();
        assert!(
            error.starts_with("before-hook 1: remote: config center, tried 3 times:"),
            "{error}"
        );
        assert!(error.contains(fault), "{error}");
    }
}
