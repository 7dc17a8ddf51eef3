//! The chat server's contract, one test for each row of its table, on real sockets and on both
//! brokers; and what holds for the whole process.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod amqp;
mod command_line;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../common/free_port.rs"]
mod free_port;
mod grpc;
mod http;
mod process;
mod restarts;
mod rooms;
mod support;
mod under_load;
mod websocket;
mod whole;
