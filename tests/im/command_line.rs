//! What `#[polyport::main]` adds to a program: asked of the example, with nothing that it needs.

use std::process::{Command, Output};

use serde_json::Value;

use crate::process::example_path;

/// Runs the example with `argument` where no port, broker or database can be had.
fn im(argument: &str) -> Output {
    Command::new(example_path("im"))
        .arg(argument)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .envs([
            ("POLYPORT__HTTP__HOST", "192.0.2.1"),
            ("POLYPORT__GRPC__HOST", "192.0.2.1"),
            ("POLYPORT__AMQP__URL", "amqp://192.0.2.1:1"),
            ("POLYPORT__IM__DATABASE", "/no/such/folder/im.db"),
        ])
        .output()
        .expect("cargo builds examples before it runs tests")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("is text")
}

#[test]
fn graph_shows_modules_providers_operations_and_edges_and_starts_nothing() {
    let output = im("--graph");
    assert_eq!(output.status.code(), Some(0));
    let mermaid = text(output.stdout);
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");
    for part in ["([\"HTTP GET /users\"])", "[\"user\"]", "[\"SqlUserRepo\"]", " --> p"] {
        assert!(mermaid.contains(part), "{part}: {mermaid}");
    }
    assert!(text(im("--graph=dot").stdout).starts_with("digraph "));
}

#[test]
fn graph_as_data_names_who_uses_a_provider() {
    let output = im("--graph=json");
    assert_eq!(output.status.code(), Some(0));
    let graph: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    let providers = graph["providers"].as_array().expect("a list");
    let repo = providers.iter().find(|known| known["title"] == "dyn UserRepo").expect("is in it");
    assert_eq!(repo["module"], "user");
    assert_eq!(repo["built"], false);
    let users: Vec<_> = repo["used_by"].as_array().expect("a list").iter().collect();
    assert_eq!(users.len(), 4, "one for each protocol: {users:?}");
}

#[test]
fn help_lists_what_there_is_and_an_unknown_argument_is_exit_code_64() {
    let help = im("--help");
    assert_eq!(help.status.code(), Some(0));
    assert!(text(help.stdout).contains("--graph[=mermaid|dot|json]  "));
    let unknown = im("--grap");
    assert_eq!(unknown.status.code(), Some(64));
    assert_eq!(
        text(unknown.stderr),
        "error: argument \"--grap\" is not known\n  help: there is --check[=offline], \
         --config[=offline], --explain KEY,\n      --graph[=mermaid|dot|json], --timeline, --help\n",
    );
    assert!(unknown.stdout.is_empty());
}
