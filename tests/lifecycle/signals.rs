//! Signals: who listens for them, and what they do while the process serves.

use std::path::Path;
#[cfg(target_os = "linux")]
use std::{
    io::{PipeReader, Read, Write},
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::program::{Program, answer, call};
#[cfg(target_os = "linux")]
use crate::{
    free_port::FreePort,
    notified::Systemd,
    program::{PATIENCE, connect, fixture, variables},
};

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

/// A process whose log and report nobody reads: its standard error is a pipe that is full.
#[cfg(target_os = "linux")]
struct Unread {
    program: Program,
    http: FreePort,
    systemd: Systemd,
    _reader: PipeReader,
}

#[cfg(target_os = "linux")]
impl Unread {
    fn start() -> Self {
        Self::with(&[])
    }

    /// One that goes wrong at this place.
    fn faulty(place: &str) -> Self {
        Self::with(&[("POLYPORT__FAULT__AT", place), ("POLYPORT__FAULT__HOW", "error")])
    }

    fn with(more: &[(&str, &str)]) -> Self {
        let (reader, mut writer) = std::io::pipe().expect("can be made");
        let stderr = writer.try_clone().expect("can be handed over");
        let (sender, filled) = mpsc::channel();
        std::thread::spawn(move || {
            // What a pipe holds; where it holds less, this waits and the pipe is full all the same.
            let _ = writer.write_all(&[0; 65_536]);
            let _ = sender.send(());
        });
        let _ = filled.recv_timeout(Duration::from_secs(1));
        let (http, systemd) = (FreePort::reserve(), Systemd::listen());
        let child = Command::new(fixture())
            .current_dir(std::env::temp_dir())
            .env_remove("CARGO_MANIFEST_DIR")
            .envs(variables())
            .envs([("POLYPORT__HTTP__PORT", &*http.number()), systemd.variable()])
            .envs(more.iter().copied())
            .stderr(stderr)
            .spawn()
            .expect("cargo builds examples");
        let program = Program::unread(child);
        Self { program, http, systemd, _reader: reader }
    }

    /// It serves before it is ready, and a signal that comes between cancels the start.
    fn ready(self) -> Self {
        assert_eq!(self.systemd.hear(), "READY=1");
        assert!(self.answers("0"));
        self
    }

    fn answers(&self, name: &str) -> bool {
        answer(call(self.http.address(), name)).contains("pool open: true")
    }
}

#[cfg(target_os = "linux")]
#[test]
fn signals_cancel_the_start_of_a_process_whose_log_and_report_nobody_reads() {
    let unread = Unread::start();
    let status = format!("/proc/{}/status", unread.program.id());
    let began = Instant::now();
    while !std::fs::read_to_string(&status).is_ok_and(|text| hears_sigterm(&text)) {
        assert!(began.elapsed() < PATIENCE, "does not come to it");
        std::thread::yield_now();
    }
    unread.program.signal("-TERM");
    unread.program.signal("-INT");
    let code = unread.program.end().code();
    // Whether the first one still cancels the start, and which of them is heard as the second,
    // depends on how far the process has come.
    assert!([Some(0), Some(128 + 15), Some(128 + 2)].contains(&code), "{code:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_whose_log_nobody_reads_stops_in_order() {
    let unread = Unread::start().ready();
    unread.program.signal("-TERM");
    unread.program.end().assert_code(0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_whose_log_nobody_reads_stops_in_order_though_it_has_errors_to_log() {
    let unread = Unread::faulty("before_close").ready();
    unread.program.signal("-TERM");
    unread.program.end().assert_code(71);
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_with_a_part_that_fails_stops_though_nobody_reads_its_log() {
    let unread = Unread::faulty("failed");
    unread.program.end().assert_code(69);
}

#[cfg(target_os = "linux")]
#[test]
fn calls_go_on_though_nobody_reads_the_log() {
    let traffic =
        ["POLYPORT__MIDDLEWARE__TRAFFIC__ENABLE", "POLYPORT__MIDDLEWARE__TRAFFIC__BODIES"];
    let unread = Unread::with(&traffic.map(|setting| (setting, "true"))).ready();
    let name = "x".repeat(1_000);
    assert!((0..CALLS).all(|_| unread.answers(&name)));
    unread.program.signal("-TERM");
    unread.program.end().assert_code(0);
}

/// The lines of each hold 1,000 bytes of what was sent, so that all have no room.
#[cfg(target_os = "linux")]
const CALLS: usize = 1_200;

#[cfg(target_os = "linux")]
#[test]
fn a_second_signal_ends_a_process_whose_log_and_report_nobody_reads() {
    let unread = Unread::start().ready();
    let mut stuck = connect(unread.http.address());
    let head = "POST /work HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 16\r\nexpect: 100-continue\r\n\r\n";
    stuck.write_all(head.as_bytes()).expect("is sent");
    let mut go_on = [0; 12];
    stuck.read_exact(&mut go_on).expect("the call has begun");
    assert_eq!(&go_on, b"HTTP/1.1 100");
    stuck.write_all(br#"{"name":"stuck"}"#).expect("is sent");
    unread.program.signal("-TERM");
    assert_eq!(unread.systemd.hear(), "STOPPING=1");
    unread.program.signal("-TERM");
    unread.program.end().assert_code(128 + 15);
    drop(stuck);
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
