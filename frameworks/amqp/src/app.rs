//! The handle that application code injects.

use std::{
    fmt,
    future::Future,
    sync::{Arc, OnceLock, atomic::Ordering},
};

use polyport_bootstrap::{AppCore, AppHandle, Application, Error, Result};
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    broker::Broker,
    monitor::{AmqpState, Monitor},
    publisher::{Message, PublishError, Publisher},
    redrive::redrive,
    settings::AmqpSettings,
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
    settings: AmqpSettings,
}

impl AmqpApp {
    pub(crate) fn new(
        core: AppCore,
        publisher: Publisher,
        monitor: Arc<Monitor>,
        embedded: bool,
        settings: AmqpSettings,
    ) -> Self {
        let broker = OnceLock::new();
        Self(Arc::new(Inner { core, publisher, monitor, broker, embedded, settings }))
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

    /// How many messages were dropped since the start because their operation failed and nobody keeps
    /// them: of consumers that acknowledge before ([`AckPolicy::Before`](crate::AckPolicy::Before)),
    /// and of those that are [for each instance](crate::Consumer::each_instance).
    #[must_use]
    pub fn dropped_messages(&self) -> u64 {
        self.0.monitor.dropped.load(Ordering::Relaxed)
    }

    /// Brings parked messages back: moves what is in `<queue>.dead` now into `queue`, over a
    /// connection of its own, and says how many these were. Attempts are counted anew; their history
    /// ([`Delivery::attempts`](crate::Delivery::attempts)) and the exchange and routing key by which
    /// a message came first are kept.
    ///
    /// Each message is published, confirmed and only then taken out of `<queue>.dead`: where that is
    /// interrupted, one may be in both.
    ///
    /// # Cancel safety
    /// Where the future is dropped, some messages are moved, and none is lost.
    ///
    /// # Errors
    /// Returns why not all were moved, and how many were: the broker cannot be reached, or one of the
    /// two queues is missing.
    pub async fn redrive(&self, queue: &str) -> Result<u64> {
        let broker = self.0.broker.get().ok_or_else(|| {
            Error::connection("the AMQP framework has not connected yet")
                .advise("redrive when the process serves: in an operation, say")
        })?;
        redrive(broker, &self.0.settings, queue).await
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
