//! Environments, personal files and texts that are made of others, in whole programs.

use crate::support::Folder;

/// No port that another test may have taken.
const FREE: (&str, &str) = ("POLYPORT__GRPC__PORT", "0");

#[test]
fn the_banner_shows_the_environment() {
    let folder = Folder::new(&[("config.staging.toml", "")]);
    for (variables, environment) in
        [(&[FREE][..], "local"), (&[FREE, ("POLYPORT_ENV", "staging")], "staging")]
    {
        let program = folder.start("hello", variables);
        let said = program.said();
        let banner = said.lines().find(|line| line.contains("ready in")).expect("a banner");
        assert!(banner.contains(&format!("\"environment\":\"{environment}\"")), "{banner}");
        program.stop();
    }
}

#[test]
fn a_misspelt_environment_ends_the_start_with_78_and_the_nearest_known_one() {
    let folder = Folder::new(&[("config.staging.toml", "")]);
    let said = folder.run("hello", &[], &[("POLYPORT_ENV", "stagign")]);
    assert_eq!(said.code, Some(78), "{said:?}");
    let expected = "there is no environment stagign; the nearest is staging";
    assert!(said.errors.contains(expected), "{}", said.errors);
}

#[test]
fn explain_tells_personal_files_and_what_a_text_is_made_of() {
    let folder = Folder::new(&[
        ("config.default.toml", "url = \"http://${app.name}:${http.port}/\"\n"),
        ("config.personal.json", "{ \"http\": {\n  \"port\": 7003 } }"),
    ]);
    let said = folder.run("hello", &["--explain", "url"], &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        said.output,
        "url = \"http://polyport:7003/\"\n  from config/config.default.toml:1 (default file)\n  \
         written as \"http://${app.name}:${http.port}/\"\n  made of app.name (the application)\n  \
         made of http.port (config/config.personal.json:2)\n",
        "an example belongs to the package polyport",
    );
    let elsewhere = folder.run("hello", &["--explain", "http.port"], &[("POLYPORT_ENV", "prod")]);
    assert!(!elsewhere.output.contains("personal"), "{elsewhere:?}");
}
