//! The handle that application code injects.

use std::{
    fmt,
    future::Future,
    sync::{Arc, OnceLock, atomic::Ordering},
};

use polyport_bootstrap::{AppCore, AppHandle, Application, Error, Fault, Result, framework::Mark};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::{
    broker::Broker,
    monitor::Monitor,
    publisher::{Message, Order, OutboxState, PublishError, Publisher},
    redrive::redrive,
    request::{Reply, ReplyItems, Requester},
    settings::AmqpSettings,
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
    requester: Requester,
    monitor: Arc<Monitor>,
    broker: OnceLock<Broker>,
    embedded: bool,
    /// Where the settings stand, for reports.
    section: String,
    settings: AmqpSettings,
    /// What a test is told of that was not handled in the end.
    left: OnceLock<Vec<Mark>>,
}

impl AmqpApp {
    pub(crate) fn new(
        core: AppCore,
        publisher: Publisher,
        requester: Requester,
        monitor: Arc<Monitor>,
        embedded: bool,
        section: &str,
        settings: AmqpSettings,
    ) -> Self {
        Self(Arc::new(Inner {
            core,
            publisher,
            requester,
            monitor,
            broker: OnceLock::new(),
            embedded,
            section: section.to_owned(),
            settings,
            left: OnceLock::new(),
        }))
    }

    /// Publishes `value` as JSON: persistent, with a new message id. Ready when the broker has
    /// confirmed, and so answers for the message from then on.
    ///
    /// While the connection is down it waits, up to `amqp.publish.timeout`. A message whose
    /// connection is lost before its confirmation is sent again, with the same id. All this is the
    /// mode [`Confirmed`](crate::PublishMode::Confirmed), which the setting `amqp.publish.mode` or
    /// the message can change.
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
        self.publish_order(self.0.publisher.order(message))
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
        self.publish_order(self.0.publisher.order(Ok(message.in_current_call())))
    }

    fn publish_order(
        &self,
        order: Order,
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
        let app = Arc::clone(&self.0);
        async move { app.publisher.publish_order(order).await }
    }

    /// Sends `input` as JSON to a queue and waits for the reply, over RabbitMQ's direct reply-to: any
    /// operation that is consumed from that queue answers, and so does every client that replies to
    /// `reply_to` with the request's `correlation_id`. The value is taken out of whichever envelope
    /// ([`EnvelopeStyle`](polyport_bootstrap::wire::EnvelopeStyle)) it comes in.
    ///
    /// It waits for `amqp.request_timeout`, and no longer than the current call is waited for; the
    /// request says so (as its expiration and in `x-request-timeout-ms`), and whoever handles it
    /// stops then too. It carries what [`publish`](Self::publish) adds.
    ///
    /// # Cancel safety
    /// Where the future is dropped, the request may or may not be handled, and its reply is dropped.
    ///
    /// # Errors
    /// Returns the fault that came as the reply, or
    /// - `NO_SUCH_QUEUE` (unavailable): no queue takes the request.
    /// - `BROKER_UNAVAILABLE` (unavailable): the request was not sent in time.
    /// - `REPLY_LOST` (unavailable): the connection was lost; whether the request was handled is
    ///   unknown.
    /// - `NO_REPLY` (deadline exceeded): no reply came in time.
    ///
    /// # Examples
    /// ```
    /// use polyport_amqp::AmqpApp;
    /// use polyport_bootstrap::{Fault, operation::App};
    /// use serde_json::{Value, json};
    ///
    /// async fn profile(App(amqp): App<AmqpApp>) -> Result<Value, Fault> {
    ///     amqp.request("users.get", &json!({ "userId": "tom" })).await
    /// }
    /// ```
    pub fn request<I: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        queue: &str,
        input: &I,
    ) -> impl Future<Output = Result<T, Fault>> + Send + use<I, T> {
        let message = Message::json("", queue, input);
        let requested = message.map(|message| self.request_message(message));
        async move { requested?.await?.json() }
    }

    /// As [`request`](Self::request), with everything that a message can carry; its
    /// [`expiration`](Message::expiration) is how long the reply is waited for, in place of the
    /// setting. It is never persistent, and its correlation id and `reply_to` are set.
    ///
    /// # Cancel safety
    /// As [`request`](Self::request).
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn request_message(
        &self,
        message: Message,
    ) -> impl Future<Output = Result<Reply, Fault>> + Send + use<> {
        let (message, requester) = (message.in_current_call(), self.0.requester.clone());
        async move { requester.request(message).await }
    }

    /// As [`request_message`](Self::request_message), to an operation that answers with several
    /// items. All of them have to come within the time.
    ///
    /// # Errors
    /// Returns why the request was not sent.
    ///
    /// # Examples
    /// ```
    /// use polyport_amqp::{AmqpApp, Message};
    /// use polyport_bootstrap::{Fault, operation::App};
    ///
    /// async fn sum(App(amqp): App<AmqpApp>) -> Result<u64, Fault> {
    ///     let mut numbers = amqp.request_items(Message::new("", "numbers", "10")).await?;
    ///     let mut sum = 0;
    ///     while let Some(number) = numbers.next_json::<u64>().await {
    ///         sum += number?;
    ///     }
    ///     Ok(sum)
    /// }
    /// ```
    pub fn request_items(
        &self,
        message: Message,
    ) -> impl Future<Output = Result<ReplyItems, Fault>> + Send + use<> {
        let (message, requester) = (message.in_current_call(), self.0.requester.clone());
        async move { requester.request_items(message).await }
    }

    /// How full the outbox is, and what became of messages that nobody waited for.
    #[must_use]
    pub fn outbox(&self) -> OutboxState {
        self.0.publisher.state()
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
        let redriven = redrive(broker, &self.0.settings, &self.0.section, queue);
        broker.pace().around(redriven).await
    }

    /// Whether the broker is the in-memory one inside this process.
    #[must_use]
    pub fn embedded(&self) -> bool {
        self.0.embedded
    }

    pub(crate) fn set_broker(&self, broker: Broker) {
        let _ = self.0.broker.set(broker);
    }

    /// Handles are there until the test has looked at what is left.
    pub(crate) fn keep(&self, left: Vec<Mark>) {
        let _ = self.0.left.set(left);
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

    /// The broker's URL, without the password; none where it is in this process and has no port.
    fn url(&self) -> Option<String> {
        self.0.broker.get().filter(|broker| broker.has_address()).map(Broker::to_string)
    }
}

impl AppHandle for AmqpApp {
    const KIND: &'static str = "amqp";
}
