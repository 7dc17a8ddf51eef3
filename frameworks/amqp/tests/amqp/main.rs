//! The AMQP framework against brokers: the in-memory one, and, where `POLYPORT_TEST_AMQP_URL`
//! names one, a real RabbitMQ.

#![allow(clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

/// Makes two tests of each function: one for each kind of broker.
macro_rules! on_both_brokers {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::support::with_embedded(super::$name).await;
            })*
        }

        mod rabbitmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::support::with_rabbitmq(super::$name).await;
            })*
        }
    };
}

mod attempts;
mod cloud_events;
mod consuming;
mod guards;
mod instances;
mod items;
mod logs;
mod options;
mod ordering;
mod passing_on;
mod protobuf;
mod proxy;
mod publishing;
mod recovery;
mod redrive;
mod replies;
mod returning;
mod settling;
mod start;
mod stop;
mod support;
mod types;
