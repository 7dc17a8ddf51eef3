//! What is said of a consumer where it is registered.

use std::time::Duration;

use super::order::OrderKey;
use crate::{settings::ConsumerSettings, topology::MAX_NAME};

/// When a message that was taken is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AckPolicy {
    /// When the operation has ended: handled at least once. The default.
    #[default]
    AfterSuccess,
    /// Before the operation begins, which waits until the broker has read that (a round trip for each
    /// message): handled at most once. A message whose operation fails, or that
    /// is cut off by the end of the process, is lost; that is logged and counted
    /// ([`AmqpApp::dropped_messages`](crate::AmqpApp::dropped_messages)).
    Before,
    /// When the operation says so, by the [`Settlement`](crate::Settlement) that it takes: in its
    /// call or later.
    Manual,
}

/// A queue, and how its messages are handled; a name alone is one with every default.
///
/// What the section `amqp.consumers."<queue>"` of the configuration says comes before what is said
/// here, and what neither says is that of the section `amqp`.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use polyport_amqp::{AmqpModule, Consumer, OrderKey};
/// use polyport_bootstrap::{Fault, ModuleBuilder};
///
/// async fn place_order() -> Result<(), Fault> {
///     Ok(())
/// }
///
/// async fn reload() -> Result<(), Fault> {
///     Ok(())
/// }
///
/// fn configure(m: &mut ModuleBuilder<'_>) {
///     let orders = Consumer::new("orders")
///         .concurrency(8)
///         .timeout(Duration::from_secs(5))
///         .retry([1, 10, 60].map(Duration::from_secs))
///         .in_order_of(OrderKey::header("tenant"));
///     let changes = Consumer::each_instance("config").bind("config.*");
///     m.amqp(|q| q.consume(orders, place_order).consume(changes, reload));
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a consumer is registered with an operation: `q.consume(consumer, operation)`"]
pub struct Consumer {
    name: String,
    each_instance: bool,
    bindings: Vec<String>,
    pub(crate) concurrency: Option<u16>,
    pub(crate) prefetch: Option<u16>,
    pub(crate) timeout: Option<Duration>,
    delays: Option<Vec<Duration>>,
    pub(crate) order: Option<OrderKey>,
    pub(crate) ack: AckPolicy,
    one_instance: bool,
}

impl Consumer {
    /// A consumer of the queue of this name.
    pub fn new(queue: impl Into<String>) -> Self {
        Self {
            name: queue.into(),
            each_instance: false,
            bindings: Vec::new(),
            concurrency: None,
            prefetch: None,
            timeout: None,
            delays: None,
            order: None,
            ack: AckPolicy::default(),
            one_instance: false,
        }
    }

    /// A consumer that gets a copy of each message of `exchange` in every instance of the
    /// application: by a queue that the broker names, which only this process consumes from and
    /// which is gone with its connection. What is published while an instance is not connected, it
    /// does not get.
    ///
    /// Without [`bind`](Self::bind) it is bound with an empty routing key, as a fanout exchange
    /// takes it. There are no queues beside it: what would come again after a delay is held for that
    /// long and handled again, and what fails for good is dropped; that is logged and counted
    /// ([`AmqpApp::dropped_messages`](crate::AmqpApp::dropped_messages)).
    pub fn each_instance(exchange: impl Into<String>) -> Self {
        Self { each_instance: true, ..Self::new(exchange) }
    }

    /// Has the exchange of [`each_instance`](Self::each_instance) route messages with this routing
    /// key, or pattern, here. The start fails where it is a consumer of a queue, whose bindings stand
    /// with its declaration ([`Queue::bind`](crate::Queue::bind)).
    pub fn bind(mut self, routing_key: impl Into<String>) -> Self {
        self.bindings.push(routing_key.into());
        self
    }

    /// How many messages are handled at once; default `amqp.concurrency`.
    pub fn concurrency(mut self, messages: u16) -> Self {
        self.concurrency = Some(messages);
        self
    }

    /// How many messages the broker sends ahead; default `amqp.prefetch`.
    pub fn prefetch(mut self, messages: u16) -> Self {
        self.prefetch = Some(messages);
        self
    }

    /// How long the operation may take; default `amqp.timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long a message waits before its second, third … attempt; after the last it is parked.
    /// Default `amqp.retry.delays`; none at all parks it at once.
    pub fn retry(mut self, delays: impl IntoIterator<Item = Duration>) -> Self {
        self.delays = Some(delays.into_iter().collect());
        self
    }

    /// Handles messages of one key one after the other, in the order of the queue, and those of
    /// different keys at once. No slot is held by a message that waits for its key.
    ///
    /// A message that is retried after a delay loses its place. Several instances each keep the order
    /// of what they get: combine it with [`one_instance`](Self::one_instance) where that matters.
    pub fn in_order_of(mut self, key: OrderKey) -> Self {
        self.order = Some(key);
        self
    }

    /// When messages are acknowledged; default [`AckPolicy::AfterSuccess`].
    pub fn ack(mut self, policy: AckPolicy) -> Self {
        self.ack = policy;
        self
    }

    /// Lets one instance of the application consume at a time, and another take over when that is
    /// gone: a quorum queue with `x-single-active-consumer` (RabbitMQ). A queue that no module
    /// declares is declared so; one that is declared otherwise fails the start.
    ///
    /// It routes work, it is no lock: while the work moves on, what the instance before has taken may
    /// still be handled there.
    pub fn one_instance(mut self) -> Self {
        self.one_instance = true;
        self
    }

    /// The queue, or the exchange of which each instance gets every message.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The queue, where it has a name of its own.
    pub(crate) fn queue(&self) -> Option<&str> {
        (!self.each_instance).then_some(&self.name)
    }

    /// The routing keys of the queue that each instance has for itself.
    pub(crate) fn own_bindings(&self) -> Vec<String> {
        if self.bindings.is_empty() { vec![String::new()] } else { self.bindings.clone() }
    }

    /// Whether it is bound as only the queue of an instance can be.
    pub(crate) fn is_misbound(&self) -> bool {
        !self.each_instance && !self.bindings.is_empty()
    }

    /// Whether AMQP can carry the names by which the queue of an instance is bound.
    pub(crate) fn is_bindable(&self) -> bool {
        let fits = |name: &String| name.len() <= MAX_NAME;
        !self.name.is_empty() && fits(&self.name) && self.bindings.iter().all(fits)
    }

    pub(crate) fn is_for_one_instance(&self) -> bool {
        self.one_instance
    }

    /// The delays between attempts, or those of all consumers.
    pub(crate) fn delays<'a>(&'a self, of_all: &'a [Duration]) -> &'a [Duration] {
        self.delays.as_deref().unwrap_or(of_all)
    }

    /// Lets the configuration come first.
    pub(crate) fn configure(&mut self, settings: &ConsumerSettings) {
        self.concurrency = settings.concurrency.or(self.concurrency);
        self.prefetch = settings.prefetch.or(self.prefetch);
        self.timeout = settings.timeout.or(self.timeout);
        self.one_instance = settings.one_instance.unwrap_or(self.one_instance);
        if let Some(retry) = &settings.retry {
            self.delays = Some(retry.delays.clone());
        }
    }
}

impl From<&str> for Consumer {
    fn from(queue: &str) -> Self {
        Self::new(queue)
    }
}

impl From<&String> for Consumer {
    fn from(queue: &String) -> Self {
        Self::new(queue)
    }
}

impl From<String> for Consumer {
    fn from(queue: String) -> Self {
        Self::new(queue)
    }
}
