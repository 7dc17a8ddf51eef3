//! The whole application in a test, with real frameworks and real sockets.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../common/free_port.rs"]
mod free_port;
mod open;
#[allow(dead_code, reason = "its main is for those who run it")]
#[path = "../fixtures/stages.rs"]
mod stages;
mod start;
mod whole;
