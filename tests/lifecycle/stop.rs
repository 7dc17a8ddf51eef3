//! Every stage of the stop × {error, panic, hang, a second signal}: none skips a later one.

use crate::program::{Ended, Program, answer, call};

/// The places of a stop: their stage, and the exit code of an error there (0 where there can be
/// none).
const PLACES: [(&str, &str, i32); 7] = [
    ("on_stopping", "on_stopping", 71),
    ("stop_intake", "intake", 0),
    ("drain", "drain", 0),
    ("before_close", "before_close", 71),
    ("dispose", "dispose", 71),
    ("close", "close", 1),
    ("closed", "closed", 71),
];

fn stopped(place: &str, how: &str, more: &[(&str, &str)]) -> Ended {
    let mut program = Program::faulty(place, how, more);
    program.ready();
    program.stop()
}

fn assert_nothing_was_skipped(ended: &Ended) {
    for (place, ..) in PLACES {
        assert_eq!(ended.count(place), 1, "{place}: {}", ended.said);
    }
}

#[test]
fn an_error_at_any_stage_of_the_stop_skips_nobody_and_decides_the_exit_code() {
    for (place, stage, code) in PLACES {
        let ended = stopped(place, "error", &[]);
        ended.assert_code(code);
        assert_nothing_was_skipped(&ended);
        if code != 0 {
            ended.assert_says(&format!("fault at {place}\n  stage: {stage}"));
        }
    }
}

#[test]
fn a_panic_at_any_stage_of_the_stop_skips_nobody() {
    for (place, stage, _) in PLACES {
        let ended = stopped(place, "panic", &[]);
        ended.assert_code(71);
        assert_nothing_was_skipped(&ended);
        ended.assert_says(&format!("panicked: fault at {place}\n  stage: {stage}"));
    }
}

#[test]
fn whoever_hangs_at_any_stage_of_the_stop_is_cut_at_the_deadline_and_named() {
    for (place, stage, _) in PLACES {
        // No other stage is to end early.
        let limit = format!("POLYPORT__SHUTDOWN__{}", stage.to_uppercase());
        let ended = stopped(place, "hang", &[(&limit, "300ms")]);
        ended.assert_code(75);
        assert_nothing_was_skipped(&ended);
        let culprit = match place {
            "stop_intake" | "drain" | "close" => "framework probe".to_owned(),
            "dispose" => "disposing of Pool (module app)".to_owned(),
            hook => format!("hook {hook} of module app"),
        };
        ended.assert_says(&format!("error: {culprit}: "));
        ended.assert_says(&format!("stage: {stage}"));
    }
}

#[test]
fn a_second_signal_at_any_stage_of_the_stop_ends_the_process_at_once() {
    for (place, stage, _) in PLACES {
        let mut program = Program::faulty(place, "hang", &[]);
        program.ready();
        program.signal("-TERM");
        program.until_journal("hangs");
        program.signal("-INT");
        let ended = program.end();
        ended.assert_code(128 + 2);
        ended.assert_says("a second signal (SIGINT) cut the ordered stop short");
        ended.assert_says(&format!("stage: {stage}"));
        ended.assert_says("was not finished");
    }
}

#[test]
fn all_errors_of_a_stop_are_in_its_report() {
    let ended = stopped("on_stopping,before_close,dispose,close,closed", "error", &[]);
    ended.assert_code(71);
    assert_nothing_was_skipped(&ended);
    ended.assert_says("error: the stop was not clean");
    for place in ["on_stopping", "before_close", "dispose", "close", "closed"] {
        ended.assert_says(&format!("fault at {place}"));
    }
}

#[test]
fn a_framework_that_fails_or_panics_while_it_serves_stops_the_process_in_order() {
    for (how, said, code) in [("error", "fault at failed", 69), ("panic", "panicked: fault at", 71)]
    {
        let mut program = Program::faulty("failed", how, &[]);
        program.until("stopping", |event| event["message"] == "stopping");
        let ended = program.end();
        ended.assert_code(code);
        ended.assert_says(&format!("framework probe: {said}"));
        assert_nothing_was_skipped(&ended);
    }
}

#[test]
fn a_handler_may_stop_the_process_and_still_answers() {
    let mut program = Program::start(&[]);
    let http = program.ready().of("http");
    let mut stream = crate::program::connect(http);
    let request =
        b"POST /stop HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    std::io::Write::write_all(&mut stream, request).expect("is sent");
    assert!(answer(stream).starts_with("HTTP/1.1 2"));
    let ended = program.end();
    ended.assert_code(0);
    ended.assert_says("a handler asked for it");
    assert_nothing_was_skipped(&ended);
}

#[test]
fn a_handler_that_never_returns_is_named_with_its_age_and_the_process_ends_at_its_deadline() {
    for name in ["stuck", "block"] {
        let mut program = Program::start(&[("POLYPORT__SHUTDOWN__DRAIN", "4s")]);
        let http = program.ready().of("http");
        let _call = call(http, name);
        program.until_journal("work");
        let began = std::time::Instant::now();
        let ended = program.stop();
        assert!(began.elapsed().as_secs() < 12, "{}", ended.said);
        ended.assert_code(75);
        ended.assert_says("1 call was cut, not finished after 4s: work (POST /work): 1 for up to ");
        // While it drains, what is in flight is told, for the first time after a second.
        ended.assert_says("\"message\":\"draining\"");
        assert_nothing_was_skipped(&ended);
    }
}

#[test]
fn handlers_that_block_all_threads_do_not_keep_the_process() {
    let mut program = Program::start(&[
        ("POLYPORT__SHUTDOWN__ON_STOPPING", "200ms"),
        ("POLYPORT__SHUTDOWN__INTAKE", "200ms"),
        ("POLYPORT__SHUTDOWN__DRAIN", "200ms"),
        ("POLYPORT__SHUTDOWN__BEFORE_CLOSE", "200ms"),
        ("POLYPORT__SHUTDOWN__DISPOSE", "200ms"),
        ("POLYPORT__SHUTDOWN__CLOSE", "200ms"),
        ("POLYPORT__SHUTDOWN__CLOSED", "200ms"),
        ("TOKIO_WORKER_THREADS", "2"),
    ]);
    let http = program.ready().of("http");
    let first = call(http, "block");
    program.until_journal("work");
    let second = call(http, "block");
    let ended = program.stop();
    ended.assert_code(75);
    ended.assert_says("work (POST /work): ");
    drop((first, second));
}

#[test]
fn everything_is_served_during_the_delay_with_readiness_off() {
    let mut program = Program::start(&[("POLYPORT__SHUTDOWN__DELAY", "60s")]);
    let http = program.ready().of("http");
    program.signal("-TERM");
    program.until_journal("on_stopping");
    assert!(answer(call(http, "0")).contains("pool open: true"));
    let mut stream = crate::program::connect(http);
    let request = b"GET /health/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    std::io::Write::write_all(&mut stream, request).expect("is sent");
    assert!(answer(stream).starts_with("HTTP/1.1 503"));
    program.signal("-TERM");
    let ended = program.end();
    ended.assert_code(128 + 15);
    ended.assert_says("stage: delay");
}
