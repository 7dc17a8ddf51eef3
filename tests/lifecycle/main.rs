//! Start and stop of a real process, driven from outside: every stage and whatever can go wrong in
//! it, signals, what peers do to a process that stops, and systemd.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod blocked;
mod broker;
mod peers;
mod program;
mod signals;
mod start;
mod stop;
mod systemd;
