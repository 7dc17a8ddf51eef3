use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{arguments::Arguments, binding::Binding};

/// The argument that names where an exchange sends what it routes nowhere.
pub(super) const ALTERNATE: &str = "alternate-exchange";

/// How an exchange routes (AMQP 0-9-1, section 3.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeKind {
    /// To the queues that are bound with exactly the message's routing key.
    Direct,
    /// To every queue that is bound.
    Fanout,
    /// To the queues whose pattern fits: words divided by dots, `*` is one, `#` any number.
    Topic,
    /// To the queues whose binding's arguments fit the message's headers.
    Headers,
}

impl ExchangeKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }

    pub(crate) const fn lapin(self) -> lapin::ExchangeKind {
        match self {
            Self::Direct => lapin::ExchangeKind::Direct,
            Self::Fanout => lapin::ExchangeKind::Fanout,
            Self::Topic => lapin::ExchangeKind::Topic,
            Self::Headers => lapin::ExchangeKind::Headers,
        }
    }
}

/// An exchange to be declared; durable unless said otherwise.
///
/// # Examples
/// ```
/// use polyport_amqp::Exchange;
///
/// let exchange = Exchange::topic("im").bind("company", "im.#").alternate("im.unrouted");
/// assert_eq!(exchange.name(), "im");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub(crate) name: String,
    pub(crate) kind: ExchangeKind,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    pub(crate) arguments: Arguments,
    /// Where its messages come from, besides whoever publishes to it.
    pub(crate) bindings: Vec<Binding>,
}

impl Exchange {
    /// An exchange of `kind`.
    pub fn new(name: impl Into<String>, kind: ExchangeKind) -> Self {
        Self {
            name: name.into(),
            kind,
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: Arguments::default(),
            bindings: Vec::new(),
        }
    }

    /// An exchange that routes by the exact routing key.
    pub fn direct(name: impl Into<String>) -> Self {
        Self::new(name, ExchangeKind::Direct)
    }

    /// An exchange that routes to every queue bound to it.
    pub fn fanout(name: impl Into<String>) -> Self {
        Self::new(name, ExchangeKind::Fanout)
    }

    /// An exchange that routes by patterns of the routing key.
    pub fn topic(name: impl Into<String>) -> Self {
        Self::new(name, ExchangeKind::Topic)
    }

    /// An exchange that routes by headers.
    pub fn headers(name: impl Into<String>) -> Self {
        Self::new(name, ExchangeKind::Headers)
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

    /// Lets the broker delete it when the last binding is gone.
    #[must_use]
    pub fn auto_delete(mut self) -> Self {
        self.auto_delete = true;
        self
    }

    /// Lets only other exchanges publish to it (a RabbitMQ extension).
    #[must_use]
    pub fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    /// Sends what it routes nowhere to this exchange instead (`alternate-exchange`, a RabbitMQ
    /// extension); a message that is routed there is not unroutable.
    #[must_use]
    pub fn alternate(self, exchange: impl Into<String>) -> Self {
        self.argument(ALTERNATE, exchange.into())
    }

    /// Adds an argument that has no method of its own here. One that is set to two different
    /// values is an error of the start.
    #[must_use]
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.arguments.set(name, value);
        self
    }

    /// Has another exchange, `source`, route messages with this routing key, or pattern, here (a
    /// RabbitMQ extension).
    #[must_use]
    pub fn bind(self, source: impl Into<String>, routing_key: impl Into<String>) -> Self {
        self.bind_with(source, routing_key, std::iter::empty::<(String, Value)>())
    }

    /// As [`bind`](Self::bind), with arguments: what a headers exchange compares (`x-match` and
    /// the headers).
    #[must_use]
    pub fn bind_with<N: Into<String>, V: Into<Value>>(
        mut self,
        source: impl Into<String>,
        routing_key: impl Into<String>,
        arguments: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.bindings.push(Binding {
            exchange: source.into(),
            routing_key: routing_key.into(),
            arguments: arguments.into_iter().collect(),
        });
        self
    }

    /// Whether both declare the same exchange, whatever their bindings.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        (self.kind, self.durable, self.auto_delete, self.internal)
            == (other.kind, other.durable, other.auto_delete, other.internal)
            && self.arguments.values() == other.arguments.values()
    }
}

/// The declaration in one line, for reports.
impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} exchange \"{}\"", self.kind.as_str(), self.name)?;
        flags(f, self.durable, &[(self.auto_delete, "auto-delete"), (self.internal, "internal")])?;
        self.arguments.fmt(f)
    }
}

pub(super) fn flags(
    f: &mut fmt::Formatter<'_>,
    durable: bool,
    others: &[(bool, &str)],
) -> fmt::Result {
    f.write_str(if durable { ", durable" } else { ", transient" })?;
    others.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| write!(f, ", {name}"))
}
