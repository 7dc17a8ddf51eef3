//! The order of start and stop, and what is refused before anything starts.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use polyport_bootstrap::{
    App, Application, Bootstrap, Config, ErrorKind, Lifecycle, Module, ModuleBuilder, Phase,
    Provide, Result, Stage, module, testing::create_bootstrap,
};
use serde_json::json;
use support::{Fake, FakeApp, Log};

async fn refusal(bootstrap: Bootstrap) -> polyport_bootstrap::Error {
    create_bootstrap(bootstrap).root("no/such/folder").await.expect_err("must not start")
}

struct Recorder {
    name: &'static str,
    depends_on: &'static [&'static str],
    log: Log,
}

impl Module for Recorder {
    fn name(&self) -> &'static str {
        self.name
    }

    fn depends_on(&self) -> Vec<&str> {
        self.depends_on.to_vec()
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        macro_rules! record {
            ($($hook:ident),*) => {
                $({
                    let entry = format!("{} {}", self.name, stringify!($hook));
                    let log = self.log.clone();
                    m.$hook(async move |_| {
                        log.add(entry);
                        Ok(())
                    });
                })*
            };
        }
        record!(config_did_load, did_load, will_ready, on_ready, on_server_ready);
        record!(on_stopping, before_close, closed);
        Ok(())
    }
}

fn recorder(name: &'static str, depends_on: &'static [&'static str], log: &Log) -> Recorder {
    Recorder { name, depends_on, log: log.clone() }
}

/// A singleton that says when it is built and when it is disposed of.
fn pool(log: &Log) -> impl Module {
    struct Pool;
    let log = log.clone();
    module("pool", move |m| {
        let (built, disposed) = (log.clone(), log.clone());
        m.provide_with(move || {
            built.add("pool built");
            std::future::ready(Ok::<_, polyport_bootstrap::Error>(Pool))
        })
        .eager()
        .on_dispose(move |_| {
            disposed.add("pool disposed");
            std::future::ready(Ok(()))
        });
        Ok(())
    })
}

#[tokio::test]
async fn start_and_stop_follow_their_order() {
    let log = Log::default();
    let (before, ready, closed) = (log.clone(), log.clone(), log.clone());
    let app = create_bootstrap(
        Bootstrap::new()
            .load(Fake::new(&log))
            .load(Fake::new(&log).named("second"))
            .module(recorder("chat", &["user"], &log))
            .module(recorder("user", &[], &log))
            .module(pool(&log))
            .before(async move |_| {
                before.add("before");
                Ok(())
            })
            .on_ready(async move |_| {
                ready.add("on_ready");
                Ok(())
            })
            .closed(async move |_| {
                closed.add("closed");
                Ok(())
            }),
    )
    .await
    .expect("starts");
    assert_eq!(app.phase(), Phase::Ready);
    app.close().await.expect("stops cleanly");
    assert_eq!(
        log.entries(),
        [
            "before",
            "user config_did_load",
            "chat config_did_load",
            "default build",
            "second build",
            "user did_load",
            "chat did_load",
            "pool built",
            "user will_ready",
            "chat will_ready",
            "default bind",
            "second bind",
            "user on_ready",
            "chat on_ready",
            "on_ready",
            "default serve",
            "second serve",
            "user on_server_ready",
            "chat on_server_ready",
            "chat on_stopping",
            "user on_stopping",
            "default stop_intake",
            "second stop_intake",
            "default drain",
            "second drain",
            "chat before_close",
            "user before_close",
            "pool disposed",
            "default close",
            "second close",
            "closed",
            "chat closed",
            "user closed",
        ]
    );
}

#[tokio::test]
async fn without_a_framework_there_is_nothing_to_start() {
    let error = refusal(Bootstrap::new()).await;
    assert_eq!(error.kind(), ErrorKind::Wiring);
    assert_eq!(error.to_string(), "no framework is loaded");
}

#[tokio::test]
async fn one_framework_twice_is_refused() {
    let log = Log::default();
    let error = refusal(Bootstrap::new().load(Fake::new(&log)).load(Fake::new(&log))).await;
    assert_eq!(error.to_string(), "framework fake is loaded twice");
    assert!(log.entries().is_empty(), "nothing was built");
}

#[tokio::test]
async fn two_frameworks_on_one_port_are_refused_before_any_is_bound() {
    let log = Log::default();
    let bootstrap = Bootstrap::new()
        .load(Fake::new(&log).port(7001))
        .load(Fake::new(&log).named("admin").port(7001));
    let error = refusal(bootstrap).await;
    assert_eq!(
        format!("{error:?}"),
        "frameworks fake and fake \"admin\" are both to listen on 127.0.0.1:7001\n  stage: build\n  help: give one \
         of them another port in its section of the configuration\n",
    );
    assert_eq!(log.count("default bind"), 0);
}

#[tokio::test]
async fn two_modules_of_one_name_are_refused() {
    let log = Log::default();
    let bootstrap = Bootstrap::new()
        .load(Fake::new(&log))
        .module(recorder("user", &[], &log))
        .module(module("user", |_| Ok(())));
    assert_eq!(refusal(bootstrap).await.to_string(), "two modules are named \"user\"");
    assert!(log.entries().is_empty(), "nothing was built");
}

#[tokio::test]
async fn a_failed_start_rolls_back_what_has_started() {
    for failing in ["bind", "serve"] {
        let log = Log::default();
        let bootstrap = Bootstrap::new()
            .load(Fake::new(&log))
            .load(Fake::new(&log).named("bad").fails_at(failing))
            .module(pool(&log));
        let error = refusal(bootstrap).await;
        assert_eq!(error.to_string(), format!("framework fake \"bad\": {failing} failed"));
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert_eq!(log.count("pool disposed"), 1);
        assert_eq!(log.entries().last().map(String::as_str), Some("default close"));
    }
}

#[tokio::test]
async fn a_hook_that_fails_or_panics_ends_the_start_and_is_named() {
    let log = Log::default();
    let failing = Bootstrap::new().load(Fake::new(&log)).module(module("user", |m| {
        m.on_ready(async |_| Err(polyport_bootstrap::Error::other("no licence")));
        Ok(())
    }));
    let error = refusal(failing).await;
    assert_eq!(error.to_string(), "hook on_ready of module user: no licence");
    assert_eq!(error.kind(), ErrorKind::Hook);
    assert_eq!(log.count("default serve"), 0);

    let panicking = Bootstrap::new().load(Fake::new(&log)).before(async |_| panic!("oh no"));
    let error = refusal(panicking).await;
    assert_eq!(error.to_string(), "before-hook 1: panicked: oh no");
}

#[tokio::test]
async fn stop_hooks_that_fail_skip_nobody_and_all_are_reported() {
    let log = Log::default();
    let app = create_bootstrap(
        Bootstrap::new()
            .load(Fake::new(&log).fails_at("close"))
            .on_stopping(async |_| Err(polyport_bootstrap::Error::other("first")))
            .before_close(async |_| panic!("second"))
            .module(pool(&log)),
    )
    .await
    .expect("starts");
    let report = format!("{:?}", app.close().await.expect_err("was not clean"));
    assert!(report.contains("hook on_stopping of the bootstrap: first"), "{report}");
    assert!(report.contains("hook before_close of the bootstrap: panicked: second"), "{report}");
    assert!(report.contains("framework fake: close failed"), "{report}");
    assert_eq!(log.count("pool disposed"), 1);
}

#[tokio::test]
async fn a_before_hook_decides_what_a_framework_is_built_from() {
    let log = Log::default();
    let framework_log = log.clone();
    let app = create_bootstrap(
        Bootstrap::new()
            .load(move |config: &Config| {
                let name: String = config.get("fake.name").expect("was added");
                Fake::new(&framework_log).named(&name)
            })
            .before(async |container| {
                container.config().add(json!({ "fake": { "name": "remote" } }))
            }),
    )
    .await
    .expect("starts");
    assert_eq!(app.main_app().name(), "remote");
    app.app_named::<FakeApp>("remote").expect("is injectable under its name");
    app.close().await.expect("stops cleanly");
}

#[derive(Provide)]
#[provide(crate = polyport_bootstrap)]
struct Handles {
    #[app]
    own: FakeApp,
    #[app(name = "second")]
    second: FakeApp,
    #[app]
    main: Arc<dyn Application>,
    #[config("answer")]
    answer: u32,
}

#[tokio::test]
async fn handles_and_configuration_are_injected() {
    let log = Log::default();
    let bootstrap = Bootstrap::new()
        .load(Fake::new(&log).named("second"))
        .load(Fake::new(&log))
        .module(module("handles", |m| {
            m.default_config(json!({ "answer": 41 }));
            m.default_config_for("unittest", json!({ "answer": 42 }));
            m.provide::<Handles>();
            m.provide_with(async |App(app): App<FakeApp>| {
                Ok::<_, polyport_bootstrap::Error>(app.name().to_owned())
            });
            Ok(())
        }));
    let app = create_bootstrap(bootstrap).root("no/such/folder").await.expect("starts");
    let handles = app.container().get::<Handles>().await.expect("is provided");
    assert_eq!(handles.own.name(), "default");
    assert_eq!(handles.second.name(), "second");
    assert_eq!((handles.main.kind(), handles.main.name()), ("fake", "second"));
    assert_eq!(handles.answer, 42);
    assert_eq!(*app.container().get::<String>().await.expect("is provided"), "default");
    drop(handles);
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn a_stop_is_asked_for_from_within_and_during_the_start() {
    let log = Log::default();
    let app = create_bootstrap(Bootstrap::new().load(Fake::new(&log)).on_server_ready(
        async |container| {
            container.get::<Lifecycle>().await?.stop("all work is done");
            Ok(())
        },
    ))
    .await
    .expect_err("the stop came before the start was over");
    assert_eq!(app.to_string(), "the start was interrupted (all work is done)");

    let running = create_bootstrap(Bootstrap::new().load(Fake::new(&log))).await.expect("starts");
    running.container().get::<Lifecycle>().await.expect("is there").stop("from a handler");
    running.wait().await.expect("stops cleanly");
    assert_eq!(running.phase(), Phase::Stopped);
}

#[tokio::test]
async fn a_dropped_handle_stops_in_the_background() {
    let log = Log::default();
    let app = create_bootstrap(Bootstrap::new().load(Fake::new(&log))).await.expect("starts");
    let lifecycle = app.lifecycle().clone();
    drop(app);
    lifecycle.reached(Phase::Stopped).await;
    assert_eq!(log.count("default close"), 1);
}

#[tokio::test]
async fn a_start_that_hangs_ends_at_its_deadline() {
    let log = Log::default();
    let hanging = Bootstrap::new().load(Fake::new(&log)).on_ready(async |_| {
        std::future::pending::<()>().await;
        Ok(())
    });
    let error = create_bootstrap(hanging)
        .config("startup.on_ready", "50ms")
        .await
        .expect_err("must not start");
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(
        error.to_string(),
        "stage on_ready, waiting for hook on_ready of the bootstrap: not finished after 50ms"
    );
    assert_eq!(log.count("default close"), 1);
}

#[tokio::test]
async fn a_before_hook_moves_the_deadline_of_the_start() {
    let log = Log::default();
    let hanging = Bootstrap::new()
        .load(Fake::new(&log))
        .before(async |container| {
            container.config().add(json!({ "startup": { "singletons": "300ms" } }))
        })
        .will_ready(async |_| std::future::pending().await);
    let error = create_bootstrap(hanging).await.expect_err("must not start");
    assert_eq!(
        error.to_string(),
        "stage singletons, waiting for hook will_ready of the bootstrap: not finished after 300ms",
    );
}

#[tokio::test]
async fn a_framework_that_panics_at_any_step_of_the_start_is_rolled_back_and_named() {
    for step in ["build", "link", "bind", "serve"] {
        let log = Log::default();
        let bootstrap = Bootstrap::new()
            .load(Fake::new(&log))
            .load(Fake::new(&log).named("bad").panics_at(step))
            .module(pool(&log));
        let error = refusal(bootstrap).await;
        assert_eq!(error.to_string(), format!("framework fake \"bad\": panicked: {step} panics"));
        let was_built = log.count("pool built");
        assert_eq!(log.count("pool disposed"), was_built, "{step}");
        assert_eq!(log.count("default close"), 1, "{step}");
    }
}

#[tokio::test]
async fn a_framework_that_panics_at_any_step_of_the_stop_skips_nobody() {
    for step in ["stop_intake", "drain", "close"] {
        let log = Log::default();
        let bootstrap = Bootstrap::new()
            .load(Fake::new(&log).named("bad").panics_at(step))
            .load(Fake::new(&log))
            .module(pool(&log));
        let app = create_bootstrap(bootstrap).await.expect("starts");
        let lifecycle = app.lifecycle().clone();
        let error = app.close().await.expect_err("was not clean");
        assert_eq!(error.to_string(), format!("framework fake \"bad\": panicked: {step} panics"));
        assert_eq!(log.count("pool disposed"), 1);
        assert_eq!(log.count("default close"), 1);
        assert_eq!(lifecycle.reached(Phase::Stopped).await, Phase::Stopped);
    }
}

#[tokio::test]
async fn a_module_or_a_loading_closure_that_panics_is_an_error() {
    let log = Log::default();
    let bootstrap = Bootstrap::new().load(Fake::new(&log)).module(module("bad", |_| panic!("no")));
    assert_eq!(refusal(bootstrap).await.to_string(), "module bad: panicked: no");
    let load = |config: &Config| -> Fake { panic!("{}", config.environment()) };
    assert_eq!(refusal(Bootstrap::new().load(load)).await.to_string(), "panicked: unittest");
}

#[tokio::test]
async fn what_goes_wrong_while_rolling_back_is_in_the_same_report() {
    let log = Log::default();
    let bootstrap = Bootstrap::new()
        .load(Fake::new(&log).fails_at("close"))
        .on_ready(async |_| Err(polyport_bootstrap::Error::other("no licence")));
    assert_eq!(
        format!("{:?}", refusal(bootstrap).await),
        "hook on_ready of the bootstrap: no licence\n  stage: on_ready\n  while rolling back: \
         framework fake: close failed\n    stage: close\n",
    );
}

#[tokio::test]
async fn a_start_that_is_dropped_is_rolled_back() {
    let log = Log::default();
    let hanging = Bootstrap::new()
        .load(Fake::new(&log))
        .module(pool(&log))
        .on_ready(async |_| std::future::pending().await);
    let (lifecycle, start) = create_bootstrap(hanging).starting();
    tokio::select! {
        started = start => panic!("must hang: {:?}", started.map(drop)),
        _ = lifecycle.reached_stage(Stage::OnReady) => {}
    }
    assert_eq!(lifecycle.reached(Phase::Stopped).await, Phase::Stopped);
    assert_eq!(log.count("pool disposed"), 1);
    assert_eq!(log.count("default close"), 1);
}

#[tokio::test]
async fn start_returns_a_handle_with_apps_addresses_and_stop() {
    let log = Log::default();
    let bootstrap = Bootstrap::new().load(Fake::new(&log)).root(env!("CARGO_MANIFEST_DIR"));
    let running = bootstrap.start().await.expect("starts");
    assert_eq!(running.apps().len(), 1);
    assert_eq!(running.addresses()[0].framework, "fake");
    assert!(running.app::<FakeApp>().is_ok());
    running.stop("first");
    running.stop("second");
    running.wait().await.expect("stops cleanly");
    assert_eq!(running.lifecycle().stop_reason(), Some("first"));
}
