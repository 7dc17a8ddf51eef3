//! What `#[polyport::main]` adds to a program: asked of the example, with nothing that it needs.

use std::process::{Command, Output};

use serde_json::Value;

use crate::process::example_path;

/// Runs the example with `argument` where no port, broker or database can be had.
fn im(argument: &str) -> Output {
    asked(&[argument])
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
    let listed = text(help.stdout);
    for argument in
        ["--graph[=mermaid|dot|json]  ", "--topology[=table|json]  ", "--redrive QUEUE  "]
    {
        assert!(listed.contains(argument), "{argument}: {listed}");
    }
    let unknown = im("--grap");
    assert_eq!(unknown.status.code(), Some(64));
    assert_eq!(
        text(unknown.stderr),
        "error: argument \"--grap\" is not known\n  help: there is --check[=offline], \
         --config[=offline], --explain KEY,\n      --graph[=mermaid|dot|json], \
         --operations[=table|json], --route ROUTE, --timeline,\n      --topology[=table|json], \
         --redrive QUEUE, --help\n",
    );
    assert!(unknown.stdout.is_empty());
}

/// The output of the example with these arguments, where no port, broker or database can be had.
fn asked(arguments: &[&str]) -> Output {
    let mut command = Command::new(example_path("im"));
    let command = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).envs([
        ("POLYPORT__HTTP__HOST", "192.0.2.1"),
        ("POLYPORT__GRPC__HOST", "192.0.2.1"),
        ("POLYPORT__AMQP__URL", "amqp://192.0.2.1:1"),
        ("POLYPORT__IM__DATABASE", "/no/such/folder/im.db"),
    ]);
    command.output().expect("cargo builds examples before it runs tests")
}

#[test]
fn operations_lists_every_route_of_every_protocol_and_starts_nothing() {
    let output = asked(&["--operations"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
    let table = text(output.stdout);
    for (protocol, route, operation) in [
        ("http", "GET /users", "get_user"),
        ("websocket", "users.get", "get_user"),
        ("grpc", "im.v1.UserService/GetUser", "get_user"),
        ("amqp", "im.messages", "deliver_message"),
    ] {
        let is_of = |line: &str| {
            line.starts_with(protocol)
                && line.contains(&format!(" {route} "))
                && line.contains(operation)
        };
        assert!(table.lines().any(is_of), "{protocol} {route}: {table}");
    }
    let output = asked(&["--operations=json"]);
    let catalog: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    assert!(catalog["operations"].as_array().is_some_and(|all| all.len() > 15));
}

#[test]
fn route_says_which_operation_answers_or_why_none_does() {
    for (arguments, title) in [
        (vec!["--route", "GET", "/rooms/lobby/messages"], "HTTP GET /rooms/{room}/messages"),
        (vec!["--route", "websocket", "users.get"], "WEBSOCKET users.get"),
        (vec!["--route", "im.v1.UserService/GetUser"], "GRPC im.v1.UserService/GetUser"),
        (vec!["--route", "amqp", "im.messages"], "AMQP im.messages"),
    ] {
        let output = asked(&arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let answer = text(output.stdout);
        assert!(answer.starts_with(&format!("{title} is answered by ")), "{answer}");
    }
    for (arguments, reason) in [
        (vec!["--route", "http", "DELETE", "/users"], "/users is served by GET only"),
        (vec!["--route", "GET", "/nowhere"], "nothing is served at /nowhere"),
        (
            vec!["--route", "websocket", "users.gett"],
            "there is no \"users.gett\", but \"users.get\"",
        ),
    ] {
        let output = asked(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let report = text(output.stderr);
        assert!(report.contains(reason), "{report}");
    }
}

#[test]
fn topology_shows_what_is_declared_and_consumed_and_connects_to_nothing() {
    let output = asked(&["--topology"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
    let table = text(output.stdout);
    for words in [
        ["im ", " topic ", " module message"],
        ["im.messages ", " deliver_message ", " im.messages.dead"],
    ] {
        let is_of =
            |line: &str| line.starts_with(words[0]) && words.iter().all(|w| line.contains(w));
        assert!(table.lines().any(is_of), "{words:?}: {table}");
    }
    let output = asked(&["--topology=json"]);
    let topology: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    assert!(topology["consumers"].as_array().is_some_and(|all| all.len() > 1), "{topology}");
}

#[test]
fn redrive_of_a_queue_that_nobody_consumes_from_is_a_wrong_use() {
    let output = asked(&["--redrive", "im.massages"]);
    assert_eq!(output.status.code(), Some(64), "{}", text(output.stdout));
    let report = text(output.stderr);
    assert!(report.contains("\"im.massages\"") && report.contains("im.messages"), "{report}");
}
