//! The whole application in memory: whatever passes over sockets passes there, too.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod amqp;
mod app;
mod clock;
mod failures;
mod grpc;
mod http;
mod listeners;
mod minutes;
mod stop;
mod websocket;

use std::{future::Future, time::Duration};

use polyport::testing::TestBootstrap;

/// How the clients of a test reach its application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Sockets,
    Memory,
}

impl Way {
    pub(crate) fn of(self, bootstrap: TestBootstrap) -> TestBootstrap {
        match self {
            Self::Sockets => bootstrap,
            Self::Memory => bootstrap.in_memory(),
        }
    }
}

/// No test hangs.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs")
}

/// Tests that run over sockets and in memory: `both_ways! { a_name(way) { … } }`.
macro_rules! both_ways {
    ($($name:ident($way:ident) $body:block)*) => { $(
        mod $name {
            use super::*;
            use crate::Way;

            async fn test($way: Way) $body

            #[tokio::test]
            async fn over_sockets() {
                crate::within(test(Way::Sockets)).await;
            }

            #[tokio::test]
            async fn in_memory() {
                crate::within(test(Way::Memory)).await;
            }
        }
    )* };
}
pub(crate) use both_ways;
