//! Nothing that is printed shows a secret.

use super::*;

const FILE: &str = r#"
name = "im"
pool_url = "amqp://guest:hunter2@127.0.0.1:5672/%2f"
[db]
password = "hunter2"
api_key = 4711
port = 1
keyboard = "qwerty"
tokens = ["hunter2", "b"]
[secret]
a = { b = "hunter2" }
"#;

#[test]
fn the_snapshot_masks_secrets_and_nothing_else() {
    let config = config(&[("config.default.toml", FILE)]);
    let expected = json!({
        "name": "im",
        "pool_url": "amqp://guest:***@127.0.0.1:5672/%2f",
        "db": {
            "password": "***", "api_key": "***", "port": 1, "keyboard": "qwerty",
            "tokens": ["***", "***"],
        },
        "secret": { "a": { "b": "***" } },
    });
    assert_eq!(config.snapshot(), expected);
}

#[test]
fn explanations_and_debug_mask_secrets() {
    let config = config(&[("config.default.toml", FILE)]);
    for key in ["db.password", "secret.a.b", "db.tokens.0", "pool_url", "db", "secret.a", ""] {
        let shown = format!("{:?} {config:?}", config.explain(key).unwrap());
        assert!(shown.contains("***") && !shown.contains("hunter2"), "{key}: {shown}");
    }
    assert_eq!(config.get::<String>("db.password").unwrap(), "hunter2");
}

#[test]
fn errors_mask_secrets() {
    #[derive(Debug)]
    struct Picky;
    impl<'de> serde::Deserialize<'de> for Picky {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let value = Json::deserialize(deserializer)?;
            Err(serde::de::Error::custom(format!("I do not like {value}")))
        }
    }
    let config = config(&[("config.default.toml", FILE)]);
    let errors = [
        config.get::<u16>("db.password").unwrap_err(),
        config.get::<bool>("db.api_key").unwrap_err(),
        config.get::<Vec<u16>>("db.tokens").unwrap_err(),
        config.get::<u16>("pool_url").unwrap_err(),
        config.get::<Picky>("db.password").unwrap_err(),
        config.get::<Picky>("db").unwrap_err(),
        config.get::<Picky>("secret").unwrap_err(),
        config.get::<Picky>("pool_url").unwrap_err(),
        config.get::<Picky>("").unwrap_err(),
    ];
    for error in errors {
        let report = report(&error);
        assert!(!report.contains("hunter2") && !report.contains("4711"), "{report}");
    }
    let error = config.get::<Picky>("name").unwrap_err().to_string();
    let expected = r#"config/config.default.toml:2, key name: I do not like "im", found "im""#;
    assert_eq!(error, expected);
}

#[test]
fn files_that_cannot_be_parsed_do_not_show_their_content() {
    for (name, text) in [
        ("config.default.toml", "password = \"hunter2"),
        ("config.default.toml", "password = hunter2"),
        ("config.default.json", r#"{"password": "hunter2"#),
        ("config.default.json", r#""hunter2""#),
        ("config.default.yaml", "password: \"hunter2\nb: 1"),
        ("config.default.yaml", "hunter2"),
        ("config.default.yaml", "password: !!int hunter2"),
    ] {
        let report = report(&faults(&[(name, text)]));
        assert!(!report.contains("hunter2"), "{report}");
    }
}

#[test]
fn a_type_that_reads_a_secret_hides_it_in_its_error_though_nobody_declared_it() {
    let config = config(&[("config.default.toml", "[door]\ncode = 'hunter2'\nfree = 'seen'\n")]);
    let error = config.get::<Secret<u16>>("door.code").unwrap_err();
    let expected = "config/config.default.toml:2, key door.code: expected u16, found ***";
    assert_eq!(error.to_string(), expected);
    assert!(config.get::<u16>("door.free").unwrap_err().to_string().contains("seen"));
    assert_eq!(config.get::<Secret<String>>("door.code").unwrap().expose(), "hunter2");
}

#[test]
fn what_was_made_of_a_secret_when_it_was_read_is_masked_though_it_is_changed_since() {
    let file = "[db]\npassword = \"hunter2\"\ndsn = \"host ${db.password}\"\n";
    let config = config(&[("config.default.toml", file)]);
    config.get::<String>("db.dsn").unwrap();
    config.add(json!({ "db": { "dsn": "host" } })).unwrap();
    let report = report(&config.seal().unwrap_err());
    assert!(report.contains("db.dsn was ***"), "{report}");
}
