//! Secrets in sections of every shape: what is shown of them.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "testing")]

extern crate polyport_bootstrap as polyport;

mod support;

use garde::Validate;
use polyport::{
    Bootstrap, Settings,
    config::{ConfigBuilder, Environment, Secret},
    module,
    testing::create_bootstrap,
};
use serde::Deserialize;
use serde_json::json;
use support::Fake;

#[derive(Debug, Default, Deserialize, Validate, Settings)]
#[serde(default)]
#[settings("accounts")]
#[garde(allow_unvalidated)]
#[expect(dead_code, reason = "only read")]
struct Accounts {
    tagged: Option<Login>,
    one_of: Vec<Either>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind")]
#[expect(dead_code, reason = "only read")]
enum Login {
    Pin { pin: Secret<String> },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only read")]
enum Either {
    Number(u32),
    Pin { pin: Secret<String> },
}

#[derive(Debug, Default, Deserialize)]
#[expect(dead_code, reason = "only read")]
struct Rest {
    fourth: Option<Secret<String>>,
}

/// serde hands such types a copy, in which the place of a secret cannot be told.
#[tokio::test]
async fn secrets_in_types_that_read_a_copy_are_masked_with_what_is_around_them() {
    let set = |pin: &str| {
        json!({ "accounts": {
            "tagged": { "kind": "Pin", "pin": format!("first {pin}") },
            "one_of": [1, { "pin": format!("second {pin}") }],
        } })
    };
    let bootstrap = Bootstrap::new().default_config(set("4711")).module(module("accounts", |m| {
        m.settings::<Accounts>();
        Ok(())
    }));
    let none: [(&str, &str); 0] = [];
    let app = create_bootstrap(bootstrap.load(Fake::default())).variables(none).await.unwrap();
    let config = app.container().config();
    let rebuilt = ConfigBuilder::new(Environment::unittest(), "no/such/folder");
    let rebuilt = rebuilt.preset_defaults("the test", set("0815")).build().unwrap();
    let changed = config.commit(config.prepare(&rebuilt).unwrap());
    let shown = format!("{} {changed:?} {:?}", config.dump(), config.explain("accounts.tagged"));
    assert!(shown.contains("accounts.tagged.pin = \"***\""), "{shown}");
    assert!(
        shown.contains("accounts.one_of = [1,{\"pin\":\"***\"}]") || shown.contains("***"),
        "{shown}"
    );
    assert!(!shown.contains("4711") && !shown.contains("0815"), "{shown}");
    app.close().await.unwrap();
}
