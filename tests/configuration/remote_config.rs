//! The example `remote_config`: a config center on HTTP, in good times and bad ones.

use serde_json::Value;

use crate::support::{Folder, Program};

const FILE: (&str, &str) = (
    "config.default.toml",
    "[http]\nport = 7001\nenvelope = \"plain\"\n[greeting]\nword = \"Hi\"\n",
);
const DOWN: [(&str, &str); 2] =
    [("POLYPORT__CENTER__DOWN", "true"), ("POLYPORT__CONFIG__REMOTE__BACK_OFF", "1ms")];

async fn greeting(program: &Program) -> (String, u64) {
    let reply = program.http().get("/greeting?name=tom").await;
    let reply: Value = reply.json();
    let message = reply["message"].as_str().expect("is there").to_owned();
    (message, reply["revision"].as_u64().expect("is there"))
}

#[tokio::test]
async fn what_the_center_says_stands_above_files_and_below_environment_variables() {
    let folder = Folder::new(&[FILE]);
    let said = folder.run("remote_config", &["--explain", "http.port"], &[]);
    assert_eq!(
        said.output,
        "http.port = 7011\n  from remote: config center (before-hook)\n  \
         not 7001 from config/config.default.toml:2 (default file)\n",
    );
    let program = folder.start("remote_config", &[]);
    assert_eq!(greeting(&program).await, ("Good day, tom".to_owned(), 1));
    program.stop();
    let program = folder.start("remote_config", &[("POLYPORT__GREETING__WORD", "Ahoy")]);
    assert_eq!(greeting(&program).await, ("Ahoy, tom".to_owned(), 1));
    program.stop();
}

#[tokio::test]
async fn a_signal_fetches_it_again() {
    let folder = Folder::new(&[FILE]);
    let mut program = folder.start("remote_config", &[]);
    program.signal("-HUP");
    let change = program.expect("greeting.revision");
    assert!(change.contains("greeting.revision: 1 → 2 (remote: config center)"), "{change}");
    assert_eq!(greeting(&program).await.1, 2);
    program.stop();
}

#[tokio::test]
async fn when_the_center_is_down_the_copy_is_used_and_the_log_says_so_with_its_age() {
    let folder = Folder::new(&[FILE]);
    folder.start("remote_config", &[]).stop();
    let program = folder.start("remote_config", &DOWN);
    assert_eq!(greeting(&program).await, ("Good day, tom".to_owned(), 1));
    let said = program.said();
    let line = said.lines().find(|line| line.contains("starting with the copy")).expect("is said");
    assert!(line.contains("\"age\":\"") && line.contains("tried 3 times"), "{line}");
    program.stop();
}

#[test]
fn without_a_copy_or_where_that_is_the_setting_the_start_fails_with_69() {
    let folder = Folder::new(&[FILE]);
    let said = folder.run("remote_config", &[], &DOWN);
    assert_eq!(said.code, Some(69), "{said:?}");
    assert!(said.errors.contains("there is no copy of an earlier start"), "{}", said.errors);
    folder.start("remote_config", &[]).stop();
    let strict = [DOWN[0], DOWN[1], ("POLYPORT__CONFIG__REMOTE__ON_FAILURE", "fail")];
    let said = folder.run("remote_config", &[], &strict);
    assert_eq!(said.code, Some(69), "{said:?}");
    assert!(said.errors.contains("config.remote.on_failure"), "{}", said.errors);
}
