//! RabbitMQ: the one that the tests share, and those that a test owns and may break.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// How long a node may take to be of use.
const PATIENCE: Duration = Duration::from_secs(60);

/// The URL of the one that the tests share. `None` where there is none and need not be.
pub(crate) fn shared() -> Option<String> {
    if let Ok(url) = std::env::var("POLYPORT_TEST_AMQP_URL") {
        return Some(url);
    }
    missing("no RabbitMQ: run the tests by scripts/test");
    None
}

/// In CI, what cannot be tested is a failure; elsewhere it is told.
fn missing(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("skipped: {why}");
}

/// Whether there is a RabbitMQ that tests may start and break; says so where there is none.
fn can_be_owned() -> bool {
    if shared().is_none() {
        return false;
    }
    let is_there = Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists();
    if !is_there {
        missing("no RabbitMQ on this machine that could be killed: scripts/rabbitmq install");
    }
    is_there
}

fn unique(what: &str) -> String {
    format!("{what}-{}", &uuid::Uuid::now_v7().simple().to_string()[4..24])
}

/// A RabbitMQ that belongs to one test, which may break it; it is stopped and removed at the end.
pub(crate) struct Owned {
    name: String,
    pub(crate) url: String,
}

impl Owned {
    /// `None` where there is no RabbitMQ and need not be.
    pub(crate) fn start() -> Option<Self> {
        if !can_be_owned() {
            return None;
        }
        let mut owned = Self { name: unique("owned"), url: String::new() };
        owned.restart();
        Some(owned)
    }

    /// Starts it, on the ports and with the data that it had.
    pub(crate) fn restart(&mut self) {
        self.url = run(&mut script("start", &self.name)).trim().to_owned();
    }

    /// Waits until a new quorum queue is on disk. RabbitMQ (3.10, ra 2.0) writes the register of
    /// such queues behind: one that is killed in the first seconds of a queue's life has forgotten
    /// its log, and never elects a leader again.
    pub(crate) async fn until_kept(&self, queue: &str) {
        let node = format!("polyport-{}@localhost", self.name);
        let data = self.files().join("data").join(&node).join("quorum").join(&node);
        let mut check = tokio::time::interval(Duration::from_millis(50));
        let is_in =
            |bytes: Vec<u8>| bytes.windows(queue.len()).any(|part| part == queue.as_bytes());
        while !std::fs::read(data.join("names.dets")).is_ok_and(is_in) {
            check.tick().await;
        }
    }

    /// SIGKILL: nothing is closed in order, and nothing said to anybody.
    pub(crate) fn kill(&self) {
        let pid = self.signal("-KILL");
        let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A process that was killed is there for a moment; its parent may never look after it.
        while !stat().is_empty() && !stat().contains(") Z ") {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGSTOP: its sockets stay open, and nothing is read or answered.
    pub(crate) fn freeze(&self) {
        let _ = self.signal("-STOP");
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        let _ = self.signal("-CONT");
    }

    /// What `rabbitmqctl` says.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        run(script("ctl", &self.name).arg("--").arg("-q").args(arguments))
    }

    /// Gives the process id.
    fn signal(&self, signal: &str) -> String {
        let pid = std::fs::read_to_string(self.files().join("pid")).expect("runs");
        let pid = pid.split_whitespace().next().expect("its process id").to_owned();
        run(Command::new("kill").args([signal, &pid]));
        pid
    }

    fn files(&self) -> PathBuf {
        let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("run/rabbitmq");
        run.join(&self.name)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = script("stop", &self.name).arg("--purge").output();
        let _ = std::fs::remove_file(self.files().with_extension("lock"));
    }
}

/// Three nodes that are one cluster.
pub(crate) struct Cluster {
    name: String,
    pub(crate) nodes: Vec<Owned>,
}

impl Cluster {
    /// `None` where there is no RabbitMQ and need not be.
    pub(crate) fn start() -> Option<Self> {
        if !can_be_owned() {
            return None;
        }
        let name = unique("c");
        let urls = run(&mut script("cluster", &name));
        let node = |(index, url): (usize, &str)| Owned {
            name: format!("{name}-{}", index + 1),
            url: url.to_owned(),
        };
        let nodes: Vec<_> = urls.lines().enumerate().map(node).collect();
        assert_eq!(nodes.len(), 3, "{urls}");
        Some(Self { name, nodes })
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.url.clone()).collect()
    }

    /// Waits until a node takes part in a quorum queue again. One that has just started does not yet,
    /// and two of three that do not are no majority.
    pub(crate) fn until_member(&self, queue: &str, node: usize) {
        let program = format!("ets:lookup(ra_state, list_to_atom(\"%2F_{queue}\")).");
        let asked = Instant::now();
        let takes_part = |state: String| state.contains("follower") || state.contains("leader");
        while !takes_part(self.nodes[node].ctl(&["eval", &program])) {
            assert!(asked.elapsed() < PATIENCE, "node {node} takes no part in {queue}");
        }
    }

    /// The node that leads a quorum queue, as one of the nodes knows it.
    pub(crate) fn leader_of(&self, queue: &str, asked: usize) -> usize {
        let program = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             {{_, Node}} = amqqueue:get_pid(Q), Node."
        );
        let leader = self.nodes[asked].ctl(&["eval", &program]);
        let is = |node: &Owned| leader.contains(&format!("polyport-{}@", node.name));
        self.nodes.iter().position(is).expect("is one of the nodes")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear();
        let _ = script("disband", &self.name).output();
    }
}

fn script(action: &str, name: &str) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq"));
    command.args([action, "--name", name]);
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).expect("is text")
}
