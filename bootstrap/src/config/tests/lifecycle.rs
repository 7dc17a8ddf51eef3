//! What may happen before the configuration is complete, and what after.

use super::*;

#[test]
fn what_a_hook_adds_wins_over_files_and_loses_to_variables() {
    let folder = Folder::new(&[("config.unittest.toml", "[http]\nport = 1\nhost = 'file'\n")]);
    let config = folder.builder().variables([("POLYPORT__HTTP__PORT", "3")]);
    let config = config.build().unwrap();
    let remote = json!({ "http": { "port": 2, "host": "remote" } });
    config.add_from("remote: config center", remote).unwrap();
    assert_eq!(config.get::<u16>("http.port").unwrap(), 3);
    assert_eq!(config.get::<String>("http.host").unwrap(), "remote");
    let winner = config.explain("http.host").unwrap();
    assert_eq!(winner.winner().to_string(), "remote: config center");
    assert_eq!(winner.losers()[0].to_string(), "config/config.unittest.toml:3");
}

#[test]
fn nothing_is_added_to_a_complete_configuration() {
    let config = config(&[]);
    config.seal().unwrap();
    let late = config.add_from("remote: config center", json!({ "a": 1 })).unwrap_err();
    assert_eq!(
        report(&late),
        "remote: config center: the configuration is complete, nothing can be added any more\n  \
         help: add it in a before-hook: those run before the frameworks are built from it\n",
    );
    let line = line!() + 1;
    let late = config.add(json!({})).unwrap_err().to_string();
    assert!(late.starts_with("added by a before-hook at "), "{late}");
    assert!(late.contains(&format!("lifecycle.rs:{line}: ")), "{late}");
    assert!(config.add_defaults(Layer::ModuleDefaults, "m", json!({})).is_err());
    assert_eq!(config.snapshot(), json!({}));
    config.seal().unwrap();
}

#[test]
fn a_value_that_changes_after_it_was_read_is_named_with_reader_and_culprit() {
    let config = config(&[("config.default.toml", "[http]\nport = 1\nhost = 'a'\n")]);
    let line = line!() + 1;
    let section = config.get::<Json>("http").unwrap();
    assert_eq!(section["port"], 1);
    assert!(config.changed_reads().is_empty());
    config.add_from("remote: config center", json!({ "http": { "port": 2 } })).unwrap();
    let changed = config.changed_reads();
    let file = file!();
    assert_eq!(
        changed,
        [format!(
            "http.port was 1 when {file}:{line} read it, and is 2 since: remote: config center"
        )]
    );
    let error = config.seal().unwrap_err();
    assert_eq!(error.to_string(), changed[0]);
    assert_eq!(
        error.advice(),
        Some(
            "move the hook that changes it before the one that needs the reader, or read with \
             Config::peek if the value may change"
        )
    );
    assert!(config.add(json!({ "still": "open" })).is_ok());
}

#[test]
fn a_default_that_was_read_and_set_afterwards_is_a_change_too() {
    let config = config(&[]);
    assert_eq!(config.get_or_default::<u16>("a.port").unwrap(), 0);
    assert_eq!(config.section("a.token").get_or_default::<String>().unwrap(), "");
    config.add_from("remote", json!({ "a": { "port": 2, "token": "hunter2" } })).unwrap();
    let changed = config.changed_reads().join("\n");
    assert!(
        changed.contains("a.port was unset when ") && changed.contains("and is 2 since: remote")
    );
    assert!(changed.contains("a.token was unset") && changed.contains("and is *** since: remote"));
    assert_eq!(config.seal().unwrap_err().parts().len(), 2);
}

#[test]
fn equal_values_overruled_values_and_peeks_are_no_change() {
    let config = with_variables(&[("POLYPORT__A__B", "1")]);
    assert_eq!(config.get::<u8>("a.b").unwrap(), 1);
    assert!(config.get_or_default::<Vec<u8>>("list").unwrap().is_empty());
    assert!(config.peek::<u8>("a.c").is_err());
    assert_eq!(config.peek_or_default::<u8>("a.c").unwrap(), 0);
    assert!(config.contains("a") && config.explain("a.c").is_none());
    config.add(json!({ "a": { "b": 2, "c": 3 } })).unwrap();
    assert_eq!(config.changed_reads(), [""; 0]);
    config.seal().unwrap();
    assert_eq!(config.get::<u8>("a.c").unwrap(), 3);
}

#[test]
fn a_section_is_read_when_it_is_asked() {
    let config = config(&[]);
    let section = config.section("grpc");
    assert_eq!(section.key(), "grpc");
    assert!(section.get::<Json>().is_err());
    config.add(json!({ "grpc": { "port": 7002 } })).unwrap();
    assert_eq!(section.get::<Json>().unwrap(), json!({ "port": 7002 }));
    assert_eq!(section.config().get::<u16>("grpc.port").unwrap(), 7002);
}

#[test]
fn handles_are_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let config = config(&[]);
    shared(&config);
    shared(&config.section("a"));
    std::thread::scope(|threads| {
        for number in 0..4_u32 {
            let config = config.clone();
            threads.spawn(move || config.add(json!({ "n": { number.to_string(): number } })));
        }
    });
    assert_eq!(config.snapshot(), json!({ "n": { "0": 0, "1": 1, "2": 2, "3": 3 } }));
}
