//! What is wrong with a declaration by itself, found before anything connects.

use polyport_bootstrap::Error;
use serde_json::Value;

use super::{
    Exchange, Queue,
    arguments::Arguments,
    binding::Binding,
    queue::{
        DEAD_LETTER_EXCHANGE, DEAD_LETTER_ROUTING_KEY, DEAD_LETTER_STRATEGY, DELIVERY_LIMIT,
        QUEUE_TYPE, SINGLE_ACTIVE_CONSUMER,
    },
};

/// The longest name that AMQP can carry (a short string), in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// Below this a delivery limit is used up by connections that are lost.
const FEWEST_DELIVERIES: u64 = 20;

/// The longest time that RabbitMQ takes, in milliseconds: 49.7 days.
const LONGEST: u64 = u32::MAX as u64;

/// Arguments that are numbers, and from where to where.
const NUMBERS: [(&str, u64, u64); 6] = [
    ("x-message-ttl", 0, LONGEST),
    ("x-expires", 1, LONGEST),
    ("x-max-length", 0, i64::MAX as u64),
    ("x-max-length-bytes", 0, i64::MAX as u64),
    (DELIVERY_LIMIT, 0, u32::MAX as u64),
    ("x-max-priority", 0, 255),
];

/// A fault, and what to do about it.
type Fault = (String, &'static str);

/// All that is wrong with an exchange.
pub(super) fn of_exchange(exchange: &Exchange) -> Vec<Error> {
    let what = format!("exchange \"{}\"", exchange.name);
    let mut faults: Vec<_> = of_name(&exchange.name).into_iter().collect();
    faults.extend(of_arguments(&exchange.arguments));
    faults.extend(exchange.bindings.iter().filter_map(of_binding));
    told(&what, faults)
}

/// All that is wrong with a queue.
pub(super) fn of_queue(queue: &Queue) -> Vec<Error> {
    let what = format!("queue \"{}\"", queue.name);
    let mut faults: Vec<_> = of_name(&queue.name).into_iter().collect();
    faults.extend(of_arguments(&queue.arguments));
    faults.extend(queue.bindings.iter().filter_map(of_binding));
    faults.extend(match queue.kind() {
        "quorum" => of_quorum(queue),
        "classic" => of_classic(queue),
        other => vec![of_type(other)],
    });
    faults.extend(of_dead_letters(queue));
    told(&what, faults)
}

fn told(what: &str, faults: Vec<Fault>) -> Vec<Error> {
    let error = |(fault, advice)| Error::wiring(format!("{what} {fault}")).advise(advice);
    faults.into_iter().map(error).collect()
}

fn of_name(name: &str) -> Option<Fault> {
    let fault = if name.is_empty() {
        "has no name".to_owned()
    } else if name.len() > MAX_NAME {
        format!("has a name of more than {MAX_NAME} bytes")
    } else if name.starts_with("amq.") {
        "has a name that begins with \"amq.\": those belong to the broker".to_owned()
    } else {
        return None;
    };
    Some((fault, "give it another name"))
}

fn of_arguments(arguments: &Arguments) -> Vec<Fault> {
    let differ = arguments
        .contradictions()
        .map(|told| (format!("has one argument with two values: {told}"), "leave one of them out"));
    let long = arguments.iter().filter(|(name, _)| name.len() > MAX_NAME).map(|_| {
        let fault = format!("has an argument whose name is longer than {MAX_NAME} bytes");
        (fault, "give it another name")
    });
    let numbers = NUMBERS.iter().filter_map(|(name, least, most)| {
        let value = arguments.get(name)?;
        let fits = value.as_u64().is_some_and(|number| (*least..=*most).contains(&number));
        let fault = || format!("has {name}={value}, which must be a number from {least} to {most}");
        (!fits).then(|| (fault(), "correct it; times are in milliseconds there"))
    });
    differ.chain(long).chain(numbers).collect()
}

fn of_binding(binding: &Binding) -> Option<Fault> {
    let fault = if binding.exchange.is_empty() {
        "is bound to the default exchange, which routes to every queue by its name and takes no \
         bindings"
    } else if binding.exchange.len() > MAX_NAME || binding.routing_key.len() > MAX_NAME {
        "is bound with a name or routing key longer than 255 bytes"
    } else if binding.arguments.iter().any(|(name, _)| name.len() > MAX_NAME) {
        "is bound with an argument whose name is longer than 255 bytes"
    } else if binding.arguments.contradictions().next().is_some() {
        "is bound with one argument that has two values"
    } else {
        return None;
    };
    Some((fault.to_owned(), "take the binding out, or correct it"))
}

fn of_type(kind: &str) -> Fault {
    let fault = format!("has {QUEUE_TYPE}={kind}, which is neither classic nor quorum");
    (fault, "use Queue::new (classic) or Queue::quorum; streams are not read by this framework")
}

fn of_quorum(queue: &Queue) -> Vec<Fault> {
    let mut faults = Vec::new();
    let excluded = [
        (!queue.durable, "is not durable"),
        (queue.exclusive, "is exclusive"),
        (queue.auto_delete, "is auto-delete"),
        (queue.arguments.get("x-max-priority").is_some(), "has priorities (x-max-priority)"),
        (
            queue.arguments.text("x-overflow") == Some("reject-publish-dlx"),
            "refuses further messages into its dead letters (x-overflow=reject-publish-dlx)",
        ),
    ];
    for (_, what) in excluded.iter().filter(|(set, _)| *set) {
        let fault = format!("is a quorum queue and {what}: the broker has no such queues");
        faults.push((fault, "take that out, or make it a classic queue (Queue::new)"));
    }
    let limit = queue.arguments.get(DELIVERY_LIMIT).and_then(Value::as_u64);
    if let Some(limit) = limit.filter(|limit| *limit < FEWEST_DELIVERIES) {
        let fault = format!(
            "has {DELIVERY_LIMIT}={limit}: each lost connection counts as a delivery, so messages \
             that nobody has handled would be dead letters"
        );
        faults.push((fault, "make it 20 or more; amqp.retry.delays limits the attempts"));
    }
    if limit.is_some() && queue.arguments.get(DEAD_LETTER_EXCHANGE).is_none() {
        let fault = format!(
            "has {DELIVERY_LIMIT} and no dead-letter exchange: the broker would drop messages \
             without a word"
        );
        faults.push((fault, "add dead_letter(\"\", \"<queue>.dead\"), say"));
    }
    faults
}

fn of_classic(queue: &Queue) -> Vec<Fault> {
    let mut faults = Vec::new();
    if queue.arguments.get(DELIVERY_LIMIT).is_some() {
        let fault = format!("is a classic queue with {DELIVERY_LIMIT}, which has no effect there");
        faults.push((fault, "make it a quorum queue (Queue::quorum), or take the limit out"));
    }
    if queue.arguments.is_true(SINGLE_ACTIVE_CONSUMER) {
        let fault = "is a classic queue with a single active consumer: a consumer that is \
                     cancelled can bring such a queue down with all its messages";
        faults.push((fault.to_owned(), "make it a quorum queue: Queue::quorum"));
    }
    faults
}

fn of_dead_letters(queue: &Queue) -> Vec<Fault> {
    let arguments = &queue.arguments;
    let (mut faults, has_exchange) = (Vec::new(), arguments.get(DEAD_LETTER_EXCHANGE).is_some());
    if arguments.get(DEAD_LETTER_ROUTING_KEY).is_some() && !has_exchange {
        let fault = format!("has {DEAD_LETTER_ROUTING_KEY} and no {DEAD_LETTER_EXCHANGE}");
        faults.push((fault, "add the exchange: dead_letter(exchange, routing_key)"));
    }
    let sure = arguments.text(DEAD_LETTER_STRATEGY) == Some("at-least-once");
    let rejects = arguments.text("x-overflow") == Some("reject-publish");
    if sure && !(queue.is_quorum() && has_exchange && rejects) {
        let fault = format!(
            "has {DEAD_LETTER_STRATEGY}=at-least-once, which RabbitMQ passes over unless it is a \
             quorum queue with a dead-letter exchange and x-overflow=reject-publish"
        );
        faults.push((fault, "add what is missing, or take the strategy out"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::Overflow, *};

    fn faults(queue: Queue) -> Vec<String> {
        let error = |error: &Error| {
            assert!(error.advice().is_some(), "{error:?}");
            error.to_string()
        };
        of_queue(&queue).iter().map(error).collect()
    }

    #[track_caller]
    fn refused(queue: Queue, part: &str) {
        let faults = faults(queue);
        assert!(matches!(&*faults, [fault] if fault.contains(part)), "{part}: {faults:?}");
    }

    #[test]
    fn what_people_declare_is_accepted() {
        let day = Duration::from_secs(86_400);
        for queue in [
            Queue::new("q").max_priority(10).exclusive().auto_delete().durable(false),
            Queue::new("q").overflow(Overflow::RejectPublishDlx).dead_letter("", "x").max_length(1),
            Queue::new("q").argument(QUEUE_TYPE, "classic").expires(day).message_ttl(day),
            Queue::quorum("q").delivery_limit(20).dead_letter("dlx", "q").single_active_consumer(),
            Queue::quorum("q")
                .dead_letter("", "x")
                .overflow(Overflow::RejectPublish)
                .argument(DEAD_LETTER_STRATEGY, "at-least-once"),
        ] {
            assert!(of_queue(&queue).is_empty(), "{queue}: {:?}", of_queue(&queue));
        }
    }

    #[test]
    fn a_quorum_queue_cannot_be_what_the_broker_does_not_have() {
        refused(Queue::quorum("q").durable(false), "not durable");
        refused(Queue::quorum("q").exclusive(), "exclusive");
        refused(Queue::quorum("q").auto_delete(), "auto-delete");
        refused(Queue::quorum("q").max_priority(3), "priorities");
        refused(Queue::quorum("q").overflow(Overflow::RejectPublishDlx), "reject-publish-dlx");
    }

    #[test]
    fn a_delivery_limit_that_would_lose_messages_is_refused() {
        refused(Queue::quorum("q").delivery_limit(19).dead_letter("", "x"), "lost connection");
        refused(Queue::quorum("q").delivery_limit(20), "without a word");
        refused(Queue::new("q").delivery_limit(20).dead_letter("", "x"), "no effect");
    }

    #[test]
    fn a_single_active_consumer_needs_a_quorum_queue() {
        refused(Queue::new("q").single_active_consumer(), "single active consumer");
    }

    #[test]
    fn numbers_that_the_broker_does_not_take_are_refused() {
        refused(Queue::new("q").message_ttl(Duration::from_secs(u64::MAX)), "x-message-ttl");
        refused(Queue::new("q").expires(Duration::ZERO), "x-expires");
        refused(Queue::new("q").max_length(u64::MAX), "x-max-length");
        refused(Queue::new("q").argument("x-max-priority", 256), "x-max-priority");
        refused(Queue::new("q").argument("x-max-length-bytes", "5"), "must be a number");
    }

    #[test]
    fn an_unknown_type_and_an_argument_of_two_values_are_refused() {
        refused(Queue::new("q").argument(QUEUE_TYPE, "stream"), "stream");
        refused(Queue::quorum("q").argument(QUEUE_TYPE, "classic"), "two values");
        refused(Queue::new("q").max_length(5).argument("x-max-length", 6), "two values");
    }

    #[test]
    fn dead_letters_need_an_exchange_and_the_strategy_what_makes_it_apply() {
        refused(
            Queue::new("q").argument(DEAD_LETTER_ROUTING_KEY, "x"),
            "no x-dead-letter-exchange",
        );
        let strategy = |queue: Queue| queue.argument(DEAD_LETTER_STRATEGY, "at-least-once");
        refused(strategy(Queue::new("q").dead_letter("", "x")), "at-least-once");
        refused(strategy(Queue::quorum("q").dead_letter("", "x")), "reject-publish");
    }

    #[test]
    fn a_binding_with_an_argument_of_two_values_is_refused() {
        let arguments = [("tenant", "acme"), ("tenant", "other")];
        refused(Queue::new("q").bind_with("x", "", arguments), "two values");
    }

    #[test]
    fn an_exchange_is_checked_too() {
        let faults = of_exchange(&Exchange::topic("amq.mine").bind("", "x").alternate("a"));
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
