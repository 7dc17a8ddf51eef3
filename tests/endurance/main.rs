//! What becomes of messages while RabbitMQ is killed, frozen, closed, short of memory, or loses a
//! node, under load; counted by message id.
//!
//! Each is tried once, or as often as `POLYPORT_TEST_ROUNDS` says; each prints its figures.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::panic,
    reason = "a test fails by panicking, and the figures are for people"
)]

mod cluster;
mod faults;
mod ledger;
mod load;
mod poison;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../common/program.rs"]
mod program;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../common/rabbitmq.rs"]
mod rabbitmq;
mod stops;

const ROUNDS: &str = "POLYPORT_TEST_ROUNDS";

/// Whether somebody wants more than a look.
fn is_asked_for() -> bool {
    std::env::var_os(ROUNDS).is_some()
}

/// How often each fault is made.
fn rounds() -> usize {
    let rounds = std::env::var(ROUNDS).ok();
    rounds.map_or(1, |rounds| rounds.parse().expect("POLYPORT_TEST_ROUNDS is a number"))
}
