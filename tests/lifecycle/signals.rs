//! Signals: who listens for them, and what they do while the process serves.

use std::path::Path;

use crate::program::{Program, answer, call, fixture, variables};

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

#[cfg(target_os = "linux")]
#[test]
fn signals_end_a_process_whose_log_and_report_nobody_reads() {
    use std::{io::Write, process::Command, sync::mpsc, time::Duration};

    let (reader, mut writer) = std::io::pipe().expect("can be made");
    let stderr = writer.try_clone().expect("can be handed over");
    let (sender, filled) = mpsc::channel();
    std::thread::spawn(move || {
        // What a pipe holds; where it holds less, this waits and the pipe is full all the same.
        let _ = writer.write_all(&[0; 65_536]);
        let _ = sender.send(());
    });
    let _ = filled.recv_timeout(Duration::from_secs(1));
    let child = Command::new(fixture()).envs(variables()).stderr(stderr).spawn();
    let mut child = child.expect("cargo builds examples");
    let status = format!("/proc/{}/status", child.id());
    while !std::fs::read_to_string(&status).is_ok_and(|text| hears_sigterm(&text)) {
        std::thread::yield_now();
    }
    for signal in ["-TERM", "-INT"] {
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
    let code = child.wait().expect("ends").code();
    // Whether the first one could still cancel the start depends on who has logged first.
    assert!([Some(128 + 15), Some(128 + 2)].contains(&code), "{code:?}");
    drop(reader);
}

/// Whether signal 15 is among those that a process catches.
#[cfg(target_os = "linux")]
fn hears_sigterm(status: &str) -> bool {
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGINT is listened for after SIGTERM, so that both are.
    caught.is_some_and(|mask| mask & (1 << 14) != 0 && mask & (1 << 1) != 0)
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
