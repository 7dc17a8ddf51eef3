use std::{collections::BTreeMap, time::Duration};

use polyport_bootstrap::{Error, Registered};
use serde_json::Value;

use super::{Exchange, Queue, Steps};
use crate::{consumer::Consumer, routes::AmqpRoutes};

/// The longest name that AMQP can carry (a short string), in bytes.
const MAX_NAME: usize = 255;

/// Who declares what no module does.
const OURSELVES: &str = "polyport";

/// Everything that is declared on every connection, without contradictions.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    exchanges: BTreeMap<String, Declared<Exchange>>,
    queues: BTreeMap<String, Declared<Queue>>,
}

/// A declaration and the module that it comes from.
#[derive(Debug)]
struct Declared<T> {
    what: T,
    module: String,
}

impl Plan {
    /// Unites what all modules declare, and adds the queues that consumers need.
    pub(crate) fn of(
        registered: &[Registered<AmqpRoutes>],
        delays: &[Duration],
    ) -> (Self, Vec<Error>) {
        let (mut plan, mut errors) = (Self::default(), Vec::new());
        for Registered { module, routes } in registered {
            for exchange in &routes.exchanges {
                errors.extend(plan.add_exchange(exchange.clone(), module));
            }
            for queue in &routes.queues {
                errors.extend(plan.add_queue(queue.clone(), module));
            }
        }
        for Registered { module, routes } in registered {
            for consumed in &routes.consumers {
                errors.extend(plan.add_consumed(&consumed.consumer, delays, module));
            }
        }
        (plan, errors)
    }

    pub(crate) fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.values().map(|declared| &declared.what)
    }

    pub(crate) fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values().map(|declared| &declared.what)
    }

    fn add_exchange(&mut self, exchange: Exchange, module: &str) -> Option<Error> {
        if let Some(fault) = fault_of("exchange", &exchange.name, &exchange.arguments) {
            return Some(fault.context(format!("module {module}")));
        }
        match self.exchanges.get(&exchange.name) {
            Some(known) if known.what != exchange => {
                Some(contradiction(&known.what, &known.module, &exchange, module))
            }
            Some(_) => None,
            None => {
                let name = exchange.name.clone();
                self.exchanges.insert(name, Declared { what: exchange, module: module.to_owned() });
                None
            }
        }
    }

    fn add_queue(&mut self, queue: Queue, module: &str) -> Option<Error> {
        let fault = fault_of("queue", &queue.name, &queue.arguments)
            .or_else(|| queue.bindings.iter().find_map(|to| binding_fault(&queue.name, to)));
        if let Some(fault) = fault {
            return Some(fault.context(format!("module {module}")));
        }
        match self.queues.get_mut(&queue.name) {
            Some(known) if !known.what.agrees_with(&queue) => {
                Some(contradiction(&known.what, &known.module, &queue, module))
            }
            Some(known) => {
                known.what.bindings.extend(queue.bindings);
                None
            }
            None => {
                let module = module.to_owned();
                self.queues.insert(queue.name.clone(), Declared { what: queue, module });
                None
            }
        }
    }

    /// A consumed queue that a module declares stays as it is, and so does its dead-letter queue:
    /// a quorum queue, say.
    fn add_consumed(
        &mut self,
        consumer: &Consumer,
        delays: &[Duration],
        module: &str,
    ) -> Vec<Error> {
        // One for each instance is declared by the connection that it lives on.
        let Some(queue) = consumer.queue() else { return Vec::new() };
        let delays = consumer.delays(delays);
        let steps = Steps::of(queue, delays);
        let mut own = Queue::new(queue);
        if consumer.is_for_one_instance() {
            own = single_active(own);
            if let Some(fault) = self.queues.get(queue).and_then(|known| shared_fault(known, &own))
            {
                return vec![fault.context(format!("consumer of module {module}"))];
            }
        }
        let own = [own, Queue::new(&steps.dead)].into_iter();
        let mut missing: Vec<_> =
            own.filter(|queue| !self.queues.contains_key(&queue.name)).collect();
        missing.extend(delays.iter().map(|delay| Steps::retry_queue(queue, *delay)));
        let added = missing.into_iter().filter_map(|queue| self.add_queue(queue, OURSELVES));
        added.map(|error| error.context(format!("consumer of module {module}"))).collect()
    }
}

/// One instance at a time consumes from it: RabbitMQ crashes a classic queue whose single active
/// consumer is cancelled.
fn single_active(queue: Queue) -> Queue {
    queue.argument("x-queue-type", "quorum").argument(SINGLE_ACTIVE, true)
}

const SINGLE_ACTIVE: &str = "x-single-active-consumer";

/// What is wrong with a queue that a consumer for one instance takes its messages from.
fn shared_fault(known: &Declared<Queue>, wanted: &Queue) -> Option<Error> {
    let arguments = &known.what.arguments;
    if wanted.arguments.iter().all(|(name, value)| arguments.get(name) == Some(value)) {
        return None;
    }
    let (queue, module) = (&known.what, &known.module);
    let fault = format!("one instance is to consume from {queue} (module {module}), and all would");
    Some(Error::wiring(fault).advise(format!(
        "declare it with the arguments x-queue-type=quorum and {SINGLE_ACTIVE}=true, or leave the \
         declaration to the consumer",
    )))
}

fn fault_of(what: &str, name: &str, arguments: &BTreeMap<String, Value>) -> Option<Error> {
    let fault = if name.is_empty() {
        format!("{what} without a name")
    } else if name.len() > MAX_NAME {
        format!("the name of {what} \"{name}\" is longer than {MAX_NAME} bytes")
    } else if name.starts_with("amq.") {
        format!("{what} \"{name}\": names that begin with \"amq.\" belong to the broker")
    } else if arguments.keys().any(|argument| argument.len() > MAX_NAME) {
        format!("{what} \"{name}\" has an argument whose name is longer than {MAX_NAME} bytes")
    } else {
        return None;
    };
    Some(Error::wiring(fault).advise("give it another name"))
}

fn binding_fault(queue: &str, binding: &super::queue::Binding) -> Option<Error> {
    let fault = if binding.exchange.is_empty() {
        "to the default exchange, which routes to every queue by its name and takes no bindings"
    } else if binding.exchange.len() > MAX_NAME || binding.routing_key.len() > MAX_NAME {
        "with a name or routing key longer than 255 bytes"
    } else {
        return None;
    };
    let error = Error::wiring(format!("queue \"{queue}\" is bound {fault}"));
    Some(error.advise("take the binding out, or correct it"))
}

fn contradiction(
    known: &impl std::fmt::Display,
    known_module: &str,
    other: &impl std::fmt::Display,
    module: &str,
) -> Error {
    Error::wiring(format!(
        "declared in two ways: as {known} (module {known_module}), and as {other} (module {module})"
    ))
    .advise("a broker accepts only one: declare it in one module, or the same way in both")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(module: &str, routes: AmqpRoutes) -> Registered<AmqpRoutes> {
        Registered { module: module.into(), routes }
    }

    async fn operation() -> Result<(), polyport_bootstrap::Fault> {
        Ok(())
    }

    fn report(errors: Vec<Error>) -> String {
        format!("{:?}", Error::all("all", errors).expect_err("a contradiction"))
    }

    #[test]
    fn a_consumed_queue_brings_its_steps_along() {
        let routes = AmqpRoutes::default().consume("users.get", operation);
        let delays = [1, 5].map(Duration::from_secs);
        let (plan, errors) = Plan::of(&[registered("user", routes)], &delays);
        assert!(errors.is_empty());
        let names: Vec<_> = plan.queues().map(Queue::name).collect();
        let expected = ["users.get", "users.get.dead", "users.get.retry.1s", "users.get.retry.5s"];
        assert_eq!(names, expected);
    }

    #[test]
    fn equal_declarations_are_one_and_their_bindings_unite() {
        let one = || AmqpRoutes::default().exchange(Exchange::topic("im"));
        let a = registered("a", one().queue(Queue::new("q").bind("im", "a")));
        let b = registered("b", one().queue(Queue::new("q").bind("im", "b")));
        let (plan, errors) = Plan::of(&[a, b], &[]);
        assert!(errors.is_empty());
        assert_eq!(plan.exchanges().count(), 1);
        let queues: Vec<_> = plan.queues().collect();
        assert_eq!((queues.len(), queues[0].bindings.len()), (1, 2));
    }

    #[test]
    fn contradictions_name_both_modules() {
        let a = registered("chat", AmqpRoutes::default().exchange(Exchange::topic("im")));
        let b = registered("audit", AmqpRoutes::default().exchange(Exchange::fanout("im")));
        let (_, errors) = Plan::of(&[a, b], &[]);
        let report = report(errors);
        for part in ["module chat", "module audit", "topic exchange \"im\"", "fanout exchange"] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }

    #[test]
    fn a_module_that_redefines_a_step_is_told_so() {
        let routes = AmqpRoutes::default()
            .queue(Queue::new("q.retry.1s"))
            .queue(Queue::new("q.dead").argument("x-queue-type", "quorum"))
            .consume("q", operation);
        let (_, errors) = Plan::of(&[registered("m", routes)], &[Duration::from_secs(1)]);
        assert_eq!(errors.len(), 1, "the dead-letter queue may be declared otherwise");
        let report = report(errors);
        assert!(report.contains("module polyport") && report.contains("x-message-ttl"), "{report}");
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
        let (_, errors) = Plan::of(&[registered("m", routes)], &[Duration::from_secs(1)]);
        assert_eq!(errors.len(), 6, "{errors:?}");
    }
}
