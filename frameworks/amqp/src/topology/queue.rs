use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{arguments::Arguments, binding::Binding, exchange::flags};

/// The argument that says what kind of queue it is.
pub(super) const QUEUE_TYPE: &str = "x-queue-type";
/// The exchange that dead letters go to.
pub(super) const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";
/// How sure it is that they get there.
pub(super) const DEAD_LETTER_STRATEGY: &str = "x-dead-letter-strategy";
/// What they are routed by.
pub(super) const DEAD_LETTER_ROUTING_KEY: &str = "x-dead-letter-routing-key";
/// How often a message is given out at most.
pub(super) const DELIVERY_LIMIT: &str = "x-delivery-limit";
/// Whether one consumer at a time gets messages.
pub(super) const SINGLE_ACTIVE_CONSUMER: &str = "x-single-active-consumer";

/// What a queue does that has as many messages as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// It drops the oldest ones, or sends them to its dead-letter exchange: RabbitMQ's default.
    DropHead,
    /// It refuses new ones: their publisher gets a negative confirmation.
    RejectPublish,
    /// It refuses new ones, and sends them to its dead-letter exchange; no quorum queue can.
    RejectPublishDlx,
}

impl Overflow {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::DropHead => "drop-head",
            Self::RejectPublish => "reject-publish",
            Self::RejectPublishDlx => "reject-publish-dlx",
        }
    }
}

/// A queue to be declared, with its bindings; durable unless said otherwise.
///
/// What it is given is checked before anything connects: what excludes each other, and what would
/// lose messages without a word, is an error of the start.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use polyport_amqp::{Overflow, Queue};
///
/// let queue = Queue::quorum("im.messages")
///     .bind("im", "message.*")
///     .max_length(100_000)
///     .overflow(Overflow::RejectPublish)
///     .message_ttl(Duration::from_secs(3600))
///     .dead_letter("", "im.expired");
/// assert_eq!(queue.name(), "im.messages");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    pub(crate) name: String,
    pub(crate) durable: bool,
    pub(crate) exclusive: bool,
    pub(crate) auto_delete: bool,
    pub(crate) arguments: Arguments,
    pub(crate) bindings: Vec<Binding>,
}

impl Queue {
    /// A durable classic queue without bindings; the default exchange routes to it by its name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments: Arguments::default(),
            bindings: Vec::new(),
        }
    }

    /// A quorum queue: kept on several nodes of a cluster, so that the loss of one loses no
    /// message (RabbitMQ, "Quorum Queues"). The queues beside it, where its messages wait for
    /// their next attempt or end, are quorum queues too.
    ///
    /// # Examples
    /// One worker among all instances, in order; should it go, another one takes over:
    /// ```
    /// use polyport_amqp::Queue;
    ///
    /// let queue = Queue::quorum("billing.close-month").single_active_consumer();
    /// assert_eq!(queue.name(), "billing.close-month");
    /// ```
    pub fn quorum(name: impl Into<String>) -> Self {
        Self::new(name).argument(QUEUE_TYPE, "quorum")
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it survives a restart of the broker; it does by default.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Keeps it to this process's consuming connection: nobody else can use it, and it is deleted
    /// with its messages when the connection ends. It is declared in every mode of
    /// `amqp.topology`, since nobody else could.
    #[must_use]
    pub fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }

    /// Lets the broker delete it when its last consumer is gone.
    #[must_use]
    pub fn auto_delete(mut self) -> Self {
        self.auto_delete = true;
        self
    }

    /// How long a message may wait (`x-message-ttl`, whole milliseconds, 49.7 days at most). After
    /// that it is a dead letter.
    #[must_use]
    pub fn message_ttl(mut self, time: Duration) -> Self {
        self.arguments.set_time("x-message-ttl", time);
        self
    }

    /// How many messages may wait (`x-max-length`); [`overflow`](Self::overflow) says what becomes
    /// of one more.
    #[must_use]
    pub fn max_length(self, messages: u64) -> Self {
        self.argument("x-max-length", messages)
    }

    /// How many bytes the bodies of waiting messages may have (`x-max-length-bytes`).
    #[must_use]
    pub fn max_length_bytes(self, bytes: u64) -> Self {
        self.argument("x-max-length-bytes", bytes)
    }

    /// What becomes of messages beyond its length (`x-overflow`).
    #[must_use]
    pub fn overflow(self, overflow: Overflow) -> Self {
        self.argument("x-overflow", overflow.as_str())
    }

    /// Sends dead letters (messages that have expired, that were refused, or that were too many)
    /// to this exchange with this routing key; `""` is the default exchange, whose routing keys are
    /// names of queues. With `argument("x-dead-letter-exchange", …)` alone they keep their own
    /// routing key.
    #[must_use]
    pub fn dead_letter(self, exchange: impl Into<String>, routing_key: impl Into<String>) -> Self {
        self.argument(DEAD_LETTER_EXCHANGE, exchange.into())
            .argument(DEAD_LETTER_ROUTING_KEY, routing_key.into())
    }

    /// How often a quorum queue gives a message out before it is a dead letter
    /// (`x-delivery-limit`). Lost connections count too, so it is 20 at least, and goes with a
    /// [`dead_letter`](Self::dead_letter) exchange, without which messages would be dropped. The
    /// attempts of `amqp.retry` are not counted by it.
    #[must_use]
    pub fn delivery_limit(self, deliveries: u32) -> Self {
        self.argument(DELIVERY_LIMIT, deliveries)
    }

    /// Gives messages to one consumer at a time, among all instances; quorum queues only
    /// (`x-single-active-consumer`).
    #[must_use]
    pub fn single_active_consumer(self) -> Self {
        self.argument(SINGLE_ACTIVE_CONSUMER, true)
    }

    /// Has messages of a higher priority, up to this one, go first; classic queues only
    /// (`x-max-priority`).
    #[must_use]
    pub fn max_priority(self, priority: u8) -> Self {
        self.argument("x-max-priority", priority)
    }

    /// Lets the broker delete it when nobody has used it for so long (`x-expires`, whole
    /// milliseconds, 49.7 days at most).
    #[must_use]
    pub fn expires(mut self, time: Duration) -> Self {
        self.arguments.set_time("x-expires", time);
        self
    }

    /// Adds an argument that has no method of its own here. One that is set to two different
    /// values is an error of the start.
    #[must_use]
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.arguments.set(name, value);
        self
    }

    /// Has `exchange` route messages with this routing key, or pattern, here.
    #[must_use]
    pub fn bind(self, exchange: impl Into<String>, routing_key: impl Into<String>) -> Self {
        self.bind_with(exchange, routing_key, std::iter::empty::<(String, Value)>())
    }

    /// As [`bind`](Self::bind), with arguments: what a headers exchange compares (`x-match` and
    /// the headers).
    #[must_use]
    pub fn bind_with<N: Into<String>, V: Into<Value>>(
        mut self,
        exchange: impl Into<String>,
        routing_key: impl Into<String>,
        arguments: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.bindings.push(Binding {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            arguments: arguments.into_iter().collect(),
        });
        self
    }

    /// Whether only one consumer at a time gets what is in it.
    pub(crate) fn is_single_active(&self) -> bool {
        self.is_quorum() && self.arguments.is_true(SINGLE_ACTIVE_CONSUMER)
    }

    pub(crate) fn is_quorum(&self) -> bool {
        self.kind() == "quorum"
    }

    /// What kind of queue it is: `classic` unless it says otherwise.
    pub(crate) fn kind(&self) -> &str {
        self.arguments.text(QUEUE_TYPE).unwrap_or("classic")
    }

    /// Whether both declare the same queue, whatever their bindings.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let arguments = |queue: &Self| {
            let mut values = queue.arguments.values().clone();
            values.insert(QUEUE_TYPE.to_owned(), queue.kind().into());
            values
        };
        (self.durable, self.exclusive, self.auto_delete)
            == (other.durable, other.exclusive, other.auto_delete)
            && arguments(self) == arguments(other)
    }
}

/// The declaration in one line, for reports.
impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue \"{}\"", self.name)?;
        let others = [(self.exclusive, "exclusive"), (self.auto_delete, "auto-delete")];
        flags(f, self.durable, &others)?;
        self.arguments.fmt(f)
    }
}
