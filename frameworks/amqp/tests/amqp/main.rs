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

mod acknowledging;
mod attempts;
mod beside;
mod blocked;
mod client;
mod cloud_events;
mod commands;
mod connections;
mod consuming;
mod delayed;
mod frames;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../../../../tests/common/free_port.rs"]
mod free_port;
mod giving_back;
mod guards;
mod instances;
mod isolation;
mod items;
mod options;
mod ordering;
mod outbox;
mod own_queues;
mod passing_on;
mod protobuf;
mod proxy;
mod publishing;
mod recovery;
mod redrive;
mod replies;
mod requests;
mod returning;
mod settling;
mod silence;
mod start;
mod stop;
mod support;
#[cfg(feature = "tls")]
mod tls;
mod topology;
mod types;
mod unconfirmed;
