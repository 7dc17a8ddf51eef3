//! Another configuration while the process runs.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use garde::Validate;
use polyport_bootstrap::{
    Bootstrap, Error, Reloader, RemoteConfig, Result, Settings,
    config::Effect,
    container::Container,
    module,
    testing::{TestApp, create_bootstrap},
};
use serde::Deserialize;
use serde_json::json;
use support::{Fake, Folder};

#[derive(Debug, Clone, PartialEq, Deserialize, Validate, polyport_bootstrap::Settings)]
#[serde(default)]
#[settings("users")]
#[settings(crate = polyport_bootstrap)]
struct Users {
    #[garde(range(min = 1, max = 100))]
    page_size: u32,
    #[garde(skip)]
    password: String,
}

impl Default for Users {
    fn default() -> Self {
        Self { page_size: 20, password: String::new() }
    }
}

fn bootstrap() -> Bootstrap {
    let users = module("users", |m| {
        m.settings::<Users>();
        Ok(())
    });
    Bootstrap::new().load(Fake::default()).module(users)
}

async fn start(folder: &Folder, bootstrap: Bootstrap) -> TestApp {
    let test = create_bootstrap(bootstrap).variables([("POLYPORT__FROM_ENV", "1")]);
    test.root(folder.path()).await.expect("starts")
}

async fn users(app: &TestApp) -> Settings<Users> {
    app.container().resolve().await.expect("is declared")
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("in time")
}

const FILE: &str = "config.unittest.toml";

#[tokio::test]
async fn the_new_files_take_the_place_of_the_old_ones_at_once_and_every_changed_key_is_told() {
    let folder = Folder::new(&[(FILE, "gone = 1\n[users]\npage_size = 5\npassword = \"old\"\n")]);
    let app = start(&folder, bootstrap()).await;
    let users = users(&app).await;
    assert_eq!(users.get().page_size, 5);
    folder.write(FILE, "come = 1\n[users]\npage_size = 6\npassword = \"new\"\n");
    let reload = app.reloader().reload().await.expect("is good");
    assert_eq!(*users.get(), Users { page_size: 6, password: "new".to_owned() });
    let changed: Vec<_> = reload.changed().iter().map(ToString::to_string).collect();
    assert_eq!(
        changed,
        [
            "come: unset → 1 (config/config.unittest.toml:1)",
            "gone: 1 → unset",
            "users.page_size: 5 → 6 (config/config.unittest.toml:3)",
            "users.password: \"***\" → \"***\" (config/config.unittest.toml:4)",
        ],
    );
    assert!(reload.changed().iter().all(|change| change.effect() == Effect::Live));
    assert_eq!(app.container().config().get::<u8>("come").unwrap(), 1);
    app.close().await.expect("stops");
}

#[tokio::test]
async fn a_file_that_appears_or_goes_away_counts_too() {
    let folder = Folder::new(&[]);
    let app = start(&folder, bootstrap()).await;
    let users = users(&app).await;
    folder.write("config.default.yaml", "users: { page_size: 7 }");
    app.reloader().reload().await.expect("is good");
    assert_eq!(users.get().page_size, 7);
    std::fs::remove_file(folder.path().join("config/config.default.yaml")).unwrap();
    app.reloader().reload().await.expect("is good");
    assert_eq!(users.get().page_size, 20);
}

#[tokio::test]
async fn what_is_not_good_changes_nothing_and_is_reported_with_its_place() {
    let folder = Folder::new(&[(FILE, "a = 1\n[users]\npage_size = 5\n")]);
    let app = start(&folder, bootstrap()).await;
    let users = users(&app).await;
    for (text, fault) in [
        ("a = 2\n[users]\npage_size = 500\n", "config/config.unittest.toml:3"),
        ("a = 2\n[users]\npage_sise = 5\n", "page_size"),
        ("a = 2\n[users\n", "config/config.unittest.toml:2"),
        ("a = 2\n[log]\nlevel = \"inof\"\n", "log.level"),
    ] {
        folder.write(FILE, text);
        let error = app.reloader().reload().await.expect_err(text);
        assert!(format!("{error:?}").contains(fault), "{error:?}");
        assert_eq!(error.exit_code(), 78);
        assert_eq!(users.get().page_size, 5);
        assert_eq!(app.container().config().get::<u8>("a").unwrap(), 1);
    }
}

#[tokio::test]
async fn variables_and_what_hooks_have_computed_stay_as_at_start() {
    let folder = Folder::new(&[(FILE, "from_env = 0\nfrom_hook = 0\nbase = 1\n")]);
    let bootstrap = bootstrap().before(async |container: Container| {
        let base: u8 = container.config().peek("base")?;
        container.config().add(json!({ "from_hook": base + 1 }))
    });
    let app = start(&folder, bootstrap).await;
    folder.write(FILE, "from_env = 5\nfrom_hook = 5\nbase = 5\n");
    let reload = app.reloader().reload().await.expect("is good");
    let config = app.container().config();
    let now = ["from_env", "from_hook", "base"].map(|key| config.get::<u8>(key).unwrap());
    assert_eq!(now, [1, 2, 5]);
    assert_eq!(reload.changed().len(), 1);
}

#[tokio::test]
async fn keys_that_were_read_once_at_start_need_a_restart() {
    let folder = Folder::new(&[(FILE, "once = 1\nnever = 1\n[shutdown]\ndelay = \"0s\"\n")]);
    let bootstrap = bootstrap()
        .on_ready(async |container: Container| container.config().get::<u8>("once").map(drop));
    let app = start(&folder, bootstrap).await;
    folder.write(FILE, "once = 2\nnever = 2\n[shutdown]\ndelay = \"1ms\"\n");
    let reload = app.reloader().reload().await.expect("is good");
    let effects: Vec<_> =
        reload.changed().iter().map(|change| (change.key(), change.effect())).collect();
    assert_eq!(
        effects,
        [("never", Effect::Live), ("once", Effect::Restart), ("shutdown.delay", Effect::Restart)],
    );
}

#[tokio::test]
async fn remote_configuration_is_fetched_again_and_its_old_values_stay_when_its_server_is_down() {
    let folder = Folder::new(&[(FILE, "from_file = 1\n")]);
    let is_up = Arc::new(AtomicBool::new(true));
    let (up, count) = (Arc::clone(&is_up), Arc::new(std::sync::atomic::AtomicU8::new(1)));
    let remote = RemoteConfig::new("config center", move || {
        let answer = match up.load(Ordering::Relaxed) {
            true => Ok(json!({ "answer": count.fetch_add(1, Ordering::Relaxed) })),
            false => Err(Error::connection("connection refused")),
        };
        std::future::ready(answer)
    });
    let bootstrap = bootstrap()
        .default_config(json!({ "config": { "remote": { "attempts": 1 } } }))
        .before(async move |container: Container| remote.sync(&container.config()).await);
    let app = start(&folder, bootstrap).await;
    let config = app.container().config();
    let reload = app.reloader().reload().await.expect("is good");
    assert_eq!(reload.changed()[0].to_string(), "answer: 1 → 2 (remote: config center)");
    assert_eq!(folder.json("run/remote-config-center.json").unwrap()["values"]["answer"], 2);

    is_up.store(false, Ordering::Relaxed);
    folder.write(FILE, "from_file = 2\n");
    let reload = app.reloader().reload().await.expect("the file is good");
    assert_eq!(reload.unfetched().len(), 1);
    assert_eq!(config.get::<u8>("answer").unwrap(), 2);
    assert_eq!(config.get::<u8>("from_file").unwrap(), 2);
}

#[tokio::test]
async fn who_has_subscribed_is_told() {
    let folder = Folder::new(&[]);
    let app = start(&folder, bootstrap()).await;
    let mut changes = users(&app).await.subscribe();
    let told = tokio::spawn(async move { changes.changed().await.page_size });
    folder.write(FILE, "[users]\npage_size = 9\n");
    app.reloader().reload().await.expect("is good");
    assert_eq!(in_time(told).await.unwrap(), 9);
}

#[tokio::test]
async fn a_changed_file_is_reloaded_where_watching_is_on_and_that_can_be_turned_on_and_off() {
    let folder = Folder::new(&[(FILE, "[config]\nwatch = true\n")]);
    let app = start(&folder, bootstrap()).await;
    let mut changes = users(&app).await.subscribe();
    folder.write(FILE, "[config]\nwatch = true\n[users]\npage_size = 8\n");
    assert_eq!(in_time(changes.changed()).await.page_size, 8);
    folder.write(FILE, "[config]\nwatch = false\n[users]\npage_size = 9\n");
    assert_eq!(in_time(changes.changed()).await.page_size, 9);
    folder.write(FILE, "[config]\nwatch = true\n[users]\npage_size = 10\n");
    let unseen = tokio::time::timeout(Duration::from_millis(1500), changes.changed()).await;
    assert!(unseen.is_err(), "watching is off");
    app.reloader().reload().await.expect("is good");
    assert_eq!(in_time(changes.changed()).await.page_size, 10);
    folder.write(FILE, "[users]\npage_size = 11\n");
    assert_eq!(in_time(changes.changed()).await.page_size, 11);
    app.close().await.expect("stops");
}

#[tokio::test]
async fn the_dump_is_written_at_start_and_at_each_reload_where_that_is_wanted() {
    let folder = Folder::new(&[(FILE, "[config]\ndump = true\n[users]\npassword = \"hunter2\"\n")]);
    let app = start(&folder, bootstrap()).await;
    let read = || (folder.json("run/config.json"), folder.json("run/config.sources.json"));
    let (values, sources) = read();
    assert_eq!(values.unwrap()["users"]["password"], "***");
    assert_eq!(sources.unwrap()["users"]["password"], "config/config.unittest.toml:4");
    folder.write(FILE, "[config]\ndump = \"run/deep\"\n[users]\npage_size = 3\n");
    app.reloader().reload().await.expect("is good");
    assert_eq!(folder.json("run/deep/config.json").unwrap()["users"], json!({ "page_size": 3 }));
    assert_eq!(read().0.unwrap()["users"]["password"], "***");
}

#[tokio::test]
async fn without_the_setting_no_dump_is_written_and_one_that_cannot_be_written_ends_the_start() {
    let folder = Folder::new(&[]);
    start(&folder, bootstrap()).await.close().await.expect("stops");
    assert!(!folder.path().join("run").exists());
    let folder = Folder::new(&[(FILE, "[config]\ndump = \"config/config.unittest.toml\"\n")]);
    let test = create_bootstrap(bootstrap()).variables::<&str, &str>([]).root(folder.path());
    let error = test.await.expect_err("a file is no folder");
    assert!(error.to_string().starts_with("config.dump: "), "{error}");
    assert_eq!(error.exit_code(), 78);
}

#[tokio::test]
async fn before_the_process_has_started_there_is_nothing_to_reload() {
    let folder = Folder::new(&[]);
    let bootstrap = bootstrap().before(async |container: Container| {
        let reloader = container.get::<Reloader>().await?;
        let error = reloader.reload().await.expect_err("has not started");
        assert!(error.to_string().contains("not complete yet"), "{error}");
        Result::Ok(())
    });
    start(&folder, bootstrap).await.close().await.expect("stops");
}
