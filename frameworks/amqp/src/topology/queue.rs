use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::exchange::{arguments, flags};

/// A queue to be declared, with its bindings; durable unless said otherwise.
///
/// # Examples
/// ```
/// use polyport_amqp::Queue;
///
/// let queue = Queue::new("im.messages").bind("im", "message.*").argument("x-queue-type", "quorum");
/// assert_eq!(queue.name(), "im.messages");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    pub(crate) name: String,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) arguments: BTreeMap<String, Value>,
    pub(crate) bindings: Vec<Binding>,
}

/// What an exchange routes to a queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binding {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) arguments: BTreeMap<String, Value>,
}

impl Queue {
    /// A durable queue without bindings; the default exchange routes to it by its name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            durable: true,
            auto_delete: false,
            arguments: BTreeMap::new(),
            bindings: Vec::new(),
        }
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

    /// Lets the broker delete it when its last consumer is gone.
    #[must_use]
    pub fn auto_delete(mut self) -> Self {
        self.auto_delete = true;
        self
    }

    /// Adds an argument, such as `x-queue-type` or `x-max-length`.
    #[must_use]
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.arguments.insert(name.into(), value.into());
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
        let arguments =
            arguments.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.bindings.push(Binding {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            arguments,
        });
        self
    }

    /// Whether both declare the same queue, whatever their bindings.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        (self.durable, self.auto_delete, &self.arguments)
            == (other.durable, other.auto_delete, &other.arguments)
    }
}

/// The declaration in one line, for reports.
impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue \"{}\"", self.name)?;
        flags(f, self.durable, &[(self.auto_delete, "auto-delete")])?;
        arguments(f, &self.arguments)
    }
}
