//! Hooks that see every source before it is merged.

use std::sync::{Arc, Mutex};

use super::*;

fn decrypt(text: &str) -> Option<String> {
    text.strip_prefix("enc:").map(|text| text.chars().rev().collect())
}

fn decrypting(builder: ConfigBuilder) -> ConfigBuilder {
    builder.config_will_load(|values| values.map_strings(|_, text| Ok(decrypt(text))))
}

#[test]
fn each_source_is_seen_once_with_its_raw_values() {
    let folder = Folder::new(&[
        ("config.default.toml", "a = '${x}'\n"),
        ("config.unittest.yaml", "password: hunter2\n"),
    ]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let builder = folder
        .builder()
        .variables([("POLYPORT__X", "1"), ("OTHER", "2")])
        .module_defaults("m", json!({ "b": [1] }))
        .override_value("c", 3)
        .config_will_load({
            let seen = Arc::clone(&seen);
            move |values| {
                let all = values.get("").unwrap();
                let line = format!("{} | {} | {all}", values.layer(), values.source());
                seen.lock().unwrap().push(line);
                Ok(())
            }
        });
    let config = builder.build().unwrap();
    config.add_from("remote: config center", json!({ "d": 4 })).unwrap();
    config.add_defaults(Layer::ModuleDefaults, "n", json!({ "e": 5 })).unwrap();
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(
        seen,
        [
            r#"before-hook | remote: config center | {"d":4}"#,
            r#"default file | config/config.default.toml | {"a":"${x}"}"#,
            r#"environment file | config/config.unittest.yaml | {"password":"hunter2"}"#,
            r#"environment variable | environment variable POLYPORT__X | {"x":1}"#,
            r#"module defaults | defaults of module m | {"b":[1]}"#,
            r#"module defaults | defaults of module n | {"e":5}"#,
            r#"override | override of c | {"c":3}"#,
        ]
    );
}

#[test]
fn what_a_hook_makes_of_a_value_holds_for_every_source() {
    let folder = Folder::new(&[("config.default.toml", "a = 'enc:cba'\nlist = ['enc:yx', 1]")]);
    let variables = [("POLYPORT__B", "enc:fed"), ("POLYPORT__PIN", "1.50")];
    let config = decrypting(folder.builder().variables(variables)).build().unwrap();
    config.add_from("remote", json!({ "c": { "d": "enc:zyx" } })).unwrap();
    let expected = json!({
        "a": "abc", "list": ["xy", 1], "b": "def", "c": { "d": "xyz" }, "pin": 1.5,
    });
    assert_eq!(config.snapshot(), expected);
    assert_eq!(config.get::<String>("b").unwrap(), "def", "not what the variable says itself");
    assert_eq!(config.get::<String>("pin").unwrap(), "1.50", "which no hook has changed");
    let place = config.explain("a").unwrap();
    assert_eq!(place.winner().to_string(), "config/config.default.toml:1");
}

#[test]
fn values_can_be_set_and_removed() {
    let folder = Folder::new(&[("config.default.toml", "[http]\nport = 1\nhost = 'h'\n")]);
    let config = folder
        .builder()
        .config_will_load(|values| {
            if values.layer() == Layer::DefaultFile {
                assert_eq!(values.remove("http.host"), Some(json!("h")));
                assert_eq!(values.remove("http.none"), None);
                values.set("http.port", 2)?;
                values.set("new.list", [1, 2])?;
                values.set("new.list.1", 3)?;
                let error = values.set("http.port.x", 1).unwrap_err().to_string();
                assert!(error.ends_with("http.port is a number and has no keys"), "{error}");
            }
            Ok(())
        })
        .build()
        .unwrap();
    let expected = json!({ "http": { "port": 2 }, "new": { "list": [1, 3] } });
    assert_eq!(config.snapshot(), expected);
}

#[test]
fn what_a_hook_refuses_names_the_hook_the_source_and_the_key() {
    let folder = Folder::new(&[("config.default.toml", "x = 1\n[db]\npassword = 'enc:'\n")]);
    let refusing = |builder: ConfigBuilder| {
        builder.config_will_load(|values| {
            values.map_strings(|_, text| match text.strip_prefix("enc:") {
                Some("") => Err(Error::configuration("there is nothing to decrypt")),
                _ => Ok(None),
            })
        })
    };
    let error = refusing(folder.builder().variables([("POLYPORT__Y", "enc:")])).build();
    let parts: Vec<_> = error.unwrap_err().parts().iter().map(ToString::to_string).collect();
    assert_eq!(
        parts,
        [
            "hook config_will_load of the bootstrap, config/config.default.toml: \
             config/config.default.toml:3, key db.password: there is nothing to decrypt",
            "hook config_will_load of the bootstrap, environment variable POLYPORT__Y: \
             environment variable POLYPORT__Y, key y: there is nothing to decrypt",
        ]
    );
    let config = refusing(Folder::new(&[]).builder()).build().unwrap();
    let error = config.add_from("remote: center", json!({ "a": "enc:" })).unwrap_err();
    assert!(error.to_string().contains("remote: center, key a: there is nothing to decrypt"));
    assert_eq!(config.snapshot(), json!({}));
}

#[test]
fn a_hook_that_panics_is_an_error() {
    let folder = Folder::new(&[("config.default.toml", "a = 1")]);
    let error = folder.builder().config_will_load(|_| panic!("oh no")).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "hook config_will_load of the bootstrap, config/config.default.toml: panicked: oh no",
    );
}

#[test]
fn a_hook_sees_what_is_read_and_fetched_again_and_nothing_twice() {
    let folder = Folder::new(&[("config.default.toml", "a = 'enc:1'")]);
    let config = folder.builder().module_defaults("m", json!({ "m": "x" }));
    let config = config.config_will_load(|values| {
        values.map_strings(|_, text| Ok(Some(decrypt(text).unwrap_or(format!("{text}!")))))
    });
    let config = config.build().unwrap();
    config.add_from("remote: center", json!({ "r": "enc:1" })).unwrap();
    fs::write(folder.path().join("config/config.default.toml"), "a = 'enc:21'").unwrap();
    let mut again = ConfigBuilder::again(&config);
    again.replace("remote: center", tree::from_object(json!({ "r": "enc:43" })).unwrap());
    let again = again.build().unwrap();
    assert_eq!(again.snapshot(), json!({ "a": "12", "m": "x!", "r": "34" }));
}

#[test]
fn what_a_hook_decrypts_stays_a_secret_and_is_not_interpolated_unless_it_is_to_be() {
    let folder = Folder::new(&[("config.default.toml", "password = 'enc:}x{$'\nurl = 'enc:}x{$'")]);
    let config = folder.builder().config_will_load(|values| {
        values.map_strings(|key, text| {
            let text = decrypt(text);
            Ok(text.map(|text| if key == "password" { literal(&text) } else { text }))
        })
    });
    let config = config.build().unwrap();
    config.add(json!({ "x": "filled" })).unwrap();
    assert_eq!(config.get::<String>("password").unwrap(), "${x}");
    assert_eq!(config.get::<String>("url").unwrap(), "filled");
    assert_eq!(config.snapshot()["password"], "***");
}
