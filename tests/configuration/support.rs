//! Programs of this workspace in folders of their own.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use polyport::testing::HttpClient;
use serde_json::Value;

/// No wait of a test is longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An application's folder of its own with these files in `config`, removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("polyport-program-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(folder.0.join("config")).expect("can be made");
        files.iter().for_each(|(name, text)| folder.write(name, text));
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Replaces a file of the configuration as a whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.join("config").join(name);
        let new = path.with_extension("new");
        std::fs::write(&new, text).expect("can be written");
        std::fs::rename(new, path).expect("can be replaced");
    }

    /// Runs an example in this folder until it ends by itself.
    pub(crate) fn run(
        &self,
        example: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Said {
        Said::from(self.command(example, arguments, variables).output().expect("runs"))
    }

    /// Starts an example in this folder, on a free HTTP port, and waits until it is ready.
    pub(crate) fn start(&self, example: &str, variables: &[(&str, &str)]) -> Program {
        let mut command = self.command(example, &[], variables);
        command.envs([("POLYPORT__HTTP__PORT", "0"), ("POLYPORT__LOG__FORMAT", "json")]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("runs");
        let (lines, log) = channel();
        let output = BufReader::new(child.stderr.take().expect("is piped"));
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| drop(lines.send(line)));
        });
        let mut program = Program { child, log, said: Vec::new(), http: None };
        program.expect("ready in");
        program
    }

    fn command(&self, example: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(example_path(example));
        command
            .args(arguments)
            .current_dir(&self.0)
            .env_remove("POLYPORT_ENV")
            .envs(variables.iter().copied());
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a program has said when it has ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("is text");
        let Output { status, stdout, stderr } = output;
        Self { code: status.code(), output: text(stdout), errors: text(stderr) }
    }
}

/// A program that runs until it is dropped.
pub(crate) struct Program {
    child: Child,
    log: Receiver<String>,
    said: Vec<String>,
    http: Option<SocketAddr>,
}

impl Program {
    /// A client of its HTTP server.
    pub(crate) fn http(&self) -> HttpClient {
        HttpClient::new(self.http.expect("it serves HTTP"))
    }

    /// Waits until the log says `message`, from where it was last waited for, and returns the
    /// line.
    pub(crate) fn expect(&mut self, message: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                panic!("{message:?} is not said, but: {}", self.said.join("\n"))
            });
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            self.http = http_address(&event).or(self.http);
            self.said.push(line.clone());
            if line.contains(message) {
                return line;
            }
        }
    }

    /// Everything that was said up to where it was last waited for.
    pub(crate) fn said(&self) -> String {
        self.said.join("\n")
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Stops it, and waits for its end.
    pub(crate) fn stop(mut self) {
        self.signal("-TERM");
        self.expect("\"message\":\"stopped\"");
        assert_eq!(self.child.wait().expect("has ended").code(), Some(0));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the HTTP server listens, if this is the event that says so.
fn http_address(event: &Value) -> Option<SocketAddr> {
    let places: Vec<Value> = serde_json::from_str(event["frameworks"].as_str()?).ok()?;
    let http = places.iter().find(|place| place["framework"] == "http")?;
    http["address"].as_str()?.parse().ok()
}

/// Examples stand beside the folder of the test's own binary; `cargo test` builds them unless it
/// is told which targets to build, `cargo build --examples` does, too.
fn example_path(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("is known");
    let profile = own.ancestors().nth(2).expect("target/profile/deps/test");
    profile.join("examples").join(name)
}
