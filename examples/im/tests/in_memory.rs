//! The tests of the application, in memory: they need no port and no broker.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cases/messages.rs"]
mod messages;
#[path = "cases/users.rs"]
mod users;

use polyport::testing::{TestBootstrap, create_bootstrap};

fn app() -> TestBootstrap {
    create_bootstrap(polyport_im::bootstrap()).in_memory()
}
