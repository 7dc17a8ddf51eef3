//! Peers that mean harm, thousands at once, against a server in a process of its own. Meanwhile
//! others are served as if nothing were, the server's memory stays bounded, and slow peers get what
//! `docs/listener.md` says.
//!
//! Others are compared with what they see a moment before, and an attack has a few tries: what else
//! runs on the machine comes and goes, what the server does wrong stays. It has a binary of
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
#[path = "../common/program.rs"]
mod program;

use std::{fs, net::SocketAddr, process::Command, time::Duration};

use attacks::{ATTACKS, Attack};
use program::{PATIENCE, Program, example};
use tokio::time::timeout;

/// How often an attack is tried whose others were not served in time.
const TRIES: usize = 3;
/// Limits that end slow peers after they were measured, and not much later.
const LIMITS: [(&str, &str); 3] = [
    ("POLYPORT__HTTP__LIMITS__HEADER_TIMEOUT", "3s"),
    ("POLYPORT__HTTP__LIMITS__BODY_GRACE", "3s"),
    ("POLYPORT__HTTP__LIMITS__WRITE_TIMEOUT", "3s"),
];
/// Below this a calm machine cannot tell one answer from another.
const NOISE: Duration = Duration::from_millis(20);
/// How much memory an attack may take, while it goes on.
const MEMORY: u64 = 256 << 20;

/// The server.
struct Victim {
    program: Program,
    address: SocketAddr,
}

/// What others notice of an attack, and what it costs.
#[derive(Debug)]
struct Seen {
    quiet: Duration,
    slowest: Duration,
    memory: u64,
}

impl Seen {
    fn is_fine(&self) -> bool {
        self.slowest <= (self.quiet * 3).max(NOISE) && self.memory <= MEMORY
    }
}

impl Victim {
    async fn start() -> Self {
        let mut command = Command::new(example("plain"));
        command.env("POLYPORT__LOG__LEVEL", "info").envs(LIMITS);
        let mut program = Program::run(command);
        let address = program.ready().of("http");
        behaved::slowest(address).await;
        Self { program, address }
    }

    /// Bytes of resident memory, as the system tells it (`proc(5)`).
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    async fn under(&self, attack: &Attack) -> Seen {
        let quiet = behaved::slowest(self.address).await;
        let before = self.resident();
        let mut going_on = (attack.begin)(self.address).await;
        let slowest = behaved::slowest(self.address).await;
        let memory = self.resident().saturating_sub(before);
        if attack.is_ended {
            let ended = timeout(PATIENCE, going_on.join_next()).await;
            ended.expect("all are cut off").expect("one task").expect("with what they are to get");
        }
        Seen { quiet, slowest, memory }
    }

    /// As often as it takes, see above.
    async fn survives(&self, attack: &Attack) -> Result<(), String> {
        let mut seen = Vec::new();
        for _ in 0..TRIES {
            let last = self.under(attack).await;
            let Seen { quiet, slowest, memory } = last;
            let megabytes = memory as f64 / 1e6;
            eprintln!("{:<36}{quiet:>10.2?}{slowest:>10.2?}{megabytes:>8.1} MB", attack.name);
            if last.is_fine() {
                return Ok(());
            }
            seen.push(last);
        }
        Err(format!("{}: {seen:?}", attack.name))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_served_and_memory_stays_bounded_whatever_hostile_peers_do() {
    let victim = Victim::start().await;
    let mut failures = Vec::new();
    for attack in ATTACKS {
        failures.extend(victim.survives(&attack).await.err());
    }
    assert!(failures.is_empty(), "{failures:#?}");
    victim.program.stop().assert_code(0);
}
