//! What is found without starting.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use polyport_bootstrap::{
    Bootstrap, Error, ErrorKind, Provide, Result, container::Container, module, operation::Inject,
    testing::create_bootstrap,
};
use serde_json::json;
use support::{Fake, Log, serve};

async fn check(bootstrap: Bootstrap) -> Result<()> {
    let test = create_bootstrap(bootstrap).variables::<&str, &str>([]);
    test.root("no/such/folder").check().await
}

fn report(error: &Error) -> String {
    format!("{error:?}")
}

/// A singleton that says when it is built and when it is disposed of.
struct Pool;

fn with_pool(log: &Log) -> Bootstrap {
    let (built, disposed) = (log.clone(), log.clone());
    let pool = module("pool", move |m| {
        let (built, disposed) = (built.clone(), disposed.clone());
        m.provide_with(move || {
            built.add("pool built");
            std::future::ready(Ok::<_, Error>(Pool))
        })
        .on_dispose(move |_| {
            disposed.add("pool disposed");
            std::future::ready(Ok(()))
        });
        Ok(())
    });
    Bootstrap::new().load(Fake::new(log)).module(pool)
}

#[tokio::test]
async fn before_hooks_run_and_what_they_build_is_disposed_of_and_nothing_is_bound() {
    let log = Log::default();
    let hooks = ["config_did_load", "did_load", "will_ready", "on_ready", "on_stopping"];
    let mut bootstrap = with_pool(&log).before(async |container: Container| {
        container.get::<Pool>().await?;
        container.config().add(json!({ "a": 1 }))
    });
    macro_rules! note {
        ($($hook:ident),*) => {
            $(let to = log.clone();
            bootstrap = bootstrap.$hook(async move |_| { to.add(stringify!($hook)); Ok(()) });)*
        };
    }
    note!(config_did_load, did_load, will_ready, on_ready, on_stopping, closed);
    check(bootstrap).await.expect("nothing is wrong");
    let entries = log.entries();
    assert_eq!(entries[..2], ["pool built", "default build"]);
    for step in ["default bind", "default serve"].iter().chain(&hooks) {
        assert_eq!(log.count(step), 0, "{step}: {entries:?}");
    }
    assert_eq!(log.count("pool disposed"), 1, "{entries:?}");
    // Whose before-hook was called may close what that has opened.
    assert_eq!(log.count("closed"), 1, "{entries:?}");
}

#[tokio::test]
async fn a_before_hook_that_fails_is_the_report_and_what_was_built_is_disposed_of() {
    let log = Log::default();
    let bootstrap = with_pool(&log).before(async |container: Container| {
        container.get::<Pool>().await?;
        Err(Error::other("the config center is down"))
    });
    let error = check(bootstrap).await.expect_err("the hook failed");
    assert_eq!(error.kind(), ErrorKind::Hook);
    assert_eq!(error.to_string(), "before-hook 1: the config center is down");
    assert_eq!(log.count("pool disposed"), 1);
    assert_eq!(log.count("default build"), 0);
}

#[tokio::test]
async fn a_before_hook_that_hangs_is_named() {
    let bootstrap = Bootstrap::new()
        .load(Fake::default())
        .default_config(json!({ "startup": { "hook": "10ms" } }))
        .before(async |_| std::future::pending().await);
    let error = check(bootstrap).await.expect_err("it hangs");
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(error.to_string().starts_with("before-hook 1: not finished"), "{error}");
}

#[tokio::test]
async fn configuration_and_wiring_faults_are_in_one_report_and_configuration_has_the_word() {
    struct Missing;
    async fn work(_: Inject<Missing>) -> Result<()> {
        Ok(())
    }
    let late = module("late", |m| {
        serve(m, "default", "work", work);
        Ok(())
    });
    let bootstrap = Bootstrap::new()
        .load(Fake::default())
        .module(late)
        .default_config(json!({ "shutdown": { "drain": "soon", "delai": "1s" } }));
    let error = check(bootstrap).await.expect_err("three faults");
    let report = report(&error);
    assert_eq!(error.exit_code(), 78, "{report}");
    assert!(report.starts_with("the application would not start\n"), "{report}");
    for fault in ["key shutdown.drain", "key shutdown.delai", "Missing: nobody provides it"] {
        assert_eq!(report.matches(fault).count(), 1, "{fault}: {report}");
    }
}

#[tokio::test]
async fn what_before_hooks_have_broken_is_told_with_all_other_faults_of_the_configuration() {
    let bootstrap = Bootstrap::new().load(Fake::default()).before(async |container: Container| {
        container.config().get_or_default::<u32>("page")?;
        container.config().add(json!({ "page": 3, "startup": { "hook": "soon" } }))
    });
    let error = check(bootstrap).await.expect_err("two faults");
    let report = report(&error);
    assert_eq!(error.exit_code(), 78, "{report}");
    assert!(report.contains("page was unset when"), "{report}");
    assert!(report.contains("key startup.hook"), "{report}");
}

#[tokio::test]
async fn wiring_alone_is_exit_code_70() {
    #[derive(Provide)]
    #[provide(crate = polyport_bootstrap)]
    struct Service {
        #[inject]
        _missing: Arc<Log>,
    }
    let broken = module("broken", |m| {
        m.provide::<Service>();
        Ok(())
    });
    let error = check(Bootstrap::new().load(Fake::default()).module(broken)).await;
    assert_eq!(error.expect_err("nobody provides it").exit_code(), 70);
}

#[tokio::test]
async fn a_framework_that_cannot_be_built_is_named() {
    let error = check(Bootstrap::new().load(Fake::default().fails_at("build"))).await;
    let error = error.expect_err("it fails");
    assert_eq!(error.to_string(), "framework fake: build failed");
}
