//! What people are told about where values come from.

use super::*;

fn layered() -> Config {
    let folder = Folder::new(&[
        (
            "config.default.toml",
            "[http]\nport = 7001\nhost = \"127.0.0.1\"\n\n[db]\npassword = \"hunter2\"\nhosts = [\"a\", \"b\"]\n",
        ),
        ("config.unittest.toml", "[http]\nport = 0\n"),
    ]);
    folder
        .builder()
        .framework_defaults("http", json!({ "http": { "port": 80, "path": "/" } }))
        .variables([("POLYPORT__HTTP__PORT", "8080"), ("POLYPORT__DB__PASSWORD", "hunter3")])
        .build()
        .unwrap()
}

#[test]
fn the_winner_comes_first_and_every_loser_after_it_with_file_and_line() {
    assert_eq!(
        layered().explanation("http.port").unwrap().to_string(),
        "http.port = 8080\n  \
         from environment variable POLYPORT__HTTP__PORT (environment variable)\n  \
         not 0 from config/config.unittest.toml:2 (environment file)\n  \
         not 7001 from config/config.default.toml:2 (default file)\n  \
         not 80 from defaults of framework http (framework defaults)\n",
    );
}

#[test]
fn a_text_that_is_made_of_others_is_explained_with_their_places_and_as_it_was_written() {
    let folder = Folder::new(&[(
        "config.default.toml",
        "a = \"${b}/${env:HOME}\"\nb = 7\n[db]\npassword = \"hunter2\"\nurl = \"x ${db.password}\"\n",
    )]);
    let config = folder.builder().variables([("HOME", "/home/tom")]).build().unwrap();
    assert_eq!(
        config.explanation("a").unwrap().to_string(),
        "a = \"7//home/tom\"\n  from config/config.default.toml:1 (default file)\n  \
         written as \"${b}/${env:HOME}\"\n  made of b (config/config.default.toml:2)\n  \
         made of environment variable HOME\n",
    );
    for text in [config.explanation("").unwrap().to_string(), config.dump().to_string()] {
        assert!(text.contains("db.url = \"***\"") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn of_a_table_each_value_is_explained() {
    let config = layered();
    let explained = config.explanation("http").unwrap().to_string();
    let values: Vec<_> = explained.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(values, ["http.host = \"127.0.0.1\"", "http.path = \"/\"", "http.port = 8080"]);
    let all = config.explanation("").unwrap().to_string();
    assert!(all.contains("\ndb.hosts = [\"a\",\"b\"]\n") || all.starts_with("db.hosts"), "{all}");
    assert_eq!(config.explanation("db.hosts.1").unwrap().to_string().lines().next(), {
        Some("db.hosts.1 = \"b\"")
    });
}

#[test]
fn a_secret_is_masked_in_explanations_and_dumps_the_losing_ones_too() {
    let config = layered();
    let explained = config.explanation("db.password").unwrap().to_string();
    assert!(explained.contains("db.password = \"***\"\n"), "{explained}");
    assert!(explained.contains("not \"***\" from config/config.default.toml:6"), "{explained}");
    let dump = config.dump();
    for text in [explained, dump.to_string(), dump.values().to_string(), format!("{dump:?}")] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn where_nothing_is_set_the_nearest_key_and_how_to_set_it_are_told() {
    let error = layered().explanation("http.prot").unwrap_err();
    assert_eq!(
        report(&error),
        "configuration key http.prot is missing; the nearest is http.port\n  \
         help: set prot under [http] in config/config.default.toml, or the environment variable\n      \
         POLYPORT__HTTP__PROT\n",
    );
}

#[test]
fn where_nothing_is_set_and_a_section_has_such_a_key_its_default_holds() {
    let config = layered();
    config.declare::<ConfigSettings>("polyport", "config", Effect::Live).unwrap();
    for key in ["config", "config.watch", "config.remote.attempts"] {
        let explained = config.explanation(key).unwrap().to_string();
        assert_eq!(
            explained,
            format!(
                "{key} is not set\n  the default of section config holds \
                 (polyport_bootstrap::config::own::ConfigSettings)\n"
            ),
        );
    }
    for key in ["config.wach", "config.watch.x", "config.remote.remote", "conf"] {
        assert!(config.explanation(key).is_err(), "{key}");
    }
}

#[test]
fn the_dump_has_one_line_for_each_value_with_the_source_beside_it() {
    let folder = Folder::new(&[(
        "config.default.json",
        r#"{ "a": { "long": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" },
             "b": { "none": null, "empty": {}, "odd name.": [1, { "c": 2 }], "port": 1 } }"#,
    )]);
    let config = folder.builder().build().unwrap();
    let without_lines = |text: String| {
        let strip = |line: &str| line.split_once(".json").map(|(line, _)| format!("{line}.json"));
        text.lines().filter_map(strip).collect::<Vec<_>>()
    };
    assert_eq!(
        without_lines(config.dump().to_string()),
        [
            "a.long = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"  # config/config.default.json",
            "b.empty = {}                 # config/config.default.json",
            "b.none = null                # config/config.default.json",
            "b.\"odd name.\" = [1,{\"c\":2}]  # config/config.default.json",
            "b.port = 1                   # config/config.default.json",
        ],
    );
}

#[test]
fn the_written_dump_is_two_trees_of_one_shape_that_only_the_owner_reads() {
    let folder = Folder::new(&[]);
    let target = folder.path().join("run");
    layered().dump().write(&target).unwrap();
    let read = |name: &str| -> Json {
        let path = target.join(name);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    assert_eq!(
        read("config.json"),
        json!({
            "db": { "hosts": ["a", "b"], "password": "***" },
            "http": { "host": "127.0.0.1", "path": "/", "port": 8080 },
        }),
    );
    assert_eq!(
        read("config.sources.json"),
        json!({
            "db": {
                "hosts": "config/config.default.toml:7",
                "password": "environment variable POLYPORT__DB__PASSWORD",
            },
            "http": {
                "host": "config/config.default.toml:3",
                "path": "defaults of framework http",
                "port": "environment variable POLYPORT__HTTP__PORT",
            },
        }),
    );
}
