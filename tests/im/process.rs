//! Real processes, stopped from outside.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use serde_json::Value;

use crate::{support::unique, under_load::http};

/// A program of this workspace that runs until it is dropped.
pub(crate) struct Program {
    child: Child,
    addresses: HashMap<String, SocketAddr>,
    /// What it said until it was ready.
    started: String,
    /// What it says after it is ready.
    rest: Option<std::thread::JoinHandle<String>>,
}

impl Program {
    /// Starts an example with these variables and waits until it is ready. `cargo test` builds
    /// them unless it is told which targets to build; `cargo build --examples` does, too.
    pub(crate) fn start(
        example: &str,
        variables: &[(&str, &str)],
    ) -> Result<Self, (ExitStatus, String)> {
        Self::run(Command::new(example_path(example)), example, variables)
    }

    /// Starts an example by a command of one's own.
    pub(crate) fn run(
        mut command: Command,
        example: &str,
        variables: &[(&str, &str)],
    ) -> Result<Self, (ExitStatus, String)> {
        let mut child = command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .envs([
                ("POLYPORT__HTTP__PORT", "0"),
                ("POLYPORT__GRPC__PORT", "0"),
                ("POLYPORT__IM__DATABASE", ":memory:"),
            ])
            // The other one's log is turned to JSON by a before-hook.
            .envs((example == "im").then_some(("POLYPORT__LOG__FORMAT", "json")))
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo builds examples before it runs tests");
        let mut lines = BufReader::new(child.stderr.take().expect("is piped")).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line.expect("is text");
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            let message = event["message"].as_str().unwrap_or_default();
            if message.starts_with("ready in") {
                let addresses = addresses_in(&event);
                let rest = std::thread::spawn(move || {
                    lines.map_while(Result::ok).collect::<Vec<_>>().join("\n")
                });
                return Ok(Self { child, addresses, started: said, rest: Some(rest) });
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err((child.wait().expect("has ended"), said))
    }

    pub(crate) fn address(&self, framework: &str) -> SocketAddr {
        self.addresses[framework]
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the end, and gives what was said since the start.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        let rest = self.rest.take().expect("waited for once");
        tokio::task::spawn_blocking(move || {
            let status = self.child.wait().expect("has ended");
            (status, rest.join().expect("was read"))
        })
        .await
        .expect("is waited for")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where each framework is bound, as the event of the start tells.
fn addresses_in(ready: &Value) -> HashMap<String, SocketAddr> {
    let places = ready["frameworks"].as_str().expect("are told");
    let places: Vec<Value> = serde_json::from_str(places).expect("is JSON");
    let place = |place: &Value| {
        let address = place["address"].as_str()?.parse().expect("an address");
        Some((place["framework"].as_str()?.to_owned(), address))
    };
    places.iter().filter_map(place).collect()
}

/// Examples stand beside the folder of the test's own binary.
pub(crate) fn example_path(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("is known");
    let profile = own.ancestors().nth(2).expect("target/profile/deps/test");
    profile.join("examples").join(name)
}

#[tokio::test]
async fn a_signal_stops_the_example_with_exit_code_0() {
    for signal in ["-TERM", "-INT"] {
        let im = Program::start("im", &[]).expect("starts");
        let reply = http(im.address("http"), "GET /users?userId=tom", "").await;
        assert!(reply.expect("is served").contains(r#""username":"Tom""#));
        im.signal(signal);
        let (status, said) = im.end().await;
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains("\"message\":\"stopped\""), "{said}");
    }
}

/// A folder of its own, gone at the end of the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("polyport-{}", unique()));
        std::fs::create_dir(&folder).expect("can be made");
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("is text").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn messages_survive_a_restart_and_the_pool_is_closed_after_everything_that_used_it() {
    let folder = Folder::new();
    let database = folder.file("im.sqlite");
    let start = || Program::start("im", &[("POLYPORT__IM__DATABASE", &database)]).expect("starts");

    let im = start();
    let body = r#"{"from":"tom","text":"hi"}"#;
    let posted = http(im.address("http"), "POST /rooms/lobby/messages", body).await;
    assert!(posted.expect("is taken").starts_with("HTTP/1.1 202"));
    let list = || http(im.address("http"), "GET /rooms/lobby/messages", "");
    while !list().await.expect("is served").contains(r#""text":"hi""#) {
        tokio::task::yield_now().await;
    }
    im.signal("-TERM");
    let (status, said) = im.end().await;
    assert_eq!(status.code(), Some(0), "{said}");
    // SQLite removes its log when the last connection is closed in order.
    assert!(!Path::new(&folder.file("im.sqlite-wal")).exists());

    let im = start();
    let listed = http(im.address("http"), "GET /rooms/lobby/messages", "").await.expect("is there");
    assert_eq!(listed.matches(r#""text":"hi""#).count(), 1, "{listed}");
}

#[tokio::test]
async fn the_environment_selects_its_file_and_production_wants_a_broker() {
    let refused = |environment: &str| {
        let started = Program::start("im", &[("POLYPORT_ENV", environment)]);
        let (status, said) = started.err().expect("must not start");
        assert_eq!(status.code(), Some(78), "{said}");
        said
    };
    assert!(refused("prod").contains("amqp.url"));
    assert!(refused("production").contains("POLYPORT_ENV=prod"));
}

#[tokio::test]
async fn without_a_broker_the_example_says_in_one_line_what_it_uses() {
    let im = Program::start("im", &[]).expect("starts");
    let told = im.started.lines().filter(|line| line.contains("in-memory AMQP broker")).count();
    assert_eq!(told, 1, "{}", im.started);
}

#[tokio::test]
async fn a_misspelt_log_level_is_exit_code_78() {
    let started = Program::start("im", &[("POLYPORT__LOG__LEVEL", "inof")]);
    let (status, said) = started.err().expect("must not start");
    assert_eq!(status.code(), Some(78), "{said}");
    assert!(said.contains("\"inof\" is not a log level"), "{said}");
}

#[tokio::test]
async fn a_port_in_use_is_exit_code_69_and_names_framework_and_port() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("is bound").port().to_string();
    let (status, said) =
        Program::start("im", &[("POLYPORT__HTTP__PORT", &port)]).err().expect("must not start");
    assert_eq!(status.code(), Some(69), "{said}");
    assert!(said.contains("framework http"), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
}
