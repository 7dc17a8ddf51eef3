use std::{collections::BTreeMap, fmt};

use polyport_bootstrap::{Error, Registered};

use super::{
    Exchange, Queue, Steps, TopologyMode, binding, checks, exchange::ALTERNATE,
    queue::DEAD_LETTER_EXCHANGE, shown::ShownConsumer,
};
use crate::{consumer::Consumer, routes::AmqpRoutes, settings::AmqpSettings};

/// Everything that is declared on every connection, without contradictions.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(super) mode: TopologyMode,
    pub(super) exchanges: BTreeMap<String, Declared<Exchange>>,
    pub(super) queues: BTreeMap<String, Declared<Queue>>,
    pub(super) consumers: Vec<ShownConsumer>,
}

/// A declaration and where it comes from.
#[derive(Debug)]
pub(super) struct Declared<T> {
    pub(super) what: T,
    pub(super) origin: Origin,
}

/// Where a declaration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Module(String),
    /// A key of the configuration.
    Key(String),
    /// What consumers need and nobody else declares.
    Consumer(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(name) => write!(f, "module {name}"),
            Self::Key(key) => write!(f, "configuration {key}"),
            Self::Consumer(module) => write!(f, "polyport, for a consumer of module {module}"),
        }
    }
}

impl Plan {
    /// Unites what all modules and the configuration (its section is `section`) declare, and adds
    /// the queues that consumers need.
    pub(crate) fn of(
        registered: &[Registered<AmqpRoutes>],
        settings: &AmqpSettings,
        section: &str,
    ) -> (Self, Vec<Error>) {
        let mut plan = Self { mode: settings.topology, ..Self::default() };
        let mut errors = Vec::new();
        for Registered { module, routes } in registered {
            let origin = Origin::Module(module.to_string());
            for exchange in &routes.exchanges {
                errors.extend(plan.add_exchange(exchange.clone(), &origin));
            }
            for queue in &routes.queues {
                errors.extend(plan.add_queue(queue.clone(), &origin));
            }
        }
        errors.extend(plan.add_configured(settings, section));
        for Registered { module, routes } in registered {
            for consumed in &routes.consumers {
                let (consumer, delays) = (&consumed.consumer, &settings.retry.delays);
                let steps = Steps::of(consumer.name(), consumer.delays(delays));
                for operation in consumed.dispatch.operations() {
                    let (name, steps) = (operation.info().name(), steps.clone());
                    plan.consumers.push(ShownConsumer::new(consumer.name(), name, module, steps));
                }
                errors.extend(plan.add_consumed(consumer, settings, module));
            }
        }
        errors.extend(plan.unused_exclusive());
        (plan, errors)
    }

    /// Whether only one consumer at a time gets what is in this queue.
    pub(crate) fn is_single_active(&self, queue: &str) -> bool {
        self.queues.get(queue).is_some_and(|queue| queue.what.is_single_active())
    }

    /// Whether this queue belongs to the connection that consumes from it.
    pub(crate) fn is_exclusive(&self, queue: &str) -> bool {
        self.queues.get(queue).is_some_and(|queue| queue.what.exclusive)
    }

    /// The consumed quorum queues of which the broker drops what it has given out too often.
    pub(crate) fn forgetful(&self) -> impl Iterator<Item = &str> {
        let declared = self.consumed().filter_map(|name| self.queues.get(name));
        let queues = declared.map(|declared| &declared.what).filter(|queue| queue.is_quorum());
        let keeps = |queue: &&Queue| queue.arguments.get(DEAD_LETTER_EXCHANGE).is_some();
        queues.filter(move |queue| !keeps(queue)).map(Queue::name)
    }

    /// Whether there is nothing to ask the broker for.
    pub(crate) fn is_empty(&self) -> bool {
        self.mode == TopologyMode::None || (self.exchanges.is_empty() && self.queues.is_empty())
    }

    pub(crate) fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.values().map(|declared| &declared.what)
    }

    pub(crate) fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values().map(|declared| &declared.what)
    }

    /// The queues that are consumed from.
    pub(crate) fn consumed(&self) -> impl Iterator<Item = &str> {
        self.consumers.iter().map(ShownConsumer::queue)
    }

    /// The queues whose messages are handled: these, and where they wait for their next attempt.
    pub(crate) fn handled(&self) -> impl Iterator<Item = &str> {
        self.consumers.iter().flat_map(ShownConsumer::handled)
    }

    /// Exchanges that are named and that nobody declares: they may be on the broker.
    pub(crate) fn strangers(&self) -> Vec<String> {
        let of_exchanges = self.exchanges().flat_map(|exchange| {
            let alternate = exchange.arguments.text(ALTERNATE);
            let alternate = alternate.map(|name| (name, "is the alternate of"));
            let bound = exchange.bindings.iter().map(|to| (to.exchange.as_str(), "is bound by"));
            let uses = bound.chain(alternate);
            uses.map(|(name, how)| (name, how, format!("exchange \"{}\"", exchange.name)))
        });
        let of_queues = self.queues().flat_map(|queue| {
            let dead = queue.arguments.text(DEAD_LETTER_EXCHANGE);
            let dead = dead.map(|name| (name, "gets the dead letters of"));
            let bound = queue.bindings.iter().map(|to| (to.exchange.as_str(), "is bound by"));
            let uses = bound.chain(dead);
            uses.map(|(name, how)| (name, how, format!("queue \"{}\"", queue.name)))
        });
        let unknown = of_exchanges.chain(of_queues).filter(|(name, ..)| !self.knows(name));
        unknown.map(|(name, how, what)| format!("exchange \"{name}\" {how} {what}")).collect()
    }

    /// Every broker has the default exchange and those that begin with `amq.`.
    fn knows(&self, exchange: &str) -> bool {
        exchange.is_empty() || exchange.starts_with("amq.") || self.exchanges.contains_key(exchange)
    }

    fn add_configured(&mut self, settings: &AmqpSettings, section: &str) -> Vec<Error> {
        let mut errors = Vec::new();
        for (name, exchange) in &settings.exchanges {
            let origin = Origin::Key(key(section, "exchanges", name));
            errors.extend(self.add_exchange(exchange.exchange(name), &origin));
        }
        for (name, queue) in &settings.queues {
            let origin = Origin::Key(key(section, "queues", name));
            errors.extend(self.add_queue(queue.queue(name), &origin));
        }
        errors
    }

    fn add_exchange(&mut self, exchange: Exchange, origin: &Origin) -> Vec<Error> {
        let faults = checks::of_exchange(&exchange);
        if !faults.is_empty() {
            return at(faults, origin);
        }
        match self.exchanges.get_mut(&exchange.name) {
            Some(known) if !known.what.agrees_with(&exchange) => {
                vec![contradiction(known, &exchange, origin)]
            }
            Some(known) => {
                binding::unite(&mut known.what.bindings, exchange.bindings);
                Vec::new()
            }
            None => {
                let name = exchange.name.clone();
                self.exchanges.insert(name, Declared { what: exchange, origin: origin.clone() });
                Vec::new()
            }
        }
    }

    fn add_queue(&mut self, queue: Queue, origin: &Origin) -> Vec<Error> {
        let faults = checks::of_queue(&queue);
        if !faults.is_empty() {
            return at(faults, origin);
        }
        match self.queues.get_mut(&queue.name) {
            Some(known) if !known.what.agrees_with(&queue) => {
                vec![contradiction(known, &queue, origin)]
            }
            Some(known) => {
                binding::unite(&mut known.what.bindings, queue.bindings);
                Vec::new()
            }
            None => {
                let name = queue.name.clone();
                self.queues.insert(name, Declared { what: queue, origin: origin.clone() });
                Vec::new()
            }
        }
    }

    /// A consumed queue that somebody declares stays as it is, and so does its dead-letter queue.
    fn add_consumed(
        &mut self,
        consumer: &Consumer,
        settings: &AmqpSettings,
        module: &str,
    ) -> Vec<Error> {
        // One for each instance is declared by the connection that it lives on.
        let Some(queue) = consumer.queue() else { return Vec::new() };
        let origin = Origin::Consumer(module.to_owned());
        let wanted = match consumer.is_for_one_instance() {
            true => Steps::of_one_instance(queue),
            false => Queue::new(queue),
        };
        let mut errors = Vec::new();
        let main = match self.queues.get(queue) {
            Some(known) if consumer.is_for_one_instance() && !known.what.is_single_active() => {
                return vec![shared(known).context(origin.to_string())];
            }
            Some(known) => known.what.clone(),
            None => {
                errors.extend(self.add_queue(wanted.clone(), &origin));
                wanted
            }
        };
        let dead = Steps::dead_queue(&main);
        if !self.queues.contains_key(&dead.name) {
            errors.extend(self.add_queue(dead, &origin));
        }
        for delay in consumer.delays(&settings.retry.delays) {
            errors.extend(self.add_queue(Steps::retry_queue(&main, *delay), &origin));
        }
        errors
    }

    /// Nobody but this process can use its exclusive queues.
    fn unused_exclusive(&self) -> Vec<Error> {
        let consumed = |name: &str| self.consumed().any(|queue| queue == name);
        let exclusive = self.queues.values().filter(|declared| declared.what.exclusive);
        let unused = exclusive.filter(|declared| !consumed(&declared.what.name));
        let error = |declared: &Declared<Queue>| {
            let name = &declared.what.name;
            Error::wiring(format!("queue \"{name}\" is exclusive, and nothing consumes from it"))
                .advise("consume from it here, since no other process can; or take exclusive out")
                .context(declared.origin.to_string())
        };
        unused.map(error).collect()
    }
}

/// What is wrong with a queue that a consumer for one instance takes its messages from.
fn shared(known: &Declared<Queue>) -> Error {
    let (queue, origin) = (&known.what, &known.origin);
    let fault = format!("one instance is to consume from {queue} ({origin}), and all would");
    Error::wiring(fault).advise(
        "declare it by Queue::quorum(…).single_active_consumer(), or leave the declaration to the \
         consumer",
    )
}

/// The key of a section of settings, as it is written in TOML.
fn key(section: &str, what: &str, name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let plain = !name.is_empty() && name.chars().all(bare);
    let name = if plain { name.to_owned() } else { format!("{name:?}") };
    format!("{section}.{what}.{name}")
}

fn at(faults: Vec<Error>, origin: &Origin) -> Vec<Error> {
    faults.into_iter().map(|fault| fault.context(origin.to_string())).collect()
}

fn contradiction<T: fmt::Display>(known: &Declared<T>, other: &T, origin: &Origin) -> Error {
    Error::wiring(format!(
        "declared in two ways: as {} ({}), and as {other} ({origin})",
        known.what, known.origin
    ))
    .advise("a broker accepts only one: declare it in one place, or the same way in both")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::settings::RetrySettings;

    fn registered(module: &str, routes: AmqpRoutes) -> Registered<AmqpRoutes> {
        Registered { module: module.into(), routes }
    }

    async fn operation() -> Result<(), polyport_bootstrap::Fault> {
        Ok(())
    }

    fn delays(seconds: &[u64]) -> AmqpSettings {
        let delays = seconds.iter().copied().map(Duration::from_secs).collect();
        AmqpSettings { retry: RetrySettings { delays }, ..Default::default() }
    }

    fn configured(section: serde_json::Value) -> AmqpSettings {
        serde_json::from_value(section).expect("fits")
    }

    fn plan(modules: &[Registered<AmqpRoutes>], seconds: &[u64]) -> (Plan, Vec<Error>) {
        Plan::of(modules, &delays(seconds), "amqp")
    }

    fn report(errors: Vec<Error>) -> String {
        format!("{:?}", Error::all("all", errors).expect_err("a contradiction"))
    }

    #[test]
    fn a_consumed_queue_brings_its_steps_along() {
        let routes = AmqpRoutes::default().consume("users.get", operation);
        let (plan, errors) = plan(&[registered("user", routes)], &[1, 5]);
        assert!(errors.is_empty());
        let names: Vec<_> = plan.queues().map(Queue::name).collect();
        let expected = ["users.get", "users.get.dead", "users.get.retry.1s", "users.get.retry.5s"];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_steps_of_a_quorum_queue_are_quorum_queues_wherever_it_is_declared() {
        let settings = configured(json!({ "queues": { "q": { "type": "quorum" } } }));
        let routes = AmqpRoutes::default().consume("q", operation);
        let (plan, errors) = Plan::of(&[registered("m", routes)], &settings, "amqp");
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(plan.queues().count(), 5);
        assert!(plan.queues().all(Queue::is_quorum));
    }

    #[test]
    fn what_a_queue_for_one_instance_gives_out_too_often_ends_where_messages_are_parked() {
        let consumer = Consumer::new("q").one_instance();
        let routes = AmqpRoutes::default().consume(consumer, operation);
        let (plan, errors) = plan(&[registered("m", routes)], &[1]);
        assert!(errors.is_empty(), "{errors:?}");
        let main = &plan.queues["q"].what;
        assert_eq!(main.arguments.text(DEAD_LETTER_EXCHANGE), Some(""));
        assert_eq!(main.arguments.text("x-dead-letter-routing-key"), Some("q.dead"));
        assert_eq!(plan.forgetful().count(), 0);
    }

    #[test]
    fn a_consumed_quorum_queue_without_a_dead_letter_exchange_is_told() {
        let keeps = Queue::quorum("keeps").dead_letter("", "keeps.dead");
        let routes = AmqpRoutes::default().queue(Queue::quorum("drops")).queue(keeps);
        let routes = routes.queue(Queue::quorum("other")).queue(Queue::new("classic"));
        let routes = routes.consume("drops", operation).consume("keeps", operation);
        let (plan, _) = plan(&[registered("m", routes.consume("classic", operation))], &[]);
        assert_eq!(plan.forgetful().collect::<Vec<_>>(), ["drops"]);
    }

    #[test]
    fn equal_declarations_are_one_and_their_bindings_unite() {
        let one = || AmqpRoutes::default().exchange(Exchange::topic("im").bind("company", "im"));
        let a = registered("a", one().queue(Queue::new("q").bind("im", "a")));
        let queue = Queue::new("q").argument("x-queue-type", "classic").bind("im", "b");
        let b = registered("b", one().queue(queue.bind("im", "a")));
        let (plan, errors) = plan(&[a, b], &[]);
        assert!(errors.is_empty(), "{errors:?}");
        let exchanges: Vec<_> = plan.exchanges().collect();
        assert_eq!((exchanges.len(), exchanges[0].bindings.len()), (1, 1));
        let queues: Vec<_> = plan.queues().collect();
        assert_eq!((queues.len(), queues[0].bindings.len()), (1, 2));
    }

    #[test]
    fn contradictions_name_both_modules() {
        let a = registered("chat", AmqpRoutes::default().exchange(Exchange::topic("im")));
        let b = registered("audit", AmqpRoutes::default().exchange(Exchange::fanout("im")));
        let report = report(plan(&[a, b], &[]).1);
        for part in ["module chat", "module audit", "topic exchange \"im\"", "fanout exchange"] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }

    #[test]
    fn contradictions_between_code_and_configuration_name_module_and_key() {
        let settings = configured(json!({
            "exchanges": { "im": { "kind": "fanout" } },
            "queues": { "im.messages": { "max_length": 5 } },
        }));
        let routes =
            AmqpRoutes::default().exchange(Exchange::topic("im")).queue(Queue::new("im.messages"));
        let (_, errors) = Plan::of(&[registered("chat", routes)], &settings, "amqp_orders");
        assert_eq!(errors.len(), 2);
        let report = report(errors).split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "module chat",
            "configuration amqp_orders.exchanges.im)",
            "configuration amqp_orders.queues.\"im.messages\")",
            "x-max-length=5",
        ] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }

    #[test]
    fn a_module_that_redefines_a_step_is_told_so() {
        let routes = AmqpRoutes::default()
            .queue(Queue::new("q.retry.1s"))
            .queue(Queue::quorum("q.dead"))
            .consume("q", operation);
        let (_, errors) = plan(&[registered("m", routes)], &[1]);
        assert_eq!(errors.len(), 1, "the dead-letter queue may be declared otherwise");
        let report = report(errors);
        assert!(report.contains("polyport, for a consumer"), "{report}");
        assert!(report.contains("x-message-ttl"), "{report}");
    }

    #[test]
    fn names_that_amqp_cannot_carry_are_refused() {
        let long = "x".repeat(256);
        let routes = AmqpRoutes::default()
            .exchange(Exchange::topic("amq.mine"))
            .queue(Queue::new(""))
            .queue(Queue::new("q").bind("", "q"))
            .queue(Queue::new("q").bind("im", &long))
            .consume("y".repeat(253), operation);
        let (_, errors) = plan(&[registered("m", routes)], &[1]);
        assert_eq!(errors.len(), 6, "{errors:?}");
    }

    #[test]
    fn every_fault_of_every_declaration_is_told_with_its_place() {
        let settings = configured(json!({
            "queues": { "a.b": { "type": "quorum", "durable": false, "max_priority": 2 } },
        }));
        let routes = AmqpRoutes::default().queue(Queue::new("q").delivery_limit(3));
        let (_, errors) = Plan::of(&[registered("m", routes)], &settings, "amqp");
        assert_eq!(errors.len(), 3, "{errors:?}");
        let report = report(errors);
        assert!(report.contains("module m") && report.contains("amqp.queues.\"a.b\""), "{report}");
    }

    #[test]
    fn an_exclusive_queue_that_nothing_consumes_from_is_refused() {
        let declared = || AmqpRoutes::default().queue(Queue::new("q").exclusive());
        let (_, errors) = plan(&[registered("m", declared())], &[]);
        assert_eq!(errors.len(), 1);
        let consumed = declared().consume("q", operation);
        assert!(plan(&[registered("m", consumed)], &[]).1.is_empty());
    }

    #[test]
    fn exchanges_that_nobody_declares_are_named_with_who_uses_them() {
        let routes = AmqpRoutes::default()
            .exchange(Exchange::topic("im").bind("company", "#").alternate("rest"))
            .queue(Queue::new("q").bind("im", "a").bind("amq.topic", "b").dead_letter("", "x"))
            .queue(Queue::new("p").bind("elsewhere", "a").dead_letter("dlx", "x"));
        let (plan, _) = plan(&[registered("m", routes)], &[]);
        let expected = [
            "exchange \"company\" is bound by exchange \"im\"",
            "exchange \"rest\" is the alternate of exchange \"im\"",
            "exchange \"elsewhere\" is bound by queue \"p\"",
            "exchange \"dlx\" gets the dead letters of queue \"p\"",
        ];
        assert_eq!(plan.strangers(), expected);
    }
}
