//! Peers that mean harm, thousands at once, against a server in a process of its own. Meanwhile
//! others are served as if nothing were, and the server's memory stays bounded. It has a binary of
//! its own, which `cargo test` runs alone; `.config/nextest.toml` says the same to nextest.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod attacks;
mod behaved;
#[allow(dead_code, reason = "the tests of HTTP/2 use the rest")]
#[path = "../http2/frames.rs"]
mod http2;
#[allow(dead_code, reason = "the tests of start and stop use the rest")]
#[path = "../lifecycle/program.rs"]
mod program;

use std::{fs, net::SocketAddr, process::Command, time::Duration};

use attacks::{ATTACKS, Attack};
use program::{Program, example};

/// Below this a calm machine cannot tell one answer from another.
const NOISE: Duration = Duration::from_millis(20);
/// How much memory an attack may take, while it goes on.
const MEMORY: u64 = 256 << 20;

/// The server, and what it is like while nobody does anything bad.
struct Victim {
    program: Program,
    address: SocketAddr,
    quiet: Duration,
}

impl Victim {
    async fn start() -> Self {
        let mut command = Command::new(example("plain"));
        command.env("POLYPORT__LOG__LEVEL", "info");
        let mut program = Program::run(command);
        let address = program.ready().of("http");
        behaved::slowest(address).await;
        let quiet = behaved::slowest(address).await;
        Self { program, address, quiet }
    }

    /// Bytes of resident memory, as the system tells it (`proc(5)`).
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// What the others notice of an attack, and what it costs.
    async fn under(&self, attack: &Attack) -> (Duration, u64) {
        let before = self.resident();
        let going_on = (attack.begin)(self.address).await;
        let slowest = behaved::slowest(self.address).await;
        let after = self.resident();
        drop(going_on);
        (slowest, after.saturating_sub(before))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_served_and_memory_stays_bounded_whatever_hostile_peers_do() {
    let victim = Victim::start().await;
    eprintln!("{:<44}{:>10.2?}", "nobody else", victim.quiet);
    let limit = (victim.quiet * 3).max(NOISE);
    let mut failures = Vec::new();
    for attack in ATTACKS {
        let (slowest, memory) = victim.under(&attack).await;
        eprintln!("{:<44}{slowest:>10.2?}{:>8.1} MB", attack.name, memory as f64 / 1e6);
        if slowest > limit || memory > MEMORY {
            failures.push(format!("{}: {slowest:?}, {memory} bytes", attack.name));
        }
    }
    assert!(failures.is_empty(), "quiet {:?}, limit {limit:?}: {failures:#?}", victim.quiet);
    victim.program.stop().assert_code(0);
}
