//! What the configuration declares: `amqp.exchanges` and `amqp.queues`.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::{Exchange, ExchangeKind, Overflow, Queue, queue};

/// What becomes of the declared exchanges, queues and bindings at each connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TopologyMode {
    /// They are declared: what is missing is made.
    #[default]
    Declare,
    /// They must be there, those beside consumed queues too; nothing is made.
    Passive,
    /// Nobody looks whether they are there.
    None,
}

impl TopologyMode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Declare => "declare",
            Self::Passive => "passive",
            Self::None => "none",
        }
    }
}

/// A section `amqp.exchanges.<name>`; names with dots stand in quotation marks.
///
/// # Examples
/// ```toml
/// [amqp.exchanges."im.events"]
/// kind = "topic"
/// alternate = "im.unrouted"
/// bindings = [{ exchange = "company", routing_key = "im.#" }]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ExchangeSettings {
    /// `direct`, `fanout`, `topic` or `headers`.
    pub kind: ExchangeKind,
    /// Whether it survives a restart of the broker; default `true`.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Whether the broker deletes it when its last binding is gone; default `false`.
    #[serde(default)]
    pub auto_delete: bool,
    /// Whether only other exchanges may publish to it; default `false`.
    #[serde(default)]
    pub internal: bool,
    /// The exchange that gets what it routes nowhere; default none.
    #[serde(default)]
    pub alternate: Option<String>,
    /// Further arguments; default none.
    #[serde(default)]
    pub arguments: BTreeMap<String, Value>,
    /// The exchanges that route to it; default none.
    #[serde(default)]
    pub bindings: Vec<BindingSettings>,
}

/// A section `amqp.queues.<name>`; names with dots stand in quotation marks.
///
/// # Examples
/// ```toml
/// [amqp.queues."im.messages"]
/// type = "quorum"
/// max_length = 100000
/// overflow = "reject-publish"
/// bindings = [{ exchange = "im", routing_key = "message.*" }]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct QueueSettings {
    /// `classic` or `quorum`; default `classic`.
    #[serde(rename = "type")]
    pub kind: QueueKind,
    /// Whether it survives a restart of the broker; default `true`.
    pub durable: bool,
    /// Whether it is kept to this process's consuming connection, and goes with it; default
    /// `false`.
    pub exclusive: bool,
    /// Whether the broker deletes it when its last consumer is gone; default `false`.
    pub auto_delete: bool,
    /// How long a message may wait; default for ever. At most 49.7 days.
    #[serde(with = "humantime_serde")]
    pub message_ttl: Option<Duration>,
    /// How many messages may wait; default any number.
    pub max_length: Option<u64>,
    /// How many bytes the bodies of waiting messages may have; default any number.
    pub max_length_bytes: Option<u64>,
    /// What becomes of further messages: `drop-head`, `reject-publish` or `reject-publish-dlx`;
    /// default as the broker has it, `drop-head`.
    pub overflow: Option<Overflow>,
    /// Where dead letters go; default nowhere.
    pub dead_letter: Option<DeadLetterSettings>,
    /// How often a quorum queue gives a message out, 20 times at least, before it is a dead letter;
    /// default as the broker has it.
    pub delivery_limit: Option<u32>,
    /// Whether one consumer at a time gets messages; default `false`. Quorum queues only.
    pub single_active_consumer: bool,
    /// The highest priority of messages; default none. Classic queues only.
    pub max_priority: Option<u8>,
    /// How long nobody may use it before the broker deletes it; default for ever. At most 49.7
    /// days.
    #[serde(with = "humantime_serde")]
    pub expires: Option<Duration>,
    /// Further arguments; default none.
    pub arguments: BTreeMap<String, Value>,
    /// The exchanges that route to it; default none.
    pub bindings: Vec<BindingSettings>,
}

/// What kind of queue it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// On one node.
    #[default]
    Classic,
    /// On several nodes of a cluster.
    Quorum,
}

/// One of the `bindings` of an exchange or a queue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BindingSettings {
    /// The exchange that routes here.
    pub exchange: String,
    /// Which messages: their routing key, or a pattern; default the empty one.
    #[serde(default)]
    pub routing_key: String,
    /// What a headers exchange compares; default nothing.
    #[serde(default)]
    pub arguments: BTreeMap<String, Value>,
}

/// The `dead_letter` of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeadLetterSettings {
    /// The exchange that dead letters go to; `""` is the default exchange.
    pub exchange: String,
    /// What they are routed by; default what each was routed by before.
    #[serde(default)]
    pub routing_key: Option<String>,
}

fn yes() -> bool {
    true
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            kind: QueueKind::default(),
            durable: true,
            exclusive: false,
            auto_delete: false,
            message_ttl: None,
            max_length: None,
            max_length_bytes: None,
            overflow: None,
            dead_letter: None,
            delivery_limit: None,
            single_active_consumer: false,
            max_priority: None,
            expires: None,
            arguments: BTreeMap::new(),
            bindings: Vec::new(),
        }
    }
}

impl ExchangeSettings {
    /// The exchange called `name` that they declare.
    pub(crate) fn exchange(&self, name: &str) -> Exchange {
        let mut exchange = Exchange::new(name, self.kind).durable(self.durable);
        exchange.auto_delete = self.auto_delete;
        exchange.internal = self.internal;
        exchange.arguments.set_all(&self.arguments);
        if let Some(alternate) = &self.alternate {
            exchange = exchange.alternate(alternate);
        }
        self.bindings.iter().fold(exchange, |exchange, binding| {
            exchange.bind_with(&binding.exchange, &binding.routing_key, binding.arguments.clone())
        })
    }
}

impl QueueSettings {
    /// The queue called `name` that they declare.
    pub(crate) fn queue(&self, name: &str) -> Queue {
        let mut queue = match self.kind {
            QueueKind::Classic => Queue::new(name),
            QueueKind::Quorum => Queue::quorum(name),
        };
        queue = queue.durable(self.durable);
        queue.exclusive = self.exclusive;
        queue.auto_delete = self.auto_delete;
        queue.arguments.set_all(&self.arguments);
        self.bindings.iter().fold(self.limits(self.typed(queue)), |queue, binding| {
            queue.bind_with(&binding.exchange, &binding.routing_key, binding.arguments.clone())
        })
    }

    fn typed(&self, mut queue: Queue) -> Queue {
        if let Some(overflow) = self.overflow {
            queue = queue.overflow(overflow);
        }
        if let Some(dead_letter) = &self.dead_letter {
            let exchange = dead_letter.exchange.as_str();
            queue = queue.argument(queue::DEAD_LETTER_EXCHANGE, exchange);
            if let Some(key) = &dead_letter.routing_key {
                queue = queue.argument(queue::DEAD_LETTER_ROUTING_KEY, key.as_str());
            }
        }
        if self.single_active_consumer { queue.single_active_consumer() } else { queue }
    }

    fn limits(&self, mut queue: Queue) -> Queue {
        let times = [("x-message-ttl", self.message_ttl), ("x-expires", self.expires)];
        for (name, time) in times {
            if let Some(time) = time {
                queue.arguments.set_time(name, time);
            }
        }
        let numbers = [
            ("x-max-length", self.max_length),
            ("x-max-length-bytes", self.max_length_bytes),
            (queue::DELIVERY_LIMIT, self.delivery_limit.map(u64::from)),
            ("x-max-priority", self.max_priority.map(u64::from)),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                queue.arguments.set(name, number);
            }
        }
        queue
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn queue(settings: Value) -> Queue {
        serde_json::from_value::<QueueSettings>(settings).expect("fits").queue("q")
    }

    #[test]
    fn an_empty_section_is_a_durable_classic_queue() {
        assert_eq!(queue(json!({})), Queue::new("q"));
        assert_eq!(QueueSettings::default().queue("q"), Queue::new("q"));
    }

    #[test]
    fn configuration_and_code_declare_the_same() {
        let configured = queue(json!({
            "type": "quorum",
            "message_ttl": "1m",
            "expires": "1h",
            "max_length": 5,
            "max_length_bytes": 1000,
            "overflow": "reject-publish",
            "dead_letter": { "exchange": "dlx", "routing_key": "q" },
            "delivery_limit": 20,
            "single_active_consumer": true,
            "arguments": { "x-quorum-initial-group-size": 3 },
            "bindings": [{ "exchange": "im", "routing_key": "a.*" }],
        }));
        let coded = Queue::quorum("q")
            .message_ttl(Duration::from_secs(60))
            .expires(Duration::from_secs(3600))
            .max_length(5)
            .max_length_bytes(1000)
            .overflow(Overflow::RejectPublish)
            .dead_letter("dlx", "q")
            .delivery_limit(20)
            .single_active_consumer()
            .argument("x-quorum-initial-group-size", 3)
            .bind("im", "a.*");
        assert_eq!(configured, coded);
    }

    #[test]
    fn an_exchange_is_declared_alike_too() {
        let settings: ExchangeSettings = serde_json::from_value(json!({
            "kind": "topic",
            "internal": true,
            "alternate": "rest",
            "bindings": [{ "exchange": "company", "routing_key": "im.#" }],
        }))
        .expect("fits");
        let coded = Exchange::topic("im").internal().alternate("rest").bind("company", "im.#");
        assert_eq!(settings.exchange("im"), coded);
    }

    #[test]
    fn an_exchange_without_a_kind_and_an_unknown_type_are_refused() {
        assert!(serde_json::from_value::<ExchangeSettings>(json!({})).is_err());
        assert!(serde_json::from_value::<QueueSettings>(json!({ "type": "stream" })).is_err());
    }

    #[test]
    fn a_typed_setting_and_an_argument_may_not_differ() {
        let queue = queue(json!({ "max_length": 5, "arguments": { "x-max-length": 6 } }));
        assert_eq!(queue.arguments.contradictions().count(), 1);
    }
}
