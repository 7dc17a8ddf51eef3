//! Modules and presets as a bootstrap puts them together.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use polyport_bootstrap::{
    Bootstrap, Config, Error, Fault, Module, ModuleBuilder, Preset, Provide, Result,
    config::{Environment, Layer},
    container::Lazy,
    module,
    operation::Inject,
    testing::{TestApp, TestBootstrap, create_bootstrap},
};
use serde_json::json;
use support::{Fake, FakeApp, Log, serve};

fn test(bootstrap: Bootstrap) -> TestBootstrap {
    create_bootstrap(bootstrap).root("no/such/folder")
}

fn fake() -> Bootstrap {
    Bootstrap::new().load(Fake::new(&Log::default()))
}

async fn started(bootstrap: Bootstrap) -> TestApp {
    test(bootstrap).await.expect("starts")
}

struct Pool {
    url: String,
}

struct DatabaseModule {
    name: String,
    url: String,
}

impl DatabaseModule {
    fn with(url: &str) -> Self {
        Self { name: "database".to_owned(), url: url.to_owned() }
    }

    fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }
}

impl Module for DatabaseModule {
    fn name(&self) -> &str {
        &self.name
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        let pool = Arc::new(Pool { url: self.url.clone() });
        m.providers().provide_value(pool).named(self.name.as_str());
        Ok(())
    }
}

#[tokio::test]
async fn one_type_is_several_modules_each_with_settings_of_its_own() {
    let bootstrap = fake()
        .module(DatabaseModule::with("main"))
        .module(DatabaseModule::with("copy").named("replica"))
        .module(DatabaseModule::with("ignored: the same module once more").named("replica"));
    let app = started(bootstrap).await;
    let url = async |name: &str| {
        let pool = app.container().get_named::<Pool>(name).await;
        pool.expect("is provided").url.clone()
    };
    assert_eq!((url("database").await, url("replica").await), ("main".into(), "copy".into()));
    app.close().await.expect("stops cleanly");
}

/// Brings a `u8` and a default of configuration, where `counter.enabled` says so.
struct Counter;

impl Module for Counter {
    fn name(&self) -> &str {
        "counter"
    }

    fn enabled(&self, config: &Config) -> bool {
        config.environment() == &Environment::unittest()
            && config.get_or_default("counter.enabled").unwrap_or(false)
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::new(7_u8)).default_config(json!({ "counter": { "start": 1 } }));
        Ok(())
    }
}

#[tokio::test]
async fn a_module_that_is_off_brings_nothing() {
    let on = test(fake().module(Counter)).config("counter.enabled", true).await.expect("starts");
    assert_eq!(*on.container().get::<u8>().await.expect("is provided"), 7);
    assert!(on.container().config().contains("counter.start"));
    on.close().await.expect("stops cleanly");

    let off = started(fake().module(Counter)).await;
    assert!(off.container().get::<u8>().await.is_err());
    assert!(!off.container().config().contains("counter.start"));
    off.close().await.expect("stops cleanly");

    let elsewhere = test(fake().module(Counter))
        .environment(Environment::production())
        .config("counter.enabled", true)
        .await
        .expect("starts");
    assert!(elsewhere.container().get::<u8>().await.is_err());
    elsewhere.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn what_decided_about_a_module_must_not_change_afterwards() {
    let bootstrap = fake().module(Counter).before(async |container| {
        container.config().add(json!({ "counter": { "enabled": true } }))
    });
    let report = test(bootstrap).await.expect_err("the module was left out").to_string();
    assert!(report.starts_with("counter.enabled was unset when "), "{report}");
}

/// What every service has.
struct Base;

impl Preset for Base {
    fn name(&self) -> &str {
        "base"
    }

    fn apply(self, bootstrap: Bootstrap) -> Bootstrap {
        bootstrap
            .load(Fake::new(&Log::default()))
            .module(module("numbers", |m| {
                m.provide_value(Arc::new(1_u32));
                m.default_config(json!({ "a": "module", "b": "module", "c": "module" }));
                m.default_config_for("unittest", json!({ "d": "module" }));
                Ok(())
            }))
            .default_config(json!({ "b": "base", "c": "base", "d": "base" }))
    }
}

/// What every service of one company has.
struct Company;

impl Preset for Company {
    fn name(&self) -> &str {
        "company"
    }

    fn apply(self, bootstrap: Bootstrap) -> Bootstrap {
        bootstrap
            .preset(Base)
            .default_config(json!({ "c": "company" }))
            .default_config_for("unittest", json!({ "d": "company" }))
            .default_config_for("prod", json!({ "a": "company" }))
            .on_ready(async |container| {
                container.get::<u32>().await?;
                Err(Error::other("not today"))
            })
    }
}

#[tokio::test]
async fn presets_stack_and_their_defaults_stand_above_those_of_modules() {
    let bootstrap = Bootstrap::new().preset(Base).preset(Base).default_config(json!({ "e": 1 }));
    let app = started(bootstrap).await;
    let config = app.container().config();
    let say = |key: &str| config.get::<String>(key).expect("is set");
    assert_eq!([say("a"), say("b"), say("c")], ["module", "base", "base"]);
    // What holds for the environment stands above what holds everywhere.
    assert_eq!(say("d"), "module");
    let winner = |key: &str| config.explain(key).expect("is set").winner().clone();
    assert_eq!(winner("b").to_string(), "defaults of preset base");
    assert_eq!(winner("e").to_string(), "defaults of the bootstrap");
    assert_eq!(winner("e").layer(), Layer::PresetDefaults);
    app.close().await.expect("stops cleanly");

    let seen = Log::default();
    let log = seen.clone();
    let upper = Bootstrap::new().preset(Company).config_did_load(async move |container| {
        let config = container.config();
        for key in ["a", "b", "c", "d"] {
            log.add(config.get::<String>(key)?);
        }
        log.add(config.explain("d").expect("is set").winner().to_string());
        Ok(())
    });
    let error = test(upper).await.expect_err("the preset's hook fails");
    assert_eq!(error.to_string(), "hook on_ready of preset company: not today");
    let expected =
        ["module", "base", "company", "company", "defaults of preset company for unittest"];
    assert_eq!(seen.entries(), expected);
}

#[tokio::test]
async fn two_presets_of_one_name_and_defaults_that_are_no_table_are_refused() {
    struct Impostor;

    impl Preset for Impostor {
        fn name(&self) -> &str {
            "base"
        }

        fn apply(self, bootstrap: Bootstrap) -> Bootstrap {
            bootstrap
        }
    }

    let error = test(Bootstrap::new().preset(Base).preset(Impostor)).await.expect_err("two");
    assert_eq!(error.to_string(), "two presets are named \"base\"");
    let error = test(fake().default_config(7)).await.expect_err("no table");
    assert!(error.to_string().starts_with("defaults of the bootstrap: "), "{error}");
}

#[derive(Provide)]
#[provide(crate = polyport_bootstrap)]
struct Orders {
    #[inject(name = "orders")]
    _pool: Arc<Pool>,
}

#[derive(Provide)]
#[provide(crate = polyport_bootstrap)]
struct Invoices {
    #[inject(name = "orders")]
    _pool: Arc<Pool>,
}

async fn order(Inject(_orders): Inject<Orders>) -> Result<(), Fault> {
    Ok(())
}

/// Keeps its pool, and all of it where that is asked for, to itself.
fn orders(keeps_all: bool) -> impl Module {
    module("orders", move |m| {
        m.private(|m| {
            let pool = Arc::new(Pool { url: "orders".to_owned() });
            m.providers().provide_value(pool).named("orders");
            if keeps_all {
                m.provide::<Orders>();
            }
        });
        if !keeps_all {
            m.provide::<Orders>();
        }
        serve(m, "default", "order", order);
        Ok(())
    })
}

/// An operation of another module that takes `Orders`.
fn shop() -> impl Module {
    module("shop", |m| {
        serve(m, "default", "shop", order);
        Ok(())
    })
}

#[tokio::test]
async fn what_is_private_is_there_for_its_own_module_and_what_that_provides_for_all() {
    let app = started(fake().module(orders(false)).module(shop())).await;
    app.container().get::<Orders>().await.expect("is provided");
    let graph = app.graph();
    let private = graph.providers.iter().filter(|provider| provider.private);
    let private: Vec<_> = private.map(|provider| provider.title.as_str()).collect();
    assert_eq!(private, ["Pool \"orders\""]);
    app.close().await.expect("stops cleanly");
}

#[tokio::test]
async fn an_outsider_that_takes_what_is_private_is_told_whose_it_is() {
    let invoices = || {
        module("invoices", |m| {
            m.provide::<Invoices>();
            Ok(())
        })
    };
    let expected = "Invoices (module invoices) → Pool \"orders\": it is private to module \
                    orders\n  \
                    help: take what module orders provides for others, or register Pool \
                    \"orders\" there outside\n      \
                    of `m.private(…)`\n";
    let by_provider = || fake().module(orders(false)).module(invoices());
    let error = test(by_provider()).await.expect_err("trespasses");
    assert_eq!(error.stage(), Some("modules"));
    assert_eq!(format!("{error:?}").replace("\n  stage: modules", ""), expected);
    let error =
        by_provider().root(env!("CARGO_MANIFEST_DIR")).graph().await.expect_err("trespasses");
    assert_eq!(format!("{error:?}"), expected);

    let error = test(fake().module(orders(true)).module(shop())).await.expect_err("trespasses");
    let expected = "FAKE shop (module shop) → Orders: it is private to module orders";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_route_that_is_added_later_may_not_take_what_is_private_either() {
    let bootstrap = fake()
        .module(orders(true))
        .on_ready(async |container| container.app::<FakeApp>()?.add("late", order));
    let error = test(bootstrap).await.expect_err("trespasses");
    assert_eq!(
        error.to_string(),
        "hook on_ready of the bootstrap: FAKE late (module application) → Orders: it is private to \
         module orders",
    );
}

#[tokio::test]
async fn what_is_private_is_found_on_every_way_that_leads_to_it() {
    struct Ways;
    let ways = module("ways", |m| {
        m.provide_with(async |_: Option<Arc<Pool>>, _: Lazy<Pool>, _: Vec<Arc<Pool>>| Ok(Ways));
        m.alias::<dyn Send + Sync, Pool>(|pool| pool);
        Ok(())
    });
    let store = module("store", |m| {
        m.private(|m| {
            m.provide_value(Arc::new(Pool { url: "store".to_owned() }));
        });
        Ok(())
    });
    let error = test(fake().module(store).module(ways)).await.expect_err("trespasses");
    let told: Vec<_> = error.parts().iter().map(ToString::to_string).collect();
    let private = "it is private to module store";
    assert_eq!(
        told,
        [
            format!("Ways (module ways) → Option<Pool>: {private}"),
            format!("dyn Send + Sync (module ways) → Pool: {private}"),
        ],
    );
}

#[tokio::test]
async fn a_start_reports_everything_at_once_with_the_way_from_the_operation() {
    #[derive(Provide)]
    #[provide(crate = polyport_bootstrap)]
    struct Shop {
        #[inject]
        _orders: Arc<Orders>,
        #[inject]
        _clock: Arc<Clock>,
    }
    struct Clock;
    let shop = module("shop", |m| {
        m.provide::<Shop>();
        serve(m, "default", "shop", async |_: Inject<Shop>| Ok::<_, Fault>(()));
        serve(m, "default", "time", async |_: Inject<Clock>| Ok::<_, Fault>(()));
        Ok(())
    });
    let log = Log::default();
    let built = log.clone();
    let bootstrap = fake().module(orders(true)).module(shop).before(async move |_| {
        built.add("before");
        Ok(())
    });
    let error = test(bootstrap).await.expect_err("does not fit together");
    let told: Vec<_> = error.parts().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "FAKE time → Clock: nobody provides it",
            "FAKE shop → Shop → Clock: nobody provides it",
            "FAKE shop → Shop (module shop) → Orders: it is private to module orders",
        ],
    );
    assert!(log.entries().is_empty(), "nothing runs before the graph is checked");
}
