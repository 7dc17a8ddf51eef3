//! The exact text of what is missing here and provided elsewhere, and modules that the
//! configuration turns on and off.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::sync::Arc;

use polyport::{
    Bootstrap, Config, Fault, HookPoint, Module, ModuleBuilder, Provide, Result, RouteSet,
    config::Environment,
    module,
    operation::{Endpoint, Inject, Protocol},
    testing::{TestBootstrap, create_bootstrap},
};
use serde_json::json;
use support::{Fake, Log};

fn test(bootstrap: Bootstrap) -> TestBootstrap {
    create_bootstrap(bootstrap).root("no/such/folder")
}

fn fake() -> Bootstrap {
    Bootstrap::new().load(Fake::new(&Log::default()))
}

trait UserRepo: Send + Sync {}

#[derive(Provide)]
struct SqlUserRepo;

impl UserRepo for SqlUserRepo {}

#[derive(Provide)]
struct UserService {
    #[inject]
    _repo: Arc<dyn UserRepo>,
}

async fn users(_: Inject<UserService>) -> Result<(), Fault> {
    Ok(())
}

/// What modules register for HTTP.
#[derive(Default)]
struct Http(Vec<(String, Endpoint)>);

impl RouteSet for Http {
    const KIND: &'static str = "fake";
    const PROTOCOL: Protocol = Protocol::new("http");

    fn routes(&self) -> Vec<(String, Endpoint)> {
        self.0.clone()
    }
}

struct UserModule;

impl Module for UserModule {
    fn name(&self) -> &str {
        "user"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide::<UserService>();
        m.only_for(&["prod"], |m| {
            m.bind::<dyn UserRepo, SqlUserRepo>(|repo| repo);
            m.default_config(json!({ "users": { "sql": true } }));
        });
        m.register("default", |mut http: Http| {
            http.0.push(("GET /users".to_owned(), Endpoint::json(users)));
            http
        });
        Ok(())
    }
}

#[tokio::test]
async fn what_is_bound_only_elsewhere_is_told_with_who_binds_it_and_where() {
    let error = test(fake().module(UserModule)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "HTTP GET /users → UserService → dyn UserRepo: nobody provides it; UserModule binds \
         dyn UserRepo only for env \"prod\"",
    );
    assert_eq!(
        format!("{error:?}"),
        "HTTP GET /users → UserService → dyn UserRepo: nobody provides it; UserModule binds dyn\n    \
         UserRepo only for env \"prod\"\n  \
         stage: modules\n  \
         help: let UserModule do so for env \"unittest\" too\n",
    );
    let same = fake().module(UserModule).root(std::env::temp_dir()).graph().await.unwrap_err();
    assert!(same.to_string().ends_with("only for env \"prod\""), "{same}");
}

#[tokio::test]
async fn where_it_is_bound_it_is_there() {
    let production = || test(fake().module(UserModule)).environment(Environment::production());
    let app = production().await.unwrap();
    app.container().get::<dyn UserRepo>().await.unwrap();
    assert!(app.container().config().get::<bool>("users.sql").unwrap());
    app.close().await.unwrap();
}

struct Audit;

/// Off in two ways.
fn audit() -> impl Module {
    struct Switched;
    impl Module for Switched {
        fn name(&self) -> &str {
            "audit"
        }

        fn enabled(&self, config: &Config) -> bool {
            config.get_or_default("audit.on").unwrap_or(false)
        }

        fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
            m.provide_value(Arc::new(Audit)).default_config(json!({ "audit": { "brought": 1 } }));
            Ok(())
        }
    }
    Switched
}

fn needs_audit() -> Bootstrap {
    fake().hook(HookPoint::OnReady, async |_: Inject<Audit>| Ok(()))
}

#[tokio::test]
async fn what_a_module_would_provide_that_is_off_is_told_with_why_it_is_off() {
    let by_itself = test(needs_audit().module(audit())).config("audit.on", false);
    assert_eq!(
        format!("{:?}", by_itself.await.unwrap_err()),
        "hook on_ready of the bootstrap → Audit: nobody provides it; module audit provides \
         Audit, but\n    \
         is off in environment \"unittest\": audit.on is false (override of audit.on)\n  \
         stage: modules\n  \
         help: turn module audit on: modules.audit.enabled = true\n",
    );
    let by_configuration =
        test(needs_audit().module(audit())).config("modules.audit.enabled", false);
    assert_eq!(
        by_configuration.await.unwrap_err().to_string(),
        "hook on_ready of the bootstrap → Audit: nobody provides it; module audit provides \
         Audit, but is off in environment \"unittest\": modules.audit.enabled is false \
         (override of modules.audit.enabled)",
    );
}

#[tokio::test]
async fn a_module_that_fails_or_panics_when_it_is_asked_says_nothing() {
    let broken = |name: &str| {
        module(name, |m| {
            m.only_for(&["prod"], |m| {
                m.provide_value(Arc::new(Audit));
                panic!("only in production");
            });
            Ok(())
        })
    };
    let error = test(needs_audit().module(broken("a"))).await.unwrap_err();
    assert_eq!(error.to_string(), "hook on_ready of the bootstrap → Audit: nobody provides it");
}

#[tokio::test]
async fn several_who_have_it_elsewhere_are_all_told() {
    let elsewhere = |name: &str, environments: &'static [&'static str]| {
        module(name, move |m| {
            m.only_for(environments, |m| {
                m.provide_value(Arc::new(Audit));
            });
            Ok(())
        })
    };
    let bootstrap = needs_audit()
        .module(elsewhere("a", &["prod", "staging"]))
        .module(elsewhere("b", &["local"]))
        .module(elsewhere("c", &[]));
    assert_eq!(
        test(bootstrap).await.unwrap_err().to_string(),
        "hook on_ready of the bootstrap → Audit: nobody provides it; module a provides Audit only \
         for env \"prod\" or \"staging\"; module b provides Audit only for env \"local\"",
    );
}

#[tokio::test]
async fn configuration_alone_turns_modules_on_and_off() {
    let count = async |value: Option<bool>, own: bool| {
        let mut test = test(fake().module(audit())).config("audit.on", own);
        if let Some(value) = value {
            test = test.config("modules.audit.enabled", value);
        }
        let app = test.await.unwrap();
        let found = app.container().try_get::<Audit>().is_some();
        assert_eq!(app.container().config().contains("audit.brought"), found);
        app.close().await.unwrap();
        found
    };
    assert!(!count(None, false).await && count(None, true).await);
    assert!(!count(Some(false), true).await, "configuration has the last word");
    assert!(count(Some(true), false).await, "configuration has the last word");
}

#[tokio::test]
async fn of_two_modules_of_one_name_configuration_turns_on_the_one_that_is_on_by_itself() {
    let other = module("audit", |m| {
        m.provide_value(Arc::new(7_u8));
        Ok(())
    });
    let both = test(fake().module(audit()).module(other)).config("modules.audit.enabled", true);
    let app = both.await.unwrap();
    assert!(app.container().try_get::<u8>().is_some());
    assert!(app.container().try_get::<Audit>().is_none());
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_switch_of_no_module_or_of_another_shape_is_told() {
    let unknown = test(fake().module(audit())).config("modules.audti.enabled", false);
    assert_eq!(
        format!("{:?}", unknown.await.unwrap_err()),
        "configuration key modules.audti.enabled (override of modules.audti.enabled): there is \
         no\n    \
         module \"audti\"; the nearest is \"audit\"\n  \
         stage: modules\n  \
         help: correct the name, or take the key out; modules are: audit\n",
    );
    let wrong = test(fake().module(audit())).config("modules.audit.enable", false);
    let wrong = format!("{:?}", wrong.await.unwrap_err());
    assert!(wrong.contains("modules.audit.enable") && wrong.contains("enabled"), "{wrong}");
}

#[tokio::test]
async fn a_switch_that_comes_too_late_is_an_error() {
    let bootstrap = fake().module(audit()).before(async |container| {
        container.config().add(json!({ "modules": { "audit": { "enabled": false } } }))
    });
    let error = test(bootstrap).await.unwrap_err().to_string();
    assert!(error.starts_with("modules.audit.enabled was unset when "), "{error}");
}

#[tokio::test]
async fn every_module_that_cannot_say_what_it_brings_is_told_by_name() {
    struct Undecided;
    impl Module for Undecided {
        fn name(&self) -> &str {
            "undecided"
        }

        fn enabled(&self, _: &Config) -> bool {
            panic!("who knows")
        }

        fn configure(&self, _: &mut ModuleBuilder<'_>) -> Result<()> {
            Ok(())
        }
    }
    let error = test(fake().module(Undecided)).await.unwrap_err();
    assert_eq!(error.to_string(), "module undecided: panicked: who knows");
    let fails = module("fails", |_| Err(polyport::Error::other("no")));
    let panics = module("panics", |_| panic!("boom"));
    let error = test(fake().module(fails).module(panics)).await.unwrap_err();
    let told: Vec<_> = error.parts().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["module fails: no", "module panics: panicked: boom"]);
}
