//! Typed sections: who takes them, what is wrong with them, and what a change of them does.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use garde::Validate;
use polyport::{
    Bootstrap, Context, Error, Fault, Module, ModuleBuilder, Provide, Result, Settings,
    config::{ChangedKey, Config, ConfigBuilder, Effect, Environment, Secret},
    module,
    operation::{Call, Ctx, Endpoint, FromContext, Inject, InputSlot, NoPayload, Protocol},
    testing::{TestBootstrap, create_bootstrap},
};
use serde::Deserialize;
use serde_json::json;
use support::{Fake, Log};

#[derive(Debug, Clone, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("users")]
struct Users {
    #[garde(range(min = 1, max = 100))]
    page_size: u32,
    #[garde(skip)]
    greeting: String,
    #[garde(skip)]
    pin: Secret<String>,
}

impl Default for Users {
    fn default() -> Self {
        Self { page_size: 20, greeting: "hello".to_owned(), pin: Secret::default() }
    }
}

#[derive(Debug, Clone, Default, Deserialize, Validate, Settings)]
#[serde(default, rename_all = "kebab-case")]
#[settings("mail.out")]
struct Mail {
    #[garde(range(max = 3))]
    max_tries: u8,
    #[serde(rename = "from")]
    #[garde(length(min = 3))]
    sender: String,
    #[garde(dive)]
    relay: Relay,
}

#[derive(Debug, Clone, Default, Deserialize, Validate)]
#[serde(default)]
struct Relay {
    #[garde(range(max = 9))]
    weight: u8,
    #[serde(rename = "prio")]
    #[garde(range(max = 9))]
    priority: u8,
}

/// A singleton that keeps a live handle.
#[derive(Provide)]
struct Pager {
    #[inject]
    settings: Settings<Users>,
}

/// A value of one call.
#[derive(Provide)]
#[provide(scope = "request")]
struct Page {
    #[inject]
    settings: Settings<Users>,
}

/// Changes the configuration between two arguments of a call.
struct Change;

impl FromContext for Change {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let size = context.metadata.get("size").unwrap().to_str().unwrap();
        let size: u32 = size.parse().unwrap();
        commit(context.container.config(), json!({ "users": { "page_size": size } }));
        Ok(Self)
    }
}

async fn sizes(
    users: Settings<Users>,
    _: Change,
    again: Settings<Users>,
    Inject(page): Inject<Page>,
    Inject(pager): Inject<Pager>,
    Ctx(context): Ctx,
) -> Result<String, Fault> {
    let later = context.settings::<Users>().await?;
    let of_call = [&users, &again, &page.settings, &later].map(|one| one.get().page_size);
    Ok(format!("{of_call:?}, now {}", pager.settings.get().page_size))
}

fn commit(config: Config, value: serde_json::Value) -> Vec<ChangedKey> {
    let builder = ConfigBuilder::new(Environment::unittest(), "no/such/folder");
    let rebuilt = builder.preset_defaults("the test", value).build().unwrap();
    config.commit(config.prepare(&rebuilt).unwrap())
}

fn users() -> impl Module {
    module("users", |m: &mut ModuleBuilder<'_>| {
        m.settings::<Users>().provide::<Pager>().provide::<Page>();
        support::serve(m, "default", "sizes", sizes);
        Ok(())
    })
}

fn app() -> TestBootstrap {
    start(Bootstrap::new().module(users()))
}

fn start(bootstrap: Bootstrap) -> TestBootstrap {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/no/such/folder");
    let none: [(&str, &str); 0] = [];
    create_bootstrap(bootstrap.load(Fake::new(&Log::default()))).root(folder).variables(none)
}

/// The report, each sentence on one line however long it is.
async fn fails(starting: TestBootstrap) -> String {
    fn lines(error: &Error, pad: usize, out: &mut String) {
        out.push_str(&format!("{:pad$}{error}\n", ""));
        if let Some(advice) = error.advice() {
            out.push_str(&format!("{:pad$}  help: {advice}\n", ""));
        }
        error.parts().iter().for_each(|part| lines(part, pad + 2, out));
    }
    let mut report = String::new();
    lines(&starting.await.expect_err("it must not start"), 0, &mut report);
    report
}

/// A folder with these config files, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = format!("polyport-settings-{name}-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(folder));
        fs::create_dir_all(folder.0.join("config")).unwrap();
        for (file, text) in files {
            fs::write(folder.0.join("config").join(file), text).unwrap();
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn constructors_hooks_and_tests_read_the_section_of_their_type() {
    let seen = Log::default();
    let hook = seen.clone();
    let bootstrap = Bootstrap::new().module(users()).on_ready(async move |container| {
        let users = container.get::<Settings<Users>>().await?;
        hook.add(users.get().greeting.clone());
        Ok(())
    });
    let app = start(bootstrap).config("users.page_size", 7).await.unwrap();
    let pager = app.container().get::<Pager>().await.unwrap();
    assert_eq!(pager.settings.get().page_size, 7);
    assert_eq!(seen.entries(), ["hello"], "what is not set comes from Default");
    assert_eq!(format!("{:?}", pager.settings), "Settings<settings::Users>");
    drop(pager);
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_call_sees_one_moment_of_the_configuration_and_the_next_call_the_next() {
    let app = app().await.unwrap();
    let endpoint = Endpoint::json(sizes);
    let call = async |size: &'static str| {
        let info = Arc::clone(endpoint.info());
        let mut call = Call::new(Protocol::new("test"), info, app.container().clone());
        call.metadata.insert("size", size.parse().unwrap());
        endpoint.call(&Context::new(call)).await.unwrap().value::<String>().unwrap().clone()
    };
    assert_eq!(call("50").await, "[20, 20, 20, 20], now 50");
    assert_eq!(call("60").await, "[50, 50, 50, 50], now 60");
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_subscriber_is_told_of_a_commit() {
    let app = app().await.unwrap();
    let settings = app.container().get::<Settings<Users>>().await.unwrap();
    let mut changes = settings.subscribe();
    let waiting = tokio::spawn(async move { changes.changed().await.page_size });
    let changed = commit(app.container().config(), json!({ "users": { "page_size": 30 } }));
    let told = tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    assert_eq!(told, 30);
    assert_eq!(changed[0].to_string(), "users.page_size: unset → 30 (defaults of the test)");
    drop(settings);
    app.close().await.unwrap();
}

#[tokio::test]
async fn what_was_read_at_start_needs_a_restart_and_what_is_declared_does_not() {
    #[derive(Provide)]
    struct Reader {
        #[config("limits.size")]
        _size: Option<u8>,
    }
    let bootstrap = Bootstrap::new().module(users()).module(module("reader", |m| {
        m.provide::<Reader>();
        m.provide_with(async |reader: Arc<Reader>| {
            drop(reader);
            Ok(5_u8)
        })
        .eager();
        Ok(())
    }));
    let app = start(bootstrap).await.unwrap();
    let changed = commit(
        app.container().config(),
        json!({
            "limits": { "size": 1, "other": 1 }, "users": { "page_size": 5 },
            "startup": { "bind": "1s" }, "log": { "level": "warn" },
        }),
    );
    let effects: Vec<_> = changed.iter().map(|key| (key.key(), key.effect())).collect();
    let expected = [
        ("limits.other", Effect::Live),
        ("limits.size", Effect::Restart),
        ("log.level", Effect::Live),
        ("startup.bind", Effect::Restart),
        ("users.page_size", Effect::Live),
    ];
    assert_eq!(effects, expected);
    app.close().await.unwrap();
}

const FAULTY: &str = r#"
free = { anything = "goes" }

[users]
page_size = 500
greting = "hi"
pin = 4711

[mail.out]
max-tries = 9
from = "me"
relay = { weight = 10, prio = 10 }

[log]
level = 5
fromat = "json"
"#;

#[tokio::test]
async fn every_fault_of_every_section_is_in_one_report() {
    let folder = Folder::new("faulty", &[("config.default.toml", FAULTY)]);
    let mail = module("mail", |m| {
        m.settings::<Mail>();
        Ok(())
    });
    let report = fails(start(Bootstrap::new().module(users()).module(mail)).root(&folder.0)).await;
    let file = "config/config.default.toml";
    let or = "correct it there, or override it by the environment variable";
    assert_eq!(
        report,
        format!(
            "9 faults in the configuration
  {file}:16, key log.fromat: unknown key; the nearest is format
    help: correct its name, or remove it
  {file}:15, key log.level: expected a string, found 5
    help: {or} POLYPORT__LOG__LEVEL
  {file}:6, key users.greting: unknown key; the nearest is greeting
    help: correct its name, or remove it
  {file}:5, key users.page_size: greater than 100, found 500
    help: {or} POLYPORT__USERS__PAGE_SIZE
  {file}:7, key users.pin: expected a string, found ***
    help: {or} POLYPORT__USERS__PIN
  {file}:11, key mail.out.from: length is lower than 3, found \"me\"
    help: {or} POLYPORT__MAIL__OUT__FROM
  {file}:10, key mail.out.max-tries: greater than 3, found 9
    help: correct it there
  {file}:12, key mail.out.relay: priority: greater than 9, found a table
    help: correct it there
  {file}:12, key mail.out.relay.weight: greater than 9, found 10
    help: {or} POLYPORT__MAIL__OUT__RELAY__WEIGHT
"
        )
    );
}

#[tokio::test]
async fn a_secret_is_masked_wherever_its_type_says_so_even_before_it_is_read() {
    let seen = Log::default();
    let hook = seen.clone();
    let bootstrap = Bootstrap::new().module(users()).before(async move |container| {
        let config = container.config();
        config.add_from("remote", json!({ "users": { "pin": "4711" } }))?;
        hook.add(config.explain("users.pin").unwrap().winner().value().to_string());
        hook.add(config.snapshot()["users"]["pin"].to_string());
        Ok(())
    });
    let app = start(bootstrap).await.unwrap();
    assert_eq!(seen.entries(), ["\"***\"", "\"***\""]);
    let users = app.container().get::<Settings<Users>>().await.unwrap().get();
    assert_eq!(users.pin.expose(), "4711");
    assert!(!format!("{users:?}").contains("4711"), "{users:?}");
    let changed = commit(app.container().config(), json!({ "users": { "pin": "0815" } }));
    assert_eq!(changed[0].to_string(), "users.pin: \"***\" → \"***\" (defaults of the test)");
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_hook_that_changes_what_a_singleton_took_is_named() {
    let bootstrap = Bootstrap::new().module(users()).before(async |container| {
        container.get::<Pager>().await?;
        container.config().add_from("remote: config center", json!({ "users": { "page_size": 9 } }))
    });
    let report = fails(start(bootstrap)).await;
    assert!(
        report.contains(
            "users.page_size was unset when Settings<settings::Users> read it, and is 9 since: \
             remote: config center"
        ),
        "{report}"
    );
}

#[tokio::test]
async fn a_faulty_section_that_a_before_hook_needs_fails_that_hook() {
    let bootstrap = Bootstrap::new().module(users()).before(async |container| {
        container.get::<Pager>().await?;
        Ok(())
    });
    let report = fails(start(bootstrap).config("users.page_size", 0)).await;
    assert!(report.contains("key users.page_size: lower than 1, found 0"), "{report}");
}

#[tokio::test]
async fn settings_that_nobody_declares_are_a_fault_of_the_graph() {
    let bootstrap = Bootstrap::new().module(module("pager", |m| {
        m.provide::<Pager>();
        Ok(())
    }));
    let report = fails(start(bootstrap)).await;
    assert!(report.contains("Pager"), "{report}");
    assert!(report.contains("m.settings::<Users>()"), "{report}");
}

#[tokio::test]
async fn a_section_has_one_type() {
    #[derive(Debug, Default, Deserialize, Validate, Settings)]
    #[serde(default)]
    #[settings("users")]
    struct Others {}

    let twice = module("again", |m| {
        m.settings::<Users>();
        Ok(())
    });
    start(Bootstrap::new().module(users()).module(twice)).await.unwrap().close().await.unwrap();
    let others = module("others", |m| {
        m.settings::<Others>();
        Ok(())
    });
    let report = fails(start(Bootstrap::new().module(users()).module(others))).await;
    assert!(
        report.contains(
            "the section users of the configuration is module users's, as settings::Users, and \
             module others declares it as settings::a_section_has_one_type"
        ),
        "{report}"
    );
}

#[tokio::test]
async fn a_section_within_another_has_its_own_owner() {
    #[derive(Debug, Default, Deserialize, Validate, Settings)]
    #[serde(default)]
    #[settings("users.cache")]
    struct Cache {
        #[garde(skip)]
        size: u8,
    }
    let cache = || {
        module("cache", |m| {
            m.settings::<Cache>();
            Ok(())
        })
    };
    let both = || start(Bootstrap::new().module(users()).module(cache()));
    let app = both().config("users.cache.size", 3).await.unwrap();
    assert_eq!(app.container().get::<Settings<Cache>>().await.unwrap().get().size, 3);
    app.close().await.unwrap();
    let report = fails(both().config("users.cache.sise", 3)).await;
    assert!(report.contains("key users.cache.sise: unknown key; the nearest is size"), "{report}");
}

#[tokio::test]
async fn the_section_of_a_framework_without_settings_takes_no_key() {
    let report = fails(start(Bootstrap::new()).config("fake.port", 3)).await;
    assert!(report.contains("key fake.port: unknown key, expected nothing"), "{report}");
}

#[tokio::test]
async fn settings_that_are_fixed_never_change() {
    let settings = Settings::fixed(Users::default());
    assert_eq!(settings.get().page_size, 20);
    let mut changes = settings.subscribe();
    assert!(futures_util::FutureExt::now_or_never(changes.changed()).is_none());
}
