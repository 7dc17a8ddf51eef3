//! One configuration takes the place of another.

use garde::Validate;
use serde::Deserialize;

use super::*;

#[derive(Debug, Default, Deserialize, Validate)]
#[serde(default)]
struct Users {
    #[garde(range(max = 100))]
    page_size: u32,
    #[garde(skip)]
    greeting: String,
}

impl SettingsSection for Users {
    const KEY: &'static str = "users";
}

fn users(config: &Config) -> Settings<Users> {
    config.declare("module users", "users", Effect::Live).unwrap().settings().unwrap()
}

#[tokio::test]
async fn a_commit_is_seen_by_handles_and_subscribers_and_names_what_changed() {
    let old = config(&[("config.default.toml", "[users]\npage_size = 1\n[http]\nport = 1\n")]);
    let settings = users(&old);
    let _: Json = old.get("http").unwrap();
    old.seal().unwrap();
    old.validate().unwrap();
    old.started();
    let mut changes = settings.subscribe();
    let held = settings.get();

    let folder = Folder::new(&[(
        "config.default.toml",
        "free = 1\n[users]\npage_size = 2\n[http]\nport = 2\n",
    )]);
    let prepared = old.prepare(&folder.builder().build().unwrap()).unwrap();
    assert_eq!(settings.get().page_size, 1);
    let changed: Vec<_> =
        old.commit(prepared).iter().map(|key| (key.to_string(), key.effect())).collect();
    assert_eq!(
        changed,
        [
            ("free: unset → 1 (config/config.default.toml:1)".to_owned(), Effect::Live),
            ("http.port: 1 → 2 (config/config.default.toml:5)".to_owned(), Effect::Restart),
            ("users.page_size: 1 → 2 (config/config.default.toml:3)".to_owned(), Effect::Live),
        ]
    );
    assert_eq!((held.page_size, settings.get().page_size), (1, 2));
    assert_eq!(changes.changed().await.page_size, 2);
    assert_eq!(old.get::<u32>("http.port").unwrap(), 2);
}

#[tokio::test]
async fn a_subscriber_hears_nothing_of_other_sections() {
    let config = config(&[]);
    let settings = users(&config);
    config.seal().unwrap();
    config.validate().unwrap();
    let mut changes = settings.subscribe();
    let with = |value: Json| {
        let builder = ConfigBuilder::new(Environment::unittest(), "no/such/folder");
        builder.preset_defaults("test", value).build().unwrap()
    };
    config.commit(config.prepare(&with(json!({ "other": 1 }))).unwrap());
    let mut waiting = at_once(changes.changed());
    assert!(waiting.is_none(), "no change of its own");
    config.commit(config.prepare(&with(json!({ "users": { "greeting": "hi" } }))).unwrap());
    waiting = at_once(changes.changed());
    assert_eq!(waiting.unwrap().greeting, "hi");
}

/// The future's answer, if it is there at once.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    futures_util::FutureExt::now_or_never(future)
}

#[test]
fn a_bad_configuration_is_refused_as_a_whole() {
    let old = config(&[("config.default.toml", "[users]\npage_size = 1\n")]);
    let settings = users(&old);
    assert!(old.prepare(&config(&[])).is_err(), "it is not complete yet");
    old.seal().unwrap();
    old.validate().unwrap();
    let folder = Folder::new(&[("config.default.toml", "[users]\npage_size = 'many'\n")]);
    let error = old.prepare(&folder.builder().build().unwrap()).unwrap_err();
    assert!(report(&error).contains("config.default.toml:2, key users.page_size"), "{error:?}");
    assert_eq!(settings.get().page_size, 1);
}
