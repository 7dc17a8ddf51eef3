//! What errors say, word for word.

use serde::Deserialize;

use super::*;

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
struct Http {
    port: u16,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    peers: Vec<Peer>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Fast,
    Safe,
}

#[derive(Deserialize, Debug)]
struct Peer {
    #[expect(dead_code, reason = "only read")]
    weight: u8,
}

fn http_fault(file: &str) -> String {
    let config = config(&[("config.default.toml", file)]);
    report(&config.get::<Http>("http").unwrap_err())
}

#[test]
fn a_value_of_the_wrong_type_is_shown_with_its_place() {
    assert_eq!(
        http_fault("[http]\nport = 70000\n"),
        "config/config.default.toml:2, key http.port: expected u16, found 70000\n  \
         help: correct it there, or override it by the environment variable POLYPORT__HTTP__PORT\n",
    );
    assert_eq!(
        http_fault("[http]\nport = 1\npeers = [\n  { weight = 1 },\n  { weight = \"x\" },\n]\n"),
        "config/config.default.toml:5, key http.peers.1.weight: expected u8, found \"x\"\n  \
         help: correct it there\n",
    );
    assert_eq!(
        http_fault("http = 1"),
        "config/config.default.toml:1, key http: expected a table, found 1\n  \
         help: correct it there\n",
    );
}

#[test]
fn an_unknown_key_or_variant_names_what_is_known() {
    assert_eq!(
        http_fault("[http]\nport = 1\nprot = 1\n"),
        "config/config.default.toml:3, key http.prot: unknown key; the nearest is port\n  \
         help: correct its name, or remove it\n",
    );
    assert_eq!(
        http_fault("[http]\nport = 1\nunrelated = 1\n"),
        "config/config.default.toml:3, key http.unrelated: unknown key, expected port, mode or \
         peers\n  help: correct its name, or remove it\n",
    );
    assert_eq!(
        http_fault("[http]\nport = 1\nmode = \"slow\"\n"),
        "config/config.default.toml:3, key http.mode: expected fast or safe, found \"slow\"\n  \
         help: correct it there, or override it by the environment variable POLYPORT__HTTP__MODE\n",
    );
}

#[test]
fn all_faults_of_one_value_are_told() {
    assert_eq!(
        http_fault("[http]\nport = 'x'\nmode = 1\nprot = 1\npeers = [{ weight = 1 }, {}, 5]\n"),
        "5 faults in http\n  \
         config/config.default.toml:3, key http.mode: expected fast or safe, found 1\n    \
         help: correct it there, or override it by the environment variable POLYPORT__HTTP__MODE\n  \
         configuration key http.peers.1.weight is missing\n    \
         help: set http.peers.1.weight in config/config.default.toml\n  \
         config/config.default.toml:5, key http.peers.2: expected a table, found 5\n    \
         help: correct it there\n  \
         config/config.default.toml:2, key http.port: expected u16, found \"x\"\n    \
         help: correct it there, or override it by the environment variable POLYPORT__HTTP__PORT\n  \
         config/config.default.toml:4, key http.prot: unknown key; the nearest is port\n    \
         help: correct its name, or remove it\n",
    );
}

#[test]
fn a_missing_key_names_the_nearest_and_how_to_set_it() {
    let config = config(&[("config.default.toml", "[users]\npage_size = 1\n")]);
    assert_eq!(
        report(&config.get::<u8>("users.page_sise").unwrap_err()),
        "configuration key users.page_sise is missing; the nearest is users.page_size\n  \
         help: set page_sise under [users] in config/config.default.toml, or the environment\n      \
         variable POLYPORT__USERS__PAGE_SISE\n",
    );
    assert_eq!(
        report(&config.get::<u8>("pageSize").unwrap_err()),
        "configuration key pageSize is missing\n  help: set pageSize in config/config.default.toml\n",
    );
    assert_eq!(
        http_fault("[http]\nmode = \"safe\"\n"),
        "configuration key http.port is missing\n  \
         help: set port under [http] in config/config.default.toml, or the environment \
         variable\n      \
         POLYPORT__HTTP__PORT\n",
    );
}

#[test]
fn a_key_that_is_missing_in_an_array_has_no_variable() {
    assert_eq!(
        http_fault("[http]\nport = 1\n[[http.peers]]\nweigth = 1\n"),
        "configuration key http.peers.0.weight is missing\n  \
         help: set http.peers.0.weight in config/config.default.toml\n",
    );
}

#[test]
fn the_advice_names_the_file_that_is_there() {
    let config = config(&[("config.default.yaml", "a: 1")]);
    assert_eq!(
        report(&config.get::<u8>("users.size").unwrap_err()),
        "configuration key users.size is missing\n  \
         help: set users.size in config/config.default.yaml, or the environment variable\n      \
         POLYPORT__USERS__SIZE\n",
    );
}

#[test]
fn a_fault_in_a_variable_names_the_variable() {
    let config = with_variables(&[("POLYPORT__HTTP__PORT", "many")]);
    assert_eq!(
        report(&config.get::<u16>("http.port").unwrap_err()),
        "environment variable POLYPORT__HTTP__PORT, key http.port: expected u16, found \"many\"\n  \
         help: correct it there\n",
    );
    let config = with_variables(&[("POLYPORT__HTTP__PORT", "70000")]);
    assert_eq!(
        config.get::<u16>("http.port").unwrap_err().to_string(),
        "environment variable POLYPORT__HTTP__PORT, key http.port: expected u16, found 70000",
    );
}

#[test]
fn syntax_errors_name_file_line_and_column() {
    for (name, text, expected) in [
        (
            "config.default.toml",
            "[http]\nport = \n",
            "config/config.default.toml:2:8: invalid string, expected `\"`, `'`",
        ),
        (
            "config.default.toml",
            "a = 1\na = 2\n",
            "config/config.default.toml:2:1: key a is set twice; the first is on line 1",
        ),
        (
            "config.default.json",
            "{\n  \"a\": 1,\n}",
            "config/config.default.json:3:1: trailing comma",
        ),
        ("config.default.json", "", "config/config.default.json:1:1: EOF while parsing a value"),
        (
            "config.default.json",
            "[1]",
            "config/config.default.json: the file must hold a table of sections, not an array",
        ),
        (
            "config.default.yaml",
            "text",
            "config/config.default.yaml: the file must hold a table of sections, not a string",
        ),
    ] {
        assert_eq!(faults(&[(name, text)]).to_string(), expected);
    }
    let yaml = faults(&[("config.default.yaml", "a: !!int x")]).to_string();
    assert_eq!(yaml, "config/config.default.yaml:1:4: key a: expected an integer");
    let yaml = faults(&[("config.default.yaml", "a: 1\nb: [1\n")]).to_string();
    let expected =
        "config/config.default.yaml:3:1: while parsing a flow sequence, expected ',' or ']'";
    assert_eq!(yaml, expected);
}

#[test]
fn two_files_of_one_layer_are_both_named() {
    let error = faults(&[("config.default.toml", ""), ("config.default.json", "{}")]);
    assert_eq!(
        report(&error),
        "config/config.default.toml and config/config.default.json are the same layer\n  \
         help: keep one of them: two formats of one layer would have no order\n",
    );
    assert!(
        faults(&[("config.unittest.yaml", ""), ("config.unittest.yml", "")])
            .to_string()
            .contains("config.unittest.yml")
    );
}

#[test]
fn all_faults_are_in_one_report() {
    let folder = Folder::new(&[("config.default.toml", "a = "), ("config.unittest.json", "{")]);
    fs::write(folder.path().join("config/config.unittest.yaml"), b"\xff").unwrap();
    let error = folder
        .builder()
        .variables([("POLYPORT__A", "[1"), ("POLYPORT__B____C", "1")])
        .module_defaults("m", 5)
        .override_value("x", BTreeMapOfUnits::default())
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Configuration);
    assert_eq!(error.to_string(), "6 faults in the configuration");
    let parts: Vec<_> = error.parts().iter().map(ToString::to_string).collect();
    assert_eq!(
        parts[0],
        "defaults of module m: configuration is added as a table, not as a number"
    );
    assert!(parts[1].starts_with("override of x: the value cannot be serialised: "), "{parts:?}");
    assert!(parts[2].starts_with("config/config.default.toml:1:"), "{parts:?}");
    assert_eq!(parts[3], "config/config.unittest.yaml: the file is not UTF-8");
    assert_eq!(
        parts[4],
        "environment variable POLYPORT__A: the value begins like an array and is not one"
    );
    assert_eq!(
        parts[5],
        "environment variable POLYPORT__B____C: the name has an empty part, or one with a dot"
    );
}

/// A map whose keys are not text.
#[derive(serde::Serialize)]
struct BTreeMapOfUnits(std::collections::BTreeMap<(), u8>);

impl Default for BTreeMapOfUnits {
    fn default() -> Self {
        Self([((), 1)].into())
    }
}

#[test]
fn variables_that_do_not_fit_say_what_they_do_not_fit() {
    let build = |file: &str, of: &[(&str, &str)]| {
        let folder = Folder::new(&[("config.default.toml", file)]);
        folder.builder().variables(of.iter().copied()).build().map_err(|error| report(&error))
    };
    assert_eq!(
        build("[http]\nport = 1\n", &[("POLYPORT__HTTP", "5")]).unwrap_err(),
        "environment variable POLYPORT__HTTP: it sets http to a number, which is a table in\n    \
         config/config.default.toml:1\n  \
         help: name a key of the table, such as POLYPORT__HTTP__KEY, or remove the variable\n",
    );
    assert_eq!(
        build("[http]\nport = 1\n", &[("POLYPORT__HTTP__PORT__X", "5")]).unwrap_err(),
        "environment variable POLYPORT__HTTP__PORT__X: it sets http.port to a table, which is a \
         number\n    \
         in config/config.default.toml:2\n  \
         help: remove the variable, or correct its name\n",
    );
    assert_eq!(
        build("", &[("POLYPORT__A", "5"), ("POLYPORT__A__B", "5")]).unwrap_err(),
        "environment variable POLYPORT__A__B: it sets a to a table, which is a number in \
         environment\n    \
         variable POLYPORT__A\n  \
         help: remove the variable, or correct its name\n",
    );
    assert_eq!(
        build("", &[("POLYPORT__A", "5"), ("POLYPORT__a", "5")]).unwrap_err(),
        "environment variable POLYPORT__a: POLYPORT__A sets the same key\n  help: keep one of \
         them, in capitals\n",
    );
    let merged = build("[a]\nx = 1\n", &[("POLYPORT__A", "{ y = 2 }"), ("POLYPORT__A__Z", "3")]);
    assert_eq!(merged.unwrap().snapshot(), json!({ "a": { "x": 1, "y": 2, "z": 3 } }));
}

#[test]
fn an_addition_that_a_variable_does_not_fit_changes_nothing() {
    let config = with_variables(&[("POLYPORT__HTTP", "5")]);
    let error = config.add_from("remote", json!({ "http": { "port": 1 }, "b": 1 })).unwrap_err();
    assert_eq!(
        error.to_string(),
        "remote: environment variable POLYPORT__HTTP: it sets http to a number, which is a table \
         in remote",
    );
    assert_eq!(config.snapshot(), json!({ "http": 5 }));
    let error = config.add_from("remote", [1, 2]).unwrap_err();
    assert_eq!(error.to_string(), "remote: configuration is added as a table, not as an array");
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let folder = Folder::new(&[]);
    fs::create_dir(folder.path().join("config/config.default.toml")).unwrap();
    let error = folder.builder().build().unwrap_err();
    assert_eq!(error.to_string(), "config/config.default.toml: the file cannot be read");
    assert!(error.source().is_some());
}
