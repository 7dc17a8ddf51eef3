//! Which layer wins, how values merge, and what every kind of source is read as.

use std::collections::BTreeMap;

use super::*;

const LAYERS: [Layer; 11] = [
    Layer::FrameworkDefaults,
    Layer::ModuleDefaults,
    Layer::PresetDefaults,
    Layer::DefaultFile,
    Layer::ModuleEnvironmentDefaults,
    Layer::PresetEnvironmentDefaults,
    Layer::EnvironmentFile,
    Layer::PersonalFile,
    Layer::Hook,
    Layer::Variable,
    Layer::Override,
];

/// A configuration in which only these layers set `a.b`, each to its position.
fn of_layers(layers: &[usize]) -> Config {
    let sets = |layer: Layer| layers.iter().any(|at| LAYERS[*at] == layer);
    let folder = Folder::new(&[]);
    let file = |name: &str, value: usize| {
        fs::write(folder.path().join("config").join(name), format!("a.b = {value}")).unwrap();
    };
    let mut builder = folder.builder_for(Environment::default());
    if sets(Layer::Override) {
        builder = builder.override_value("a.b", 10);
    }
    if sets(Layer::Variable) {
        builder = builder.variables([("POLYPORT__A__B", "9")]);
    }
    if sets(Layer::PersonalFile) {
        file("config.personal.toml", 7);
    }
    if sets(Layer::EnvironmentFile) {
        file("config.local.toml", 6);
    }
    if sets(Layer::ModuleEnvironmentDefaults) {
        builder = builder.module_environment_defaults("m", json!({ "a": { "b": 4 } }));
    }
    if sets(Layer::PresetEnvironmentDefaults) {
        builder = builder.preset_environment_defaults("preset p", json!({ "a": { "b": 5 } }));
    }
    if sets(Layer::PresetDefaults) {
        builder = builder.preset_defaults("preset p", json!({ "a": { "b": 2 } }));
    }
    if sets(Layer::DefaultFile) {
        file("config.default.toml", 3);
    }
    if sets(Layer::ModuleDefaults) {
        builder = builder.module_defaults("m", json!({ "a": { "b": 1 } }));
    }
    let config = builder.build().unwrap();
    if sets(Layer::Hook) {
        config.add(json!({ "a": { "b": 8 } })).unwrap();
    }
    if sets(Layer::FrameworkDefaults) {
        config.add_defaults(Layer::FrameworkDefaults, "http", json!({ "a": { "b": 0 } })).unwrap();
    }
    config
}

#[test]
fn every_layer_beats_each_one_below_it() {
    for (high, above) in LAYERS.into_iter().enumerate() {
        for (low, below) in LAYERS[..high].iter().copied().enumerate() {
            let config = of_layers(&[low, high]);
            assert_eq!(config.get::<usize>("a.b").unwrap(), high, "{low} {high}");
            let provenance = config.explain("a.b").unwrap();
            assert_eq!(provenance.winner().layer(), above);
            assert_eq!(provenance.winner().value(), high);
            let losers: Vec<_> = provenance.losers().iter().map(Origin::layer).collect();
            assert_eq!(losers, [below]);
        }
    }
}

#[test]
fn all_layers_at_once_are_explained_from_the_highest_to_the_lowest() {
    let config = of_layers(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let provenance = config.explain("a.b").unwrap();
    assert_eq!(provenance.key(), "a.b");
    assert_eq!(provenance.winner().to_string(), "override of a.b");
    let losers: Vec<_> = provenance.losers().iter().map(ToString::to_string).collect();
    let hook = losers[1].clone();
    assert!(hook.starts_with("added by a before-hook at ") && hook.contains("layering.rs:"));
    assert_eq!(losers[0], "environment variable POLYPORT__A__B");
    assert_eq!(
        losers[2..],
        [
            "config/config.personal.toml:1",
            "config/config.local.toml:1",
            "defaults of preset p for local",
            "defaults of module m for local",
            "config/config.default.toml:1",
            "defaults of preset p",
            "defaults of module m",
            "defaults of framework http",
        ]
    );
}

#[test]
fn defaults_that_arrive_late_stay_below_the_files() {
    let config = config(&[("config.default.toml", "http.port = 1")]);
    let defaults = json!({ "http": { "port": 2, "host": "h" } });
    config.add_defaults(Layer::ModuleDefaults, "m", &defaults).unwrap();
    config.add_defaults(Layer::ModuleEnvironmentDefaults, "m", json!({ "x": 1 })).unwrap();
    assert_eq!(config.snapshot(), json!({ "http": { "port": 1, "host": "h" }, "x": 1 }));
}

#[test]
fn later_ones_of_one_layer_win() {
    let config = config(&[]);
    for value in [1, 2] {
        config.add(json!({ "hook": value })).unwrap();
        config.add_defaults(Layer::ModuleDefaults, value, json!({ "module": value })).unwrap();
    }
    assert_eq!(config.snapshot(), json!({ "hook": 2, "module": 2 }));
}

#[test]
fn tables_merge_and_arrays_and_scalars_are_replaced() {
    let config = config(&[
        ("config.default.toml", "[a]\nlist = [1, 2, 3]\nx = 1\n[a.t]\np = 1\nq = { r = 1 }\n"),
        ("config.unittest.toml", "[a]\nlist = [9]\n[a.t]\nq = { s = 2 }\n"),
    ]);
    let expected =
        json!({ "a": { "list": [9], "x": 1, "t": { "p": 1, "q": { "r": 1, "s": 2 } } } });
    assert_eq!(config.snapshot(), expected);
    assert_eq!(config.get::<u8>("a.list.0").unwrap(), 9);
    assert!(!config.contains("a.list.1"));
}

#[test]
fn every_format_says_the_same() {
    let expected =
        json!({ "http": { "port": 7001, "tls": true, "ratio": 0.5, "hosts": ["a", "b"] } });
    for (name, text) in [
        (
            "config.default.toml",
            "\u{feff}[http]\nport = 7001\ntls = true\nratio = 0.5\nhosts = ['a', 'b']",
        ),
        ("config.default.yaml", "http:\n  port: 7001\n  tls: true\n  ratio: 0.5\n  hosts: [a, b]"),
        ("config.default.yml", "http: {port: 7001, tls: true, ratio: 0.5, hosts: [a, b]}"),
        (
            "config.default.json",
            r#"{"http":{"port":7001,"tls":true,"ratio":0.5,"hosts":["a","b"]}}"#,
        ),
    ] {
        let config = config(&[(name, text)]);
        assert_eq!(config.snapshot(), expected, "{name}");
        let winner = config.explain("http.port").unwrap().winner().clone();
        assert_eq!(winner.source(), format!("config/{name}"));
        let first = name.ends_with("yml") || name.ends_with("json");
        assert_eq!(winner.line(), Some(if first { 1 } else { 2 }), "{name}");
    }
}

#[test]
fn layers_of_different_formats_merge() {
    let config = config(&[
        ("config.default.yaml", "http:\n  port: 1\n  host: a\n"),
        ("config.unittest.json", r#"{"http": {"port": 2}}"#),
        ("config.prod.toml", "http.port = 3"),
    ]);
    assert_eq!(config.snapshot(), json!({ "http": { "port": 2, "host": "a" } }));
}

#[test]
fn an_empty_yaml_section_leaves_what_stands_below() {
    let config = config(&[
        ("config.default.yaml", "http:\n  port: 1\nname: im\n"),
        ("config.unittest.yaml", "http:\n#  port: 2\nname: null\n"),
    ]);
    assert_eq!(config.get::<u16>("http.port").unwrap(), 1);
    let explained = config.explain("http").unwrap();
    assert_eq!(explained.winner().source(), "config/config.default.yaml");
    assert_eq!(config.get::<Option<String>>("name").unwrap(), None);
    assert!(!config.contains("name"));
    assert_eq!(config.get_or_default::<String>("name").unwrap(), "");
}

#[test]
fn no_folder_and_empty_files_are_fine() {
    let nowhere = ConfigBuilder::new(Environment::production(), "no/such/folder").build().unwrap();
    assert_eq!(nowhere.snapshot(), json!({}));
    assert_eq!(nowhere.root(), Path::new("no/such/folder"));
    assert_eq!(nowhere.config_dir(), Path::new("no/such/folder/config"));
    assert!(nowhere.environment().is_production());
    let empty = [("config.default.toml", "# nothing"), ("config.unittest.yaml", "# nothing")];
    assert_eq!(config(&empty).snapshot(), json!({}));
}

#[test]
fn the_folder_can_be_another_one() {
    let folder = Folder::new(&[]);
    fs::create_dir_all(folder.path().join("etc")).unwrap();
    fs::write(folder.path().join("etc/config.default.toml"), "a = 1").unwrap();
    let config = folder.builder().config_dir("etc").build().unwrap();
    assert_eq!(config.explain("a").unwrap().winner().to_string(), "etc/config.default.toml:1");
    let outside = ConfigBuilder::new(Environment::unittest(), "elsewhere");
    let outside = outside.config_dir(folder.path().join("etc")).build().unwrap();
    let place = folder.path().join("etc/config.default.toml");
    assert_eq!(outside.explain("a").unwrap().winner().source(), place.to_str().unwrap());
}

#[test]
fn variables_address_snake_case_keys() {
    let config = with_variables(&[
        ("POLYPORT__USERS__PAGE_SIZE", "50"),
        ("POLYPORT__NAME", "im"),
        ("POLYPORT_ENV", "prod"),
        ("POLYPORT_OTHER", "x"),
        ("polyport__lower", "x"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(config.snapshot(), json!({ "users": { "page_size": 50 }, "name": "im" }));
    assert_eq!(config.environment(), &Environment::unittest());
}

#[test]
fn a_variable_is_text_where_text_is_wanted() {
    #[derive(serde::Deserialize, Debug, PartialEq)]
    struct Broker {
        password: String,
        code: Option<String>,
        flag: String,
        port: u16,
        hosts: String,
    }
    let config = with_variables(&[
        ("POLYPORT__BROKER__PASSWORD", "0123"),
        ("POLYPORT__BROKER__CODE", "1.50"),
        ("POLYPORT__BROKER__FLAG", "true"),
        ("POLYPORT__BROKER__PORT", "5672"),
        ("POLYPORT__BROKER__HOSTS", "[1,2]"),
    ]);
    let expected = Broker {
        password: "0123".into(),
        code: Some("1.50".into()),
        flag: "true".into(),
        port: 5672,
        hosts: "[1,2]".into(),
    };
    assert_eq!(config.get::<Broker>("broker").unwrap(), expected);
    assert_eq!(config.get::<String>("broker.code").unwrap(), "1.50");
    assert_eq!(config.get::<f64>("broker.code").unwrap(), 1.5);
}

#[test]
fn what_an_object_leaves_out_is_not_set() {
    #[derive(serde::Serialize)]
    struct Partial {
        host: Option<String>,
        port: u16,
    }
    let config = config(&[("config.default.toml", "http.host = 'a'")]);
    let section = BTreeMap::from([("http", Partial { host: None, port: 1 })]);
    config.add(section).unwrap();
    assert_eq!(config.snapshot(), json!({ "http": { "host": "a", "port": 1 } }));
}

#[test]
fn the_empty_key_is_everything_and_dates_are_text() {
    let config = config(&[("config.default.toml", "day = 1979-05-27")]);
    assert_eq!(config.get::<Json>("").unwrap(), json!({ "day": "1979-05-27" }));
    assert_eq!(config.get::<String>("day").unwrap(), "1979-05-27");
}
