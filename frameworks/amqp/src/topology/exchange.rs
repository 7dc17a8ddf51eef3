use std::{collections::BTreeMap, fmt};

use serde_json::Value;

/// How an exchange routes (AMQP 0-9-1, section 3.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
/// let exchange = Exchange::topic("im").argument("alternate-exchange", "im.unrouted");
/// assert_eq!(exchange.name(), "im");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    pub(crate) name: String,
    pub(crate) kind: ExchangeKind,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    pub(crate) arguments: BTreeMap<String, Value>,
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
            arguments: BTreeMap::new(),
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

    /// Adds an argument, such as `alternate-exchange`.
    #[must_use]
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }
}

/// The declaration in one line, for reports.
impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} exchange \"{}\"", self.kind.as_str(), self.name)?;
        flags(f, self.durable, &[(self.auto_delete, "auto-delete"), (self.internal, "internal")])?;
        arguments(f, &self.arguments)
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

pub(super) fn arguments(
    f: &mut fmt::Formatter<'_>,
    arguments: &BTreeMap<String, Value>,
) -> fmt::Result {
    arguments.iter().try_for_each(|(name, value)| write!(f, ", {name}={value}"))
}
