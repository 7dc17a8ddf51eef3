//! Background tasks and the admin port of a real process, driven from outside.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use free_port::FreePort;

#[path = "common/free_port.rs"]
mod free_port;

/// The longest time that anything may take here.
const PATIENCE: Duration = Duration::from_secs(30);

/// `tests/fixtures/background.rs` in a process of its own, which ends with this.
struct Program {
    child: Child,
    http: FreePort,
    admin: FreePort,
}

struct Ended {
    code: Option<i32>,
    said: String,
}

impl Program {
    fn start(variables: &[(&str, &str)]) -> Self {
        let [http, admin] = [(); 2].map(|()| FreePort::reserve());
        let own = std::env::current_exe().expect("is known");
        let target = own.ancestors().nth(2).expect("target/profile/deps/test");
        let child = Command::new(target.join("examples").join("background"))
            .current_dir(std::env::temp_dir())
            // Or the configuration of this package would be read.
            .env_remove("CARGO_MANIFEST_DIR")
            .env("POLYPORT__HTTP__PORT", http.number())
            .env("POLYPORT__ADMIN__PORT", admin.number())
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("cargo builds examples before it runs tests");
        Self { child, http, admin }
    }

    /// Asks a path of the admin port until it answers so.
    fn until(&mut self, path: &str, status: u16) -> String {
        let began = Instant::now();
        loop {
            match ask(self.admin.address(), "GET", path) {
                Some((found, body)) if found == status => return body,
                other => assert!(began.elapsed() < PATIENCE, "{path} answers {other:?}"),
            }
            assert_eq!(self.child.try_wait().expect("can be asked"), None, "it has ended");
            std::thread::yield_now();
        }
    }

    /// Starts it, waits until it is ready, and lets a call begin the task.
    fn with_task(variables: &[(&str, &str)]) -> Self {
        let mut program = Self::start(variables);
        program.until("/health/ready", 200);
        let (status, body) = ask(program.http.address(), "POST", "/begin").expect("is served");
        assert_eq!((status, body.as_str()), (200, "\"begun\""));
        program
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    fn end(mut self) -> Ended {
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().expect("is piped");
        // It ends with the process.
        stderr.read_to_string(&mut said).expect("is text");
        let code = self.child.wait().expect("ends").code();
        for address in [self.http.address(), self.admin.address()] {
            assert!(TcpStream::connect(address).is_err(), "{address} is still open");
        }
        let said = said.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        Ended { code, said }
    }

    fn stop(self) -> Ended {
        self.signal("-TERM");
        self.end()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    #[track_caller]
    fn assert(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "{word} is not in:\n{}", self.said);
        }
    }
}

fn ask(address: SocketAddr, method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

#[test]
fn a_task_that_fails_or_panics_stops_the_process_with_its_error() {
    for how in ["error", "panic"] {
        let ended = Program::with_task(&[("POLYPORT__FAULT__TASK", how)]).end();
        ended.assert(71, &["task import", "row 7 is broken", "stopping"]);
    }
}

#[test]
fn a_task_whose_failure_is_only_logged_stops_nothing() {
    let mut program = Program::with_task(&[
        ("POLYPORT__FAULT__TASK", "panic"),
        ("POLYPORT__TASKS__ON_FAILURE", "log"),
    ]);
    while !program.until("/status", 200).contains("\"failed\":1") {
        std::thread::yield_now();
    }
    program.until("/health/ready", 200);
    program.stop().assert(0, &["a background task has failed", "row 7 is broken"]);
}

#[test]
fn a_task_is_begun_anew_until_the_process_stops() {
    let mut program = Program::with_task(&[
        ("POLYPORT__FAULT__TASK", "error"),
        ("POLYPORT__TASKS__ON_FAILURE", "restart"),
        ("POLYPORT__TASKS__BACK_OFF__LAST", "20ms"),
    ]);
    while !program.until("/status", 200).contains("\"restarted\":3") {
        std::thread::yield_now();
    }
    program.stop().assert(0, &["is begun anew", "background tasks have ended"]);
}

#[test]
fn a_task_that_heeds_the_stop_is_waited_for() {
    let program = Program::with_task(&[("POLYPORT__FAULT__TASK", "heed")]);
    program.stop().assert(0, &["background tasks have ended", "finished=1"]);
}

#[test]
fn a_task_that_never_ends_is_cut_at_its_deadline_and_named() {
    let program = Program::with_task(&[
        ("POLYPORT__FAULT__TASK", "hang"),
        ("POLYPORT__SHUTDOWN__DRAIN_OF__TASKS", "200ms"),
        ("POLYPORT__LOG__FORMAT", "json"),
    ]);
    let began = Instant::now();
    let ended = program.stop();
    assert!(began.elapsed() < PATIENCE / 2, "took {:?}", began.elapsed());
    ended.assert(75, &["1 task was cut, not finished after 200ms: import: 1"]);
}

#[test]
fn the_admin_port_answers_during_a_start_that_hangs_and_a_signal_ends_both() {
    let mut program = Program::start(&[("POLYPORT__FAULT__START", "true")]);
    program.until("/health/live", 200);
    let ready = program.until("/health/ready", 503);
    assert!(ready.contains("the process is starting"), "{ready}");
    program.until("/health/started", 503);
    while !program.until("/status", 200).contains("\"stage\":\"on_ready\"") {
        std::thread::yield_now();
    }
    assert!(TcpStream::connect(program.http.address()).is_err(), "it is only bound");
    program.stop().assert(143, &["interrupted"]);
}

#[test]
fn readiness_is_off_during_the_delay_while_everything_is_served() {
    let mut program = Program::with_task(&[
        ("POLYPORT__FAULT__TASK", "heed"),
        ("POLYPORT__SHUTDOWN__DELAY", "1h"),
    ]);
    program.signal("-TERM");
    let ready = program.until("/health/ready", 503);
    assert!(ready.contains("the process is stopping"), "{ready}");
    let ready = ask(program.http.address(), "GET", "/health/ready").expect("is served");
    assert_eq!(ready.0, 503);
    assert_eq!(ask(program.http.address(), "POST", "/begin").expect("is served").0, 200);
    program.signal("-TERM");
    program.end().assert(143, &["second signal"]);
}
