//! Configuration of whole programs: what they tell about it, where it comes from, and how it
//! changes while they run.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]
mod command_line;
mod reload;
mod remote_config;
mod sources;
mod support;
