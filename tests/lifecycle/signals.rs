//! Signals: who listens for them, and what they do while the process serves.

use std::path::Path;

use crate::program::{Program, answer, call};

#[test]
fn sighup_reloads_and_the_process_goes_on() {
    let mut program = Program::start(&[]);
    let http = program.ready().of("http");
    for _ in 0..2 {
        program.signal("-HUP");
        program.until("reloaded", |event| event["message"] == "configuration reloaded");
    }
    assert!(answer(call(http, "0")).contains("pool open: true"));
    program.stop().assert_code(0);
}

#[test]
fn a_second_signal_says_what_it_has_cut() {
    let mut program = Program::start(&[]);
    let http = program.ready().of("http");
    let calls = [call(http, "stuck"), call(http, "stuck")];
    program.until_journal("work");
    program.until_journal("work");
    program.signal("-TERM");
    program.until("draining", |event| event["message"] == "draining");
    program.signal("-TERM");
    let ended = program.end();
    ended.assert_code(128 + 15);
    ended.assert_says("a second signal (SIGTERM) cut the ordered stop short");
    ended.assert_says("http: 2 calls in flight (work (POST /work): 2 for up to ");
    ended.assert_says("stage: drain");
    drop(calls);
}

#[test]
fn sigint_stops_in_order_as_sigterm_does() {
    let mut program = Program::start(&[]);
    program.ready();
    program.signal("-INT");
    let ended = program.end();
    ended.assert_code(0);
    assert_eq!(ended.count("dispose"), 1);
}

/// Every line of Rust in `folder` and below that `is_it`, with its file.
fn lines(folder: &Path, is_it: impl Fn(&str) -> bool + Copy) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("is a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(lines(&path, is_it));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("is text");
            let here = text.lines().filter(|line| is_it(line));
            found.extend(here.map(|line| format!("{}: {line}", path.display())));
        }
    }
    found
}

#[test]
fn nothing_but_signals_rs_listens_for_signals() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listens = |line: &str| {
        ["tokio::signal", "signal_hook", "ctrl_c", "SignalKind"]
            .iter()
            .any(|word| line.contains(word))
    };
    let mut found = Vec::new();
    for folder in ["src", "bootstrap", "frameworks", "examples", "proto"] {
        found.extend(lines(&root.join(folder), listens));
    }
    assert!(!found.is_empty(), "the search finds what there is");
    found.retain(|line| !line.contains("bootstrap/src/signals.rs: "));
    assert!(found.is_empty(), "{found:#?}");
}
