//! The same scenarios on the embedded broker and, where `POLYPORT_TEST_AMQP_URL` names one, on a
//! real RabbitMQ: what is written down here about RabbitMQ holds for both.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

/// Makes two tests of each scenario: one for each kind of broker.
macro_rules! on_both_brokers {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                crate::side::with_embedded(super::$name).await;
            })*
        }

        mod rabbitmq {
            $(#[tokio::test]
            async fn $name() {
                crate::side::with_rabbitmq(super::$name).await;
            })*
        }
    };
}

mod dead_letters;
mod delivery_limit;
mod errors;
mod expires;
mod limits;
mod order;
mod routing;
mod side;
mod single_active;
