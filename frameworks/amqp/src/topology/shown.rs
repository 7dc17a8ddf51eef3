//! The topology for people and for programs: `--topology`.

use std::collections::BTreeMap;

use polyport_bootstrap::{Error, Result};
use serde::Serialize;
use serde_json::Value;

use super::{Exchange, Plan, Queue, Steps, binding::Binding, plan::Declared};

/// Everything that a framework declares and consumes.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    framework: String,
    /// `declare`, `passive` or `none`.
    mode: &'static str,
    exchanges: Vec<ShownExchange>,
    queues: Vec<ShownQueue>,
    bindings: Vec<ShownBinding>,
    consumers: Vec<ShownConsumer>,
}

#[derive(Debug, Serialize)]
struct ShownExchange {
    name: String,
    kind: &'static str,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: BTreeMap<String, Value>,
    declared_by: String,
}

#[derive(Debug, Serialize)]
struct ShownQueue {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    durable: bool,
    exclusive: bool,
    auto_delete: bool,
    arguments: BTreeMap<String, Value>,
    declared_by: String,
}

#[derive(Debug, Serialize)]
struct ShownBinding {
    exchange: String,
    routing_key: String,
    /// `queue` or `exchange`.
    to: &'static str,
    name: String,
    arguments: BTreeMap<String, Value>,
}

/// A consumer, and the queues beside its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ShownConsumer {
    queue: String,
    operation: String,
    module: String,
    /// Where its messages wait for their next attempt, in order.
    retries: Vec<String>,
    /// Where they end that cannot be handled.
    dead: String,
}

impl ShownConsumer {
    pub(super) fn new(queue: &str, operation: &str, module: &str, steps: Steps) -> Self {
        Self {
            queue: queue.to_owned(),
            operation: operation.to_owned(),
            module: module.to_owned(),
            retries: steps.retries,
            dead: steps.dead,
        }
    }

    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    /// Its queue, and those where messages wait for their next attempt.
    pub(super) fn handled(&self) -> impl Iterator<Item = &str> {
        let retries = self.retries.iter().map(String::as_str);
        std::iter::once(self.queue()).chain(retries)
    }
}

impl Shown {
    /// What `framework` (as reports call it) declares by this plan.
    pub(crate) fn of(plan: &Plan, framework: String) -> Self {
        let of_exchanges = plan.exchanges().flat_map(|exchange| {
            let shown = |to| ShownBinding::of("exchange", &exchange.name, to);
            exchange.bindings.iter().map(shown)
        });
        let of_queues = plan.queues().flat_map(|queue| {
            queue.bindings.iter().map(|to| ShownBinding::of("queue", &queue.name, to))
        });
        Self {
            framework,
            mode: plan.mode.as_str(),
            exchanges: plan.exchanges.values().map(ShownExchange::of).collect(),
            queues: plan.queues.values().map(ShownQueue::of).collect(),
            bindings: of_exchanges.chain(of_queues).collect(),
            consumers: plan.consumers.clone(),
        }
    }

    /// # Errors
    /// None is known: names and arguments are always JSON.
    pub(crate) fn to_json(&self) -> Result<String> {
        let json = serde_json::to_string_pretty(self);
        let json = json.map(|json| json + "\n");
        json.map_err(|error| Error::other("the topology cannot be written").caused_by(error))
    }

    /// A table for each kind of thing.
    pub(crate) fn to_table(&self) -> String {
        let mut table = format!("{}, topology = \"{}\"\n", self.framework, self.mode);
        let head = ["EXCHANGE", "KIND", "HOW", "DECLARED BY"];
        let exchanges = self.exchanges.iter().map(ShownExchange::row);
        table += &columns(head, exchanges.collect());
        let head = ["QUEUE", "TYPE", "HOW", "DECLARED BY"];
        table += &columns(head, self.queues.iter().map(ShownQueue::row).collect());
        let head = ["FROM EXCHANGE", "ROUTING KEY", "TO", "ARGUMENTS"];
        table += &columns(head, self.bindings.iter().map(ShownBinding::row).collect());
        let head = ["CONSUMED QUEUE", "OPERATION", "MODULE", "THEN WAITS IN, AND ENDS IN"];
        table += &columns(head, self.consumers.iter().map(ShownConsumer::row).collect());
        table
    }
}

impl ShownExchange {
    fn of(declared: &Declared<Exchange>) -> Self {
        let Declared { what, origin } = declared;
        Self {
            name: what.name.clone(),
            kind: what.kind.as_str(),
            durable: what.durable,
            auto_delete: what.auto_delete,
            internal: what.internal,
            arguments: what.arguments.values().clone(),
            declared_by: origin.to_string(),
        }
    }

    fn row(&self) -> [String; 4] {
        let flags = [(self.auto_delete, "auto-delete"), (self.internal, "internal")];
        let how = how(self.durable, &flags, &self.arguments);
        [self.name.clone(), self.kind.to_owned(), how, self.declared_by.clone()]
    }
}

impl ShownQueue {
    fn of(declared: &Declared<Queue>) -> Self {
        let Declared { what, origin } = declared;
        Self {
            name: what.name.clone(),
            kind: what.kind().to_owned(),
            durable: what.durable,
            exclusive: what.exclusive,
            auto_delete: what.auto_delete,
            arguments: what.arguments.values().clone(),
            declared_by: origin.to_string(),
        }
    }

    fn row(&self) -> [String; 4] {
        let flags = [(self.exclusive, "exclusive"), (self.auto_delete, "auto-delete")];
        let mut arguments = self.arguments.clone();
        arguments.remove(super::queue::QUEUE_TYPE);
        let how = how(self.durable, &flags, &arguments);
        [self.name.clone(), self.kind.clone(), how, self.declared_by.clone()]
    }
}

impl ShownBinding {
    fn of(to: &'static str, name: &str, binding: &Binding) -> Self {
        Self {
            exchange: binding.exchange.clone(),
            routing_key: binding.routing_key.clone(),
            to,
            name: name.to_owned(),
            arguments: binding.arguments.values().clone(),
        }
    }

    fn row(&self) -> [String; 4] {
        let to = format!("{} {}", self.to, self.name);
        let routing_key = format!("\"{}\"", self.routing_key);
        [self.exchange.clone(), routing_key, to, listed(&self.arguments)]
    }
}

impl ShownConsumer {
    fn row(&self) -> [String; 4] {
        let steps: Vec<_> = self.retries.iter().chain([&self.dead]).map(String::as_str).collect();
        [self.queue.clone(), self.operation.clone(), self.module.clone(), steps.join(", ")]
    }
}

fn how(durable: bool, flags: &[(bool, &str)], arguments: &BTreeMap<String, Value>) -> String {
    let durable = [(durable, "durable"), (!durable, "transient")];
    let flags = durable.iter().chain(flags).filter(|(set, _)| *set);
    let flags: Vec<_> = flags.map(|(_, name)| *name).collect();
    let arguments = listed(arguments);
    let arguments = (!arguments.is_empty()).then_some(arguments.as_str());
    flags.into_iter().chain(arguments).collect::<Vec<_>>().join(", ")
}

fn listed(arguments: &BTreeMap<String, Value>) -> String {
    let all: Vec<_> = arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
    all.join(", ")
}

/// An empty line and the rows under their head, in columns; nothing where there are no rows.
fn columns<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = head.map(str::to_owned);
    let lines: Vec<_> = [&head].into_iter().chain(&rows).collect();
    let width = |column: usize| lines.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut table = "\n".to_owned();
    for row in lines {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        table += cells.collect::<Vec<_>>().join("  ").trim_end();
        table.push('\n');
    }
    table
}
