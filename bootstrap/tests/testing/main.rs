//! The whole application in a test: how it starts and ends, what it leaves, when it is settled,
//! and what is known of what happened in it.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

extern crate polyport_bootstrap as polyport;

mod clock;
mod left;
mod operation;
mod overrides;
mod recorder;
mod settled;
mod start;
#[path = "../support/mod.rs"]
mod support;
