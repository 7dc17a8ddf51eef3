//! A message as an operation sees it, beyond its input.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use lapin::{
    BasicProperties,
    types::{AMQPValue, ShortString},
};
use polyport_bootstrap::{
    Error,
    operation::{Context, Fault, FromContext, InputSlot, NoPayload, OperationInfo},
};

use crate::{
    attempts::{self, Attempt},
    cloud_events::Opened,
    headers,
    routes::PROTOCOL,
};

/// How the message of this call came: an extractor for operations that are served on AMQP only.
/// A cheap handle.
///
/// A message that is handled again after a delay still shows the exchange and the routing key by
/// which it came first.
///
/// # Examples
/// ```
/// use polyport_amqp::Delivery;
/// use polyport_bootstrap::Fault;
///
/// async fn on_message(delivery: Delivery) -> Result<(), Fault> {
///     let room = delivery.routing_key().strip_prefix("message.").unwrap_or("lobby");
///     if delivery.attempt() > 1 {
///         println!("message for {room} again, sent as {:?}", delivery.message_id());
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Delivery(Arc<Inner>);

struct Inner {
    queue: Arc<str>,
    exchange: ShortString,
    routing_key: ShortString,
    redelivered: bool,
    properties: BasicProperties,
    /// The event that the body is as a whole.
    opened: Option<Box<Opened>>,
    /// How often it was handled again in place, without a way through the broker.
    repeated: AtomicU32,
}

impl Delivery {
    pub(crate) fn new(
        queue: Arc<str>,
        exchange: ShortString,
        routing_key: ShortString,
        redelivered: bool,
        properties: BasicProperties,
    ) -> Self {
        Self(Arc::new(Inner {
            queue,
            exchange,
            routing_key,
            redelivered,
            properties,
            opened: None,
            repeated: AtomicU32::new(0),
        }))
    }

    /// The same with the event that its body is, before anybody else has it.
    pub(crate) fn opened_as(mut self, opened: Opened) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.opened = Some(Box::new(opened));
        }
        self
    }

    /// The queue that it was taken from; of a consumer for each instance the exchange that it was
    /// registered with.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.0.queue
    }

    /// The exchange that it was published to; empty for the default exchange.
    #[must_use]
    pub fn exchange(&self) -> &str {
        self.original(headers::ORIGINAL_EXCHANGE).unwrap_or_else(|| self.0.exchange.as_str())
    }

    /// The routing key that it was published with.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        self.original(headers::ORIGINAL_ROUTING_KEY).unwrap_or_else(|| self.0.routing_key.as_str())
    }

    /// Whether the broker has given it out before: to a consumer that did not acknowledge it.
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.0.redelivered
    }

    /// Which attempt at handling it this is, from 1; more than 1 after a fault that is retried.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        let attempt = self.count(headers::ATTEMPT).unwrap_or(1).max(1);
        attempt.saturating_add(self.0.repeated.load(Ordering::Relaxed))
    }

    /// The attempts before this one that ended in a fault, the oldest first; of very many the last
    /// ones. A parked message that was redriven still has them.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.history().filter_map(attempts::read).collect()
    }

    /// How often it was brought back from where it was parked.
    #[must_use]
    pub fn redriven(&self) -> u32 {
        self.count(headers::REDRIVEN).unwrap_or(0)
    }

    /// What recognises a duplicate.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.0.properties.message_id().as_ref().map(ShortString::as_str)
    }

    /// What a reply is recognised by.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.0.properties.correlation_id().as_ref().map(ShortString::as_str)
    }

    /// The queue that a reply is wanted in.
    #[must_use]
    pub fn reply_to(&self) -> Option<&str> {
        let reply_to = self.0.properties.reply_to().as_ref().map(ShortString::as_str);
        reply_to.filter(|queue| !queue.is_empty())
    }

    /// What the body is said to be.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.0.properties.content_type().as_ref().map(ShortString::as_str)
    }

    /// A header by its exact name, if it is a string.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_value(name).and_then(headers::text)
    }

    /// What the message is, as its publisher says: AMQP's property `type`.
    #[must_use]
    pub fn message_type(&self) -> Option<&str> {
        self.0.properties.kind().as_ref().map(ShortString::as_str)
    }

    /// What the operation's input is said to be: the content type, or that of the data in an event.
    pub(crate) fn data_content_type(&self) -> Option<&str> {
        match self.opened() {
            Some(opened) => opened.content_type(),
            None => self.content_type(),
        }
    }

    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.0.opened.as_deref()
    }

    /// Says that it is handled once more, as it is.
    pub(crate) fn repeat(&self) {
        self.0.repeated.fetch_add(1, Ordering::Relaxed);
    }

    /// The attempts before this one, as the header has them.
    pub(crate) fn history(&self) -> impl Iterator<Item = &AMQPValue> {
        let known = self.may_be_put_aside().then(|| self.header_value(headers::ATTEMPTS)).flatten();
        let entries = match known {
            Some(AMQPValue::FieldArray(entries)) => Some(entries.as_slice()),
            _ => None,
        };
        entries.into_iter().flatten()
    }

    pub(crate) fn properties(&self) -> &BasicProperties {
        &self.0.properties
    }

    /// A number that we have written ourselves.
    fn count(&self, name: &str) -> Option<u32> {
        let counted = self.may_be_put_aside().then(|| self.header_value(name)).flatten();
        u32::try_from(counted.and_then(headers::integer)?).ok()
    }

    pub(crate) fn header_value(&self, name: &str) -> Option<&AMQPValue> {
        headers::get(self.0.properties.headers().as_ref(), name)
    }

    /// What waited for its next attempt comes back by the default exchange. Whoever may publish to
    /// another one only must not claim another routing key than the broker has let him use.
    fn may_be_put_aside(&self) -> bool {
        self.0.exchange.as_str().is_empty()
    }

    /// Only a message that we put aside ourselves has come another way before.
    fn original(&self, name: &str) -> Option<&str> {
        let is_ours = self.count(headers::ATTEMPT).is_some_and(|attempt| attempt > 1);
        if is_ours || self.redriven() > 0 { self.header(name) } else { None }
    }
}

/// Leaves out the headers, which may hold secrets.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("queue", &self.queue())
            .field("exchange", &self.exchange())
            .field("routing_key", &self.routing_key())
            .field("attempt", &self.attempt())
            .field("redelivered", &self.redelivered())
            .field("message_id", &self.message_id())
            .finish_non_exhaustive()
    }
}

impl FromContext for Delivery {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let delivery = context.extension::<Self>().cloned();
        delivery.ok_or_else(|| Error::other("the call came by no queue").into())
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "Delivery");
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::{AMQPValue, FieldTable};

    use super::*;

    #[test]
    fn a_publisher_cannot_claim_another_routing_key_than_it_used() {
        let mut table = FieldTable::default();
        table.insert(headers::ATTEMPT.into(), AMQPValue::LongLongInt(2));
        table.insert(headers::ORIGINAL_ROUTING_KEY.into(), headers::string("message.other"));
        let properties = BasicProperties::default().with_headers(table);
        let by = |exchange: &str| {
            let (queue, key) = (Arc::from("q"), "message.lobby".into());
            Delivery::new(queue, exchange.into(), key, false, properties.clone())
        };
        assert_eq!((by("im").attempt(), by("im").routing_key()), (1, "message.lobby"));
        assert_eq!((by("").attempt(), by("").routing_key()), (2, "message.other"));
    }
}
