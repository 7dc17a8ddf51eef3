//! Which files are read, and which have to be there.

use super::*;

fn environment(name: &str) -> Environment {
    name.parse().unwrap()
}

#[test]
fn the_personal_file_is_read_in_local_only_above_its_file() {
    let files = [
        ("config.local.toml", "a = 'local'\nb = 'local'"),
        ("config.unittest.toml", "a = 'unittest'"),
        ("config.personal.yaml", "a: personal\n"),
    ];
    let folder = Folder::new(&files);
    let local = folder.builder_for(Environment::default()).build().unwrap();
    assert_eq!(local.snapshot(), json!({ "a": "personal", "b": "local" }));
    let place = local.explain("a").unwrap();
    assert_eq!(place.winner().to_string(), "config/config.personal.yaml:1");
    assert_eq!(place.winner().layer(), Layer::PersonalFile);
    assert_eq!(folder.builder().build().unwrap().snapshot(), json!({ "a": "unittest" }));
}

#[test]
fn two_personal_files_are_the_same_layer() {
    let folder = Folder::new(&[("config.personal.yaml", ""), ("config.personal.toml", "")]);
    let error = folder.builder_for(Environment::default()).build().unwrap_err();
    assert!(error.to_string().ends_with("config.personal.yaml are the same layer"), "{error}");
}

#[test]
fn the_personal_file_is_not_in_version_control() {
    let ignored = include_str!("../../../../.gitignore");
    assert!(ignored.lines().any(|line| line == "config.personal.*"));
}

#[test]
fn a_required_file_that_is_not_there_is_an_error_in_its_environment() {
    let folder = Folder::new(&[("config.default.json", "{}")]);
    let build = |environment, required: &[&str]| {
        folder.builder_for(environment).require_files(required.iter().copied()).build()
    };
    assert!(build(Environment::unittest(), &["default", "prod"]).is_ok());
    assert_eq!(
        report(&build(Environment::production(), &["default", "prod"]).unwrap_err()),
        "config/config.prod.{toml,yaml,yml,json} is required and not there\n  \
         help: create it, or do not require it (Bootstrap::require_files)\n",
    );
    let empty = Folder::new(&[]).builder().require_files(["default", "unittest"]).build();
    let error = empty.unwrap_err();
    assert_eq!(error.parts().len(), 2, "{error:?}");
}

#[test]
fn an_environment_with_neither_file_nor_declaration_is_an_error_with_the_nearest_known_one() {
    let folder = Folder::new(&[("config.perf.yml", ""), ("config.backup.txt", "")]);
    let build = |name: &str| {
        folder.builder_for(environment(name)).environments(["staging"]).build().map(drop)
    };
    for name in ["local", "unittest", "prod", "staging", "perf"] {
        assert!(build(name).is_ok(), "{name}");
    }
    assert_eq!(
        report(&build("stagign").unwrap_err()),
        "there is no environment stagign; the nearest is staging\n  help: set POLYPORT_ENV to one \
         of local, unittest, prod, staging, perf; create\n      \
         config/config.stagign.{toml,yaml,yml,json}; or declare it:\n      \
         Bootstrap::environments([\"stagign\"])\n",
    );
    assert!(build("pref").unwrap_err().to_string().ends_with("; the nearest is perf"));
    assert_eq!(build("eu1").unwrap_err().to_string(), "there is no environment eu1");
}

#[test]
fn a_folder_that_somebody_named_has_to_be_there() {
    let folder = Folder::new(&[]);
    let error = folder.builder().config_dir("etc").build().unwrap_err();
    assert_eq!(
        report(&error),
        "there is no folder etc\n  help: create it, or correct where the config files are said \
         to be\n",
    );
}

#[test]
fn syntax_errors_of_several_files_are_reported_at_once() {
    let files = [
        ("config.default.yaml", "a: 1\na: 2\n"),
        ("config.local.json", "{\n  \"a\": 1,\n  \"b\"\n}"),
        ("config.personal.toml", "a = hunter2\n"),
    ];
    let error = Folder::new(&files).builder_for(Environment::default()).build().unwrap_err();
    let parts: Vec<_> = error.parts().iter().map(ToString::to_string).collect();
    assert_eq!(
        parts[..2],
        [
            "config/config.default.yaml:2:1: key a is set twice; the first is on line 1",
            "config/config.local.json:4:1: expected `:`",
        ]
    );
    assert!(parts[2].starts_with("config/config.personal.toml:1:5: "), "{parts:?}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn what_is_nested_too_deep_is_an_error_in_every_source() {
    let deep = vec!["A"; 10_000].join("__");
    let error = ConfigBuilder::new(Environment::unittest(), "no/such/folder")
        .variables([(format!("POLYPORT__{deep}"), "1")])
        .override_value(&vec!["a"; 100_000].join("."), 1)
        .build()
        .unwrap_err();
    assert_eq!(error.parts().len(), 2);
    for part in error.parts() {
        assert!(part.to_string().ends_with("nested deeper than 64 tables and arrays"));
    }
    let mut tree = json!(1);
    for _ in 0..100 {
        tree = json!({ "a": tree });
    }
    assert!(config(&[]).add(tree).unwrap_err().to_string().contains("nested deeper than 64"));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_not_taken_for_a_file_that_is_not_there() {
    let folder = Folder::new(&[("config.default.toml", "")]);
    let config = folder.builder().build().unwrap();
    let link = config.config_dir().join("config.unittest.toml");
    std::os::unix::fs::symlink("gone", link).unwrap();
    let error = folder.builder().build().unwrap_err().to_string();
    assert_eq!(error, "config/config.unittest.toml: it is a link that leads nowhere");
}
