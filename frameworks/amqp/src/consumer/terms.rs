//! How one consumer handles its messages, when code and configuration have both had their say.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use polyport_bootstrap::{Error, Registered};

use super::{
    handle::PAUSE,
    options::{AckPolicy, Consumer},
    order::OrderKey,
};
use crate::{
    AmqpRoutes, AmqpSettings, routes::Consumed, settlement::Settlement, topology::MAX_NAME,
};

/// What a consumer keeps to.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(super) concurrency: u16,
    pub(super) prefetch: u16,
    pub(super) timeout: Duration,
    pub(super) delays: Vec<Duration>,
    pub(super) order: Option<OrderKey>,
    pub(super) ack: AckPolicy,
    /// How long the broker may be kept waiting for an answer, with time left to move the message.
    pub(super) answer_within: Duration,
    /// How long a message may wait before it is begun.
    pub(super) begin_within: Duration,
}

impl Terms {
    pub(crate) fn of(consumer: &Consumer, settings: &AmqpSettings) -> Self {
        let concurrency = consumer.concurrency.unwrap_or(settings.concurrency);
        let all = AmqpSettings { concurrency, ..settings.clone() };
        let timeout = consumer.timeout.unwrap_or(settings.timeout);
        let answer_within = settings.ack_timeout.saturating_sub(settings.publish.timeout + PAUSE);
        let delays = consumer.delays(&settings.retry.delays).to_vec();
        let is_held = consumer.queue().is_none();
        let handling = if is_held { held(timeout, &delays) } else { timeout };
        let left = answer_within.saturating_sub(handling);
        Self {
            concurrency,
            prefetch: consumer.prefetch.unwrap_or_else(|| all.prefetch()),
            timeout,
            delays,
            order: consumer.order.clone(),
            ack: consumer.ack,
            answer_within,
            begin_within: left.min(settings.ack_timeout / 2),
        }
    }
}

/// How long a message is held at most that is handled again in place.
fn held(timeout: Duration, delays: &[Duration]) -> Duration {
    let attempts = u32::try_from(delays.len()).unwrap_or(u32::MAX).saturating_add(1);
    let waits = delays.iter().fold(Duration::ZERO, |sum, delay| sum.saturating_add(*delay));
    timeout.saturating_mul(attempts).saturating_add(waits)
}

/// Lets the configuration come before the code, and checks what comes of it. `section` is where the
/// settings stand.
pub(crate) fn configure(
    registered: &mut [Registered<AmqpRoutes>],
    settings: &AmqpSettings,
    section: &str,
) -> Vec<Error> {
    let mut errors = unknown(registered, settings, section);
    let mut seen = BTreeMap::new();
    for Registered { module, routes } in registered {
        routes.consumers.retain_mut(|consumed| {
            if let Some(own) = settings.consumers.get(consumed.consumer.name()) {
                consumed.consumer.configure(own);
            }
            let found = faults(consumed, settings, section).into_iter();
            errors.extend(found.map(|error| error.context(format!("module {module}"))));
            // Told once, it is not to be told again by whoever looks at routes.
            let name = consumed.consumer.name();
            let other = seen.insert(name.to_owned(), module.to_string());
            errors.extend(other.iter().map(|other| twice(name, other, module)));
            other.is_none()
        });
    }
    errors
}

/// The consumers that the configuration names and nobody has registered.
fn unknown(
    registered: &[Registered<AmqpRoutes>],
    settings: &AmqpSettings,
    section: &str,
) -> Vec<Error> {
    let consumers = registered.iter().flat_map(|module| &module.routes.consumers);
    let known: BTreeSet<_> = consumers.map(|consumed| consumed.consumer.name()).collect();
    let named = settings.consumers.keys().filter(|name| !known.contains(name.as_str()));
    let known = match known.iter().copied().collect::<Vec<_>>() {
        known if known.is_empty() => "no queue is consumed from".to_owned(),
        known => format!("the consumers are {}", known.join(", ")),
    };
    let error = |name| Error::configuration(format!("{section}.consumers names \"{name}\""));
    named.map(|name| error(name).advise(format!("correct the name: {known}"))).collect()
}

fn twice(name: &str, module: &str, other: &str) -> Error {
    let modules = if module == other {
        format!("by module {module}")
    } else {
        format!("by modules {module} and {other}")
    };
    Error::wiring(format!("\"{name}\" is consumed twice, {modules}")).advise(
        "both would get a part of the messages, whichever it is: let one operation handle them, or \
         tell their types apart with `consume_types`",
    )
}

fn faults(consumed: &Consumed, settings: &AmqpSettings, section: &str) -> Vec<Error> {
    let Consumed { consumer, dispatch, twice } = consumed;
    let name = consumer.name();
    let wrong = |what: &str, advice: String| {
        Error::wiring(format!("consumer of \"{name}\": {what}")).advise(advice)
    };
    let mut errors = Vec::new();
    if consumer.concurrency == Some(0) || consumer.prefetch == Some(0) {
        let what = "neither concurrency nor prefetch may be 0";
        errors.push(wrong(what, "1 is the least with which messages are handled".to_owned()));
    }
    if consumer.is_misbound() {
        let what = "a queue is bound where it is declared";
        errors.push(wrong(what, format!("write `.queue(Queue::new(\"{name}\").bind(…))`")));
    }
    if consumer.queue().is_none() && !consumer.is_bindable() {
        let what =
            "AMQP cannot carry the name of its exchange, or a routing key that it is bound by";
        let advice = format!("names have from 1 to {MAX_NAME} bytes, and routing keys no more");
        errors.push(wrong(what, advice));
    }
    if consumer.queue().is_none() && consumer.is_for_one_instance() {
        let what = "it is for each instance, and for one";
        errors.push(wrong(what, "decide for one of the two".to_owned()));
    }
    for name in twice {
        let what = format!("two operations are for messages of type \"{name}\"");
        errors.push(wrong(&what, "take one of them out".to_owned()));
    }
    for endpoint in dispatch.operations() {
        let (takes, operation) = (endpoint.info().takes(Settlement::NAME), endpoint.info().name());
        match (takes, consumer.ack) {
            (true, AckPolicy::Manual) | (false, AckPolicy::AfterSuccess | AckPolicy::Before) => {}
            (true, _) => errors.push(wrong(
                &format!("operation {operation} takes a Settlement, and nobody waits for it"),
                "add `.ack(AckPolicy::Manual)` to the consumer".to_owned(),
            )),
            (false, AckPolicy::Manual) => errors.push(wrong(
                &format!("its messages are settled by hand, and operation {operation} cannot"),
                "take a Settlement as an argument, or leave `.ack(AckPolicy::Manual)` out"
                    .to_owned(),
            )),
        }
    }
    errors.extend(untimely(consumer, settings, section));
    errors
}

/// RabbitMQ closes the channel of a consumer that does not answer in time: nothing may last longer.
fn untimely(consumer: &Consumer, settings: &AmqpSettings, section: &str) -> Option<Error> {
    let (name, terms) = (consumer.name(), Terms::of(consumer, settings));
    let what = if terms.timeout.is_zero() {
        "its operation may take for ever (timeout 0s)".to_owned()
    } else if !terms.begin_within.is_zero() {
        return None;
    } else if consumer.queue().is_none() {
        format!(
            "all attempts of {:?} each, and the delays between them, last too long",
            terms.timeout
        )
    } else {
        format!("its operation may take {:?}", terms.timeout)
    };
    let (limit, publish) = (settings.ack_timeout, settings.publish.timeout);
    Some(Error::wiring(format!("consumer of \"{name}\": {what}")).advise(format!(
        "the broker takes a message back that is not answered within {limit:?} \
         ({section}.ack_timeout, which is RabbitMQ's consumer_timeout): stay below it by more than \
         {section}.publish.timeout ({publish:?}) and a second",
    )))
}
