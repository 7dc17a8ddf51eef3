//! The framework as a whole, on real sockets.
#![allow(missing_docs, unreachable_pub, missing_debug_implementations, reason = "tests only")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod binary;
mod close;
mod cluster;
mod events;
mod foreign;
mod guards;
mod handshake;
mod hooks;
mod http2;
mod independent;
mod joined;
mod limits;
mod random;
mod requests;
mod rooms;
mod start;
mod state;
mod stop;
mod streams;
mod support;
mod users;
