//! Code that blocks its thread, which async code must not: deadlines and signals are heard all the
//! same.

use std::process::Command;

use crate::program::{Program, fixture};

/// Short deadlines for the steps of frameworks in a stop.
const SHORT: [(&str, &str); 3] = [
    ("POLYPORT__SHUTDOWN__INTAKE", "300ms"),
    ("POLYPORT__SHUTDOWN__DRAIN", "300ms"),
    ("POLYPORT__SHUTDOWN__CLOSE", "300ms"),
];

#[test]
fn a_framework_that_blocks_its_thread_in_the_start_is_named_at_the_deadline() {
    for (place, limit, waiting) in [
        ("link", "POLYPORT__STARTUP__BUILD", "build, waiting for link of"),
        ("bind", "POLYPORT__STARTUP__BIND", "bind, waiting for"),
        ("serve", "POLYPORT__STARTUP__SERVE", "serve, waiting for"),
    ] {
        // Time enough for everybody else in that stage, on a busy machine too.
        let ended = Program::faulty(place, "block", &[(limit, "2s")]).end();
        ended.assert_code(75);
        ended.assert_says(&format!("stage {waiting} framework probe"));
        // It cannot be closed, and keeps nobody else from being so.
        ended.assert_says("framework probe: cannot be called: an earlier step of it still blocks");
        assert_eq!(ended.count("close"), 0, "{}", ended.said);
        let was_built = usize::from(place != "link");
        assert_eq!(ended.count("dispose"), was_built, "{}", ended.said);
    }
}

#[test]
fn sigterm_cancels_a_start_in_which_a_framework_blocks_its_thread() {
    let mut program = Program::faulty("bind", "block", &[]);
    program.until_journal("hangs");
    let ended = program.stop();
    ended.assert_code(128 + 15);
    ended.assert_says("the start was interrupted (SIGTERM)");
    assert_eq!(ended.count("dispose"), 1, "{}", ended.said);
}

#[test]
fn a_framework_that_blocks_its_thread_in_the_stop_is_named_and_skips_nobody_else() {
    const BLOCKED: &str =
        "framework probe: cannot be called: an earlier step of it still blocks its thread";
    for (place, said, stage) in [
        ("failed", BLOCKED, "intake"),
        ("stop_intake", "framework probe: still takes calls after 300ms", "intake"),
        ("stop_intake", BLOCKED, "drain"),
        ("drain", "framework probe: 1 call was cut, not finished after 300ms", "drain"),
        ("close", "framework probe: not closed after 300ms", "close"),
    ] {
        let mut program = Program::faulty(place, "block", &SHORT);
        program.ready();
        let ended = program.stop();
        ended.assert_code(75);
        ended.assert_says(said);
        ended.assert_says(&format!("stage: {stage}"));
        for place in ["on_stopping", "before_close", "dispose", "closed"] {
            assert_eq!(ended.count(place), 1, "{place}: {}", ended.said);
        }
    }
}

#[test]
fn code_that_blocks_its_thread_does_not_keep_a_deadline_from_being_noticed() {
    let mut command = Command::new("sh");
    // A machine with one processor, where the system can be told so.
    let script = "command -v taskset >/dev/null || exec \"$0\"; \
                  first=$(awk '/Cpus_allowed_list/ { split($2, all, /[-,]/); print all[1] }' \
                  /proc/self/status); exec taskset -c \"$first\" \"$0\"";
    command.args(["-c", script]);
    command.arg(fixture()).env("POLYPORT__STARTUP__ON_READY", "300ms");
    command.envs([("POLYPORT__FAULT__AT", "on_ready"), ("POLYPORT__FAULT__HOW", "block")]);
    let ended = Program::run(command).end();
    ended.assert_code(75);
    ended.assert_says("stage on_ready, waiting for hook on_ready of module app");
}

#[test]
fn a_second_signal_ends_a_process_whose_main_thread_is_blocked() {
    let mut program = Program::faulty("endpoint", "block", &[]);
    program.until_journal("hangs");
    program.signal("-TERM");
    program.signal("-INT");
    let ended = program.end();
    ended.assert_code(128 + 2);
    ended.assert_says("a second signal (SIGINT) cut the ordered stop short");
    ended.assert_says("stage: build");
}
