//! The handle that application code injects.

use std::{
    fmt,
    future::Future,
    sync::{Arc, OnceLock},
};

use polyport_bootstrap::{AppCore, AppHandle, Application};
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    broker::Broker,
    monitor::Monitor,
    publisher::{Message, PublishError, Publisher},
    state::AmqpState,
};

/// The handle of an AMQP framework: publishes, and tells how the connection does. A cheap handle;
/// it holds the container weakly.
///
/// # Examples
/// ```
/// use polyport_amqp::AmqpApp;
/// use polyport_bootstrap::{Fault, operation::App};
///
/// async fn greet(App(amqp): App<AmqpApp>) -> Result<(), Fault> {
///     amqp.publish("im", "message.lobby", &serde_json::json!({ "text": "hello" })).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct AmqpApp(Arc<Inner>);

struct Inner {
    core: AppCore,
    publisher: Publisher,
    monitor: Arc<Monitor>,
    broker: OnceLock<Broker>,
    embedded: bool,
}

impl AmqpApp {
    pub(crate) fn new(
        core: AppCore,
        publisher: Publisher,
        monitor: Arc<Monitor>,
        embedded: bool,
    ) -> Self {
        Self(Arc::new(Inner { core, publisher, monitor, broker: OnceLock::new(), embedded }))
    }

    /// Publishes `value` as JSON: persistent, with a new message id. Ready when the broker has
    /// confirmed, and so answers for the message from then on.
    ///
    /// While the connection is down it waits, up to `publish_timeout`. A message whose connection
    /// is lost before its confirmation is sent again, with the same id.
    ///
    /// In a call ([`Context::current`](polyport_bootstrap::Context::current)) the message carries
    /// the call's request id, trace and baggage; one with `reply_to` also how long the call still
    /// waits (`x-request-timeout-ms`). What a message says of these itself stands.
    ///
    /// # Cancel safety
    /// Where the future is dropped, the message may or may not be published.
    ///
    /// # Errors
    /// Returns why the message was not published, or may not have been.
    pub fn publish<T: Serialize + ?Sized>(
        &self,
        exchange: &str,
        routing_key: &str,
        value: &T,
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<T> {
        let message = Message::json(exchange, routing_key, value).map(Message::in_current_call);
        let publisher = self.0.publisher.clone();
        async move { publisher.publish(message?.into_outgoing()?).await }
    }

    /// As [`publish`](Self::publish), with everything that a message can carry.
    ///
    /// # Cancel safety
    /// As [`publish`](Self::publish).
    ///
    /// # Errors
    /// Returns why the message was not published, or may not have been.
    pub fn publish_message(
        &self,
        message: Message,
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
        let (message, publisher) = (message.in_current_call(), self.0.publisher.clone());
        async move { publisher.publish(message.into_outgoing()?).await }
    }

    /// Whether the broker is connected, since when, and why not.
    #[must_use]
    pub fn state(&self) -> AmqpState {
        self.0.monitor.state().borrow().clone()
    }

    /// The same, to wait for changes.
    #[must_use]
    pub fn state_changes(&self) -> watch::Receiver<AmqpState> {
        self.0.monitor.state()
    }

    /// Whether the broker is the in-memory one inside this process.
    #[must_use]
    pub fn embedded(&self) -> bool {
        self.0.embedded
    }

    pub(crate) fn set_broker(&self, broker: Broker) {
        let _ = self.0.broker.set(broker);
    }

    #[cfg(feature = "testing")]
    pub(crate) fn broker_address(&self) -> Option<&Broker> {
        self.0.broker.get()
    }
}

impl fmt::Debug for AmqpApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpApp")
            .field("name", &self.name())
            .field("broker", &self.url())
            .finish_non_exhaustive()
    }
}

impl Application for AmqpApp {
    fn core(&self) -> &AppCore {
        &self.0.core
    }

    /// The broker's URL, without the password.
    fn url(&self) -> Option<String> {
        self.0.broker.get().map(Broker::to_string)
    }
}

impl AppHandle for AmqpApp {
    const KIND: &'static str = "amqp";
}
