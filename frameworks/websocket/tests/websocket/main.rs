//! The framework as a whole, on real sockets.
#![allow(missing_docs, unreachable_pub, missing_debug_implementations, reason = "tests only")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod close;
mod events;
mod guards;
mod handshake;
mod hooks;
mod joined;
mod limits;
mod random;
mod rooms;
mod start;
mod stop;
mod streams;
mod support;
