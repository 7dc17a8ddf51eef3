//! `--check`, `--config` and `--explain`.

use crate::support::Folder;

/// Where no port, broker or database can be had: nothing is opened.
const NOWHERE: [(&str, &str); 4] = [
    ("POLYPORT__HTTP__HOST", "192.0.2.1"),
    ("POLYPORT__GRPC__HOST", "192.0.2.1"),
    ("POLYPORT__AMQP__URL", "amqp://guest:hunter2@192.0.2.1:1"),
    ("POLYPORT__IM__DATABASE", "/no/such/folder/im.db"),
];

#[test]
fn check_opens_nothing_and_ends_with_0_where_nothing_is_wrong() {
    let folder = Folder::new(&[]);
    for argument in ["--check", "--check=offline"] {
        let said = folder.run("im", &[argument], &NOWHERE);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.output.starts_with("nothing is wrong: "), "{said:?}");
    }
}

#[test]
fn check_reports_every_fault_of_every_section_and_ends_with_78() {
    let folder = Folder::new(&[(
        "config.default.toml",
        "[http]\nport = \"seven\"\nenvelop = \"plain\"\n\n[shutdown]\ndrain = \"soon\"\n",
    )]);
    let said = folder.run("im", &["--check"], &NOWHERE);
    assert_eq!(said.code, Some(78), "{said:?}");
    for part in [
        "config/config.default.toml:2",
        "config/config.default.toml:3",
        "envelope",
        "config/config.default.toml:6",
    ] {
        assert!(said.errors.contains(part), "{part}: {}", said.errors);
    }
    assert!(!said.errors.contains("hunter2"), "{}", said.errors);
    assert!(said.output.is_empty());
}

#[test]
fn check_runs_the_before_hooks_and_offline_leaves_them_out() {
    let folder = Folder::new(&[]);
    let down = [("POLYPORT__CENTER__DOWN", "true"), ("POLYPORT__CONFIG__REMOTE__BACK_OFF", "1ms")];
    let said = folder.run("remote_config", &["--check"], &down);
    assert_eq!(said.code, Some(69), "{said:?}");
    assert!(said.errors.contains("before-hook 1: remote: config center"), "{}", said.errors);
    assert_eq!(folder.run("remote_config", &["--check=offline"], &down).code, Some(0));
}

#[test]
fn config_prints_every_value_with_its_source_and_no_secret() {
    let folder = Folder::new(&[("config.default.toml", "[http]\nport = 7001\n")]);
    let said = folder.run("im", &["--config"], &NOWHERE);
    assert_eq!(said.code, Some(0), "{said:?}");
    let line = |key: &str| said.output.lines().find(|line| line.starts_with(key)).expect(key);
    assert!(line("http.port = 7001 ").ends_with("# config/config.default.toml:2"));
    assert!(line("http.host = ").ends_with("# environment variable POLYPORT__HTTP__HOST"));
    assert!(line("amqp.url = ").contains("***"), "{}", line("amqp.url = "));
    assert!(!said.output.contains("hunter2"));
}

#[test]
fn explain_prints_winner_and_losers_whichever_way_it_is_asked() {
    let folder = Folder::new(&[
        ("config.default.toml", "[http]\nport = 7001\n"),
        ("config.local.yaml", "http:\n  port: 7002\n"),
    ]);
    let expected = "http.port = 7003\n  \
        from environment variable POLYPORT__HTTP__PORT (environment variable)\n  \
        not 7002 from config/config.local.yaml:2 (environment file)\n  \
        not 7001 from config/config.default.toml:2 (default file)\n";
    for arguments in [&["--explain", "http.port"][..], &["--explain=http.port"]] {
        let said = folder.run("im", arguments, &[("POLYPORT__HTTP__PORT", "7003")]);
        assert_eq!((said.output.as_str(), said.code), (expected, Some(0)), "{}", said.errors);
    }
}

#[test]
fn explain_names_the_nearest_key_where_nothing_is_set() {
    let folder = Folder::new(&[("config.default.toml", "[http]\nport = 7001\n")]);
    let said = folder.run("im", &["--explain", "http.prot"], &[]);
    assert_eq!(said.code, Some(78));
    assert!(
        said.errors.contains("configuration key http.prot is missing; the nearest is http.port"),
        "{}",
        said.errors,
    );
}

#[test]
fn a_before_hook_that_fails_hides_nothing_that_is_known_without_it() {
    let folder = Folder::new(&[("config.default.toml", "[http]\nport = 7001\n")]);
    let down = [("POLYPORT__CENTER__DOWN", "true"), ("POLYPORT__CONFIG__REMOTE__ATTEMPTS", "1")];
    for (arguments, shown) in [
        (["--config"].as_slice(), "http.port = 7001 "),
        (&["--explain", "http.port"], "http.port = 7001\n"),
    ] {
        let said = folder.run("remote_config", arguments, &down);
        assert!(said.output.contains(shown), "{said:?}");
        assert!(said.errors.contains("remote: config center"), "{said:?}");
        assert_eq!(said.code, Some(69));
    }
    let said = folder.run("remote_config", &["--config=offline"], &down);
    assert_eq!(said.code, Some(0), "{said:?}");
}
