//! The configuration as a bootstrap puts it together: hooks in order, folders, environments.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
};

use polyport_bootstrap::{
    Bootstrap, Config, Error, ErrorKind, Module, ModuleBuilder, Result,
    config::{Environment, LayerValues},
    module,
    testing::{TestApp, TestBootstrap, create_bootstrap},
};
use serde_json::json;
use support::{Fake, Log};

/// An application's folder of its own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("polyport-bootstrap-config-{}-{name}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(folder.0.join("config")).unwrap();
        for (name, text) in files {
            fs::write(folder.0.join(name), text).unwrap();
        }
        folder
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn fake() -> Bootstrap {
    Bootstrap::new().load(Fake::new(&Log::default()))
}

fn test(bootstrap: Bootstrap) -> TestBootstrap {
    create_bootstrap(bootstrap).root("no/such/folder").variables([("HOME", "/home/tom")])
}

async fn started(test: TestBootstrap) -> TestApp {
    test.await.expect("starts")
}

async fn refused(test: TestBootstrap) -> Error {
    test.await.expect_err("must not start")
}

/// Appends its name to `trace` in every source that has one.
#[derive(Clone)]
struct Tracing {
    name: &'static str,
    needs: Vec<&'static str>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Module for Tracing {
    fn name(&self) -> &str {
        self.name
    }

    fn depends_on(&self) -> Vec<&str> {
        self.needs.clone()
    }

    fn enabled(&self, config: &Config) -> bool {
        config.get_or_default::<String>("off").expect("text") != self.name
    }

    fn config_will_load(&self, values: &mut LayerValues<'_>) -> Result<()> {
        if let Some(trace) = values.get("trace") {
            let source = values.source();
            self.seen.lock().unwrap().push(format!("{} {source}", self.name));
            values.set("trace", format!("{}-{}", trace.as_str().expect("text"), self.name))?;
        }
        Ok(())
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.default_config(json!({ self.name: { "loaded": m.config().peek::<String>("trace")? } }));
        Ok(())
    }
}

#[tokio::test]
async fn hooks_run_in_order_of_dependency_and_the_bootstraps_own_last() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tracing = |name, needs: &[&'static str]| Tracing {
        name,
        needs: needs.to_vec(),
        seen: Arc::clone(&seen),
    };
    let bootstrap = fake()
        .config_will_load(|values| match values.get("trace") {
            Some(trace) => values.set("trace", format!("{}-own", trace.as_str().unwrap())),
            None => Ok(()),
        })
        .default_config(json!({ "trace": "x", "off": "idle" }))
        .module(tracing("chat", &["users"]))
        .module(tracing("users", &[]))
        .module(tracing("idle", &[]))
        .before(async |container| container.config().add_from("remote", json!({ "trace": "r" })));
    let app = started(test(bootstrap)).await;
    let config = app.container().config();
    assert_eq!(config.get::<String>("trace").unwrap(), "r-users-chat-own");
    assert_eq!(config.get::<String>("users.loaded").unwrap(), "x-users-chat-own");
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "users defaults of the bootstrap",
            "chat defaults of the bootstrap",
            "users remote",
            "chat remote",
        ],
    );
    app.close().await.unwrap();
}

#[tokio::test]
async fn what_is_decrypted_is_what_singletons_read() {
    struct Pool(String);
    let reversed = |text: &str| Ok(text.chars().rev().collect());
    let bootstrap = fake()
        .config_will_load(move |values| {
            values.map_strings(|_, text| text.strip_prefix("enc:").map(reversed).transpose())
        })
        .module(module("store", |m| {
            m.default_config(json!({ "db": { "password": "enc:2retnuh" } }));
            let config = m.config().clone();
            m.provide_with(move || {
                let config = config.clone();
                async move { Ok(Pool(config.get("db.password")?)) }
            })
            .eager();
            Ok(())
        }));
    let app = started(test(bootstrap)).await;
    assert_eq!(app.container().get::<Pool>().await.unwrap().0, "hunter2");
    app.close().await.unwrap();
}

#[tokio::test]
async fn what_a_hook_refuses_ends_the_start() {
    let bootstrap = fake()
        .default_config(json!({ "a": 1 }))
        .config_will_load(|_| Err(Error::configuration("not today")));
    let error = refused(test(bootstrap)).await;
    assert_eq!(
        error.to_string(),
        "hook config_will_load of the bootstrap, defaults of the bootstrap: not today",
    );
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn texts_that_cannot_be_filled_in_end_the_start_with_all_other_faults() {
    let defaults = json!({ "a": "${no.such}", "b": "${env:NO}", "startup": { "hook": 7 } });
    let error = refused(test(fake().default_config(defaults))).await;
    let text = format!("{error:?}");
    assert_eq!(error.exit_code(), ErrorKind::Configuration.exit_code());
    for part in ["key a: it is made of no.such", "key b: environment variable NO", "startup.hook"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn the_application_has_a_name() {
    let name = async |bootstrap| {
        let app = started(test(bootstrap)).await;
        let name = app.container().config().name();
        app.close().await.unwrap();
        name
    };
    assert_eq!(name(fake()).await, "app");
    assert_eq!(name(fake().name("chat")).await, "chat");
    let configured = json!({ "app": { "name": "im" } });
    assert_eq!(name(fake().name("chat").default_config(configured)).await, "im");
}

#[test]
fn the_package_of_main_is_the_name_where_nobody_says_another() {
    let (sender, names) = mpsc::channel();
    let _ = polyport_bootstrap::__private::run_main_alone("package", async move {
        let app = test(fake()).await?;
        sender.send(app.container().config().name())?;
        app.close().await
    });
    assert_eq!(names.recv().expect("a name"), "package");
}

#[tokio::test]
async fn a_folder_that_is_named_and_not_there_is_an_error() {
    let error = fake().root("no/such/folder").start().await.expect_err("there is no such folder");
    assert_eq!(error.to_string(), "there is no folder no/such/folder");
    let folder = Folder::new("folder", &[("config/config.default.toml", "a = 1")]);
    let of = |dir: &'static str| {
        let bootstrap = create_bootstrap(fake()).root(folder.path());
        bootstrap.variables([("POLYPORT_CONFIG_DIR", dir)])
    };
    let error = refused(of("etc")).await;
    assert_eq!(error.to_string(), "there is no folder etc");
    fs::create_dir(folder.path().join("etc")).unwrap();
    fs::write(folder.path().join("etc/config.default.toml"), "a = 2").unwrap();
    for (dir, value) in [("", 1), ("etc", 2)] {
        let app = started(of(dir)).await;
        assert_eq!(app.container().config().get::<u8>("a").unwrap(), value);
        app.close().await.unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_variable_that_decides_which_files_are_read_is_not_passed_over_for_its_encoding() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new("encoding", &[("config/config.default.toml", "a = 1")]);
    for name in ["POLYPORT_ENV", "POLYPORT_CONFIG_DIR"] {
        let bootstrap = create_bootstrap(fake()).root(folder.path());
        let value = std::ffi::OsStr::from_bytes(b"prod\xff");
        let error = refused(bootstrap.variables([(name, value)])).await;
        let expected = format!("environment variable {name}: the value is not Unicode");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn environments_and_files_are_declared_on_the_bootstrap() {
    let of = |bootstrap, name: &str| test(bootstrap).environment(name.parse().unwrap());
    let error = refused(of(fake().environments(["staging"]), "stagign")).await;
    assert_eq!(error.to_string(), "there is no environment stagign; the nearest is staging");
    started(of(fake().environments(["staging"]), "staging")).await.close().await.unwrap();
    let required = fake().require_files(["prod"]);
    let error = refused(test(required).environment(Environment::production())).await;
    assert!(error.to_string().ends_with("is required and not there"), "{error}");
    started(test(fake().require_files(["prod"]))).await.close().await.unwrap();
}
