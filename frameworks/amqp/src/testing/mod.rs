//! A client for tests, on a connection of its own: `app.amqp()`.

mod channel;
mod client;
mod fate;
mod message;

use std::fmt::Display;

use polyport_bootstrap::{DEFAULT_NAME, testing::TestApp};

pub use self::{client::AmqpClient, message::TestMessage};
use crate::AmqpApp;

/// Clients of the AMQP frameworks of an application under test.
///
/// # Examples
/// ```no_run
/// use polyport_amqp::testing::AmqpTest;
/// use polyport_bootstrap::testing::TestApp;
///
/// async fn parks_what_is_malformed(app: TestApp) {
///     let amqp = app.amqp();
///     let id = amqp.publish_bytes("im", "message.lobby", "not JSON").await;
///     let parked = amqp.expect_dead_lettered("im.messages", &id).await;
///     assert_eq!(parked.reason.as_deref(), Some("INVALID_INPUT"));
///     assert_eq!(amqp.expect_on("im.messages.dead").await.body(), b"not JSON");
/// }
/// ```
pub trait AmqpTest {
    /// A client of the broker of the AMQP framework named `default`.
    ///
    /// # Panics
    /// Panics where no such framework is loaded.
    #[track_caller]
    fn amqp(&self) -> AmqpClient {
        self.amqp_on(DEFAULT_NAME)
    }

    /// A client of the broker of the AMQP framework of this name.
    ///
    /// # Panics
    /// Panics where no such framework is loaded.
    #[track_caller]
    fn amqp_on(&self, name: &str) -> AmqpClient;
}

impl AmqpTest for TestApp {
    fn amqp_on(&self, name: &str) -> AmqpClient {
        let app = must(self.app_named::<AmqpApp>(name), "the AMQP framework");
        let broker = app.broker_address().cloned();
        let broker = must(broker.ok_or("it has not started"), "the broker's address");
        AmqpClient::of(broker, Some(self.recorder().clone()))
    }
}

#[track_caller]
#[allow(clippy::panic, reason = "a test ends where it fails")]
fn must<T, E: Display>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}
