//! Start and stop of a real process, driven from outside: every stage and whatever can go wrong in
//! it, signals, what peers do to a process that stops, what becomes of calls and messages that go
//! wrong, and systemd.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod blocked;
mod broker;
mod faults;
#[path = "../common/free_port.rs"]
mod free_port;
mod messages;
#[path = "../common/systemd.rs"]
mod notified;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../common/rabbitmq.rs"]
mod owned;
mod peers;
#[path = "../common/program.rs"]
mod program;
mod rabbitmq;
mod signals;
mod start;
mod stop;
mod systemd;
mod test_runner;
