//! Dead letters: messages that leave a queue unconsumed, and the `x-death` header they carry.

use std::time::{SystemTime, UNIX_EPOCH};

use amq_protocol::{
    protocol::BasicProperties,
    types::{AMQPValue, FieldArray, FieldTable},
};

use crate::{
    arguments::{DeadLetterTarget, bytes},
    message::{Message, Name},
};

/// Why a message died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Rejected,
    Expired,
    MaxLength,
    DeliveryLimit,
}

impl Reason {
    const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// A message on its way to a dead letter exchange.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) message: Message,
    reason: Reason,
}

impl DeadLetter {
    /// What becomes of `message` when it dies in `queue`. Its `expiration` goes, so that it does
    /// not expire again where it comes to.
    pub(crate) fn new(
        queue: &Name,
        message: &Message,
        target: &DeadLetterTarget,
        reason: Reason,
    ) -> Self {
        let headers = with_death(queue, message, reason);
        let message = Message {
            exchange: target.exchange.clone(),
            routing_key: target.routing_key.as_ref().unwrap_or(&message.routing_key).clone(),
            properties: without_expiration(&message.properties).with_headers(headers),
            body: message.body.clone(),
        };
        Self { message, reason }
    }

    /// Whether the message has come round to `queue` by itself: it died there before, and no
    /// consumer has rejected it since. Such a message is dropped, or it would circle for ever.
    pub(crate) fn circles_to(&self, queue: &Name) -> bool {
        let since = deaths(self.message.headers());
        let Some(last) = since.iter().position(|death| is(death, "queue", queue.as_str())) else {
            return false;
        };
        self.reason != Reason::Rejected
            && since[..=last].iter().all(|death| !is(death, "reason", Reason::Rejected.name()))
    }
}

/// The message's headers after this death, as RabbitMQ writes them: one table for each queue and
/// reason in `x-death`, the latest first, and the first death in headers of its own.
fn with_death(queue: &Name, message: &Message, reason: Reason) -> FieldTable {
    let mut headers = message.headers().cloned().unwrap_or_default();
    let (same, mut others): (Vec<_>, Vec<_>) =
        deaths(Some(&headers)).iter().cloned().partition(|death| {
            is(death, "queue", queue.as_str()) && is(death, "reason", reason.name())
        });
    let latest = match same.into_iter().next() {
        Some(AMQPValue::FieldTable(death)) => counted_up(death),
        _ => death(queue, message, reason),
    };
    others.insert(0, AMQPValue::FieldTable(latest));
    headers.insert("x-death".into(), AMQPValue::FieldArray(FieldArray::from(others)));
    if !headers.contains_key("x-first-death-reason") {
        headers.insert("x-first-death-reason".into(), text(reason.name()));
        headers.insert("x-first-death-queue".into(), text(queue.as_str()));
        headers.insert("x-first-death-exchange".into(), text(message.exchange.as_str()));
    }
    headers
}

fn death(queue: &Name, message: &Message, reason: Reason) -> FieldTable {
    let mut death = FieldTable::default();
    let keys = vec![text(message.routing_key.as_str())];
    death.insert("count".into(), AMQPValue::LongLongInt(1));
    death.insert("reason".into(), text(reason.name()));
    death.insert("queue".into(), text(queue.as_str()));
    death.insert("time".into(), AMQPValue::Timestamp(seconds_since_epoch()));
    death.insert("exchange".into(), text(message.exchange.as_str()));
    death.insert("routing-keys".into(), AMQPValue::FieldArray(keys.into()));
    if let Some(expiration) = message.properties.expiration() {
        death.insert("original-expiration".into(), text(expiration.as_str()));
    }
    death
}

fn counted_up(mut death: FieldTable) -> FieldTable {
    let count = match death.inner().get("count") {
        Some(AMQPValue::LongLongInt(count)) => *count,
        _ => 0,
    };
    death.insert("count".into(), AMQPValue::LongLongInt(count.saturating_add(1)));
    death
}

fn deaths(headers: Option<&FieldTable>) -> &[AMQPValue] {
    match headers.and_then(|headers| headers.inner().get("x-death")) {
        Some(AMQPValue::FieldArray(deaths)) => deaths.as_slice(),
        _ => &[],
    }
}

fn is(death: &AMQPValue, key: &str, expected: &str) -> bool {
    let value = death.as_field_table().and_then(|death| death.inner().get(key));
    value.and_then(bytes) == Some(expected.as_bytes())
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn seconds_since_epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// A copy without `expiration` and headers: amq-protocol sets properties but does not unset them.
fn without_expiration(properties: &BasicProperties) -> BasicProperties {
    let from = properties.clone();
    let mut copy = BasicProperties::default();
    macro_rules! copy {
        ($($get:ident => $set:ident),+ $(,)?) => {
            $(if let Some(value) = from.$get().clone() { copy = copy.$set(value); })+
        };
    }
    copy!(
        content_type => with_content_type,
        content_encoding => with_content_encoding,
        delivery_mode => with_delivery_mode,
        priority => with_priority,
        correlation_id => with_correlation_id,
        reply_to => with_reply_to,
        message_id => with_message_id,
        timestamp => with_timestamp,
        kind => with_type,
        user_id => with_user_id,
        app_id => with_app_id,
        cluster_id => with_cluster_id,
    );
    copy
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn published(properties: BasicProperties) -> Message {
        Message {
            exchange: "events".into(),
            routing_key: "a.b".into(),
            properties,
            body: Bytes::from_static(b"body"),
        }
    }

    fn to(exchange: &str) -> DeadLetterTarget {
        DeadLetterTarget { exchange: exchange.into(), routing_key: None }
    }

    #[test]
    fn expiration_is_removed_and_kept_in_the_header_and_the_rest_stays() {
        let properties = BasicProperties::default()
            .with_expiration("50".into())
            .with_message_id("m".into())
            .with_type("t".into());
        let dead = DeadLetter::new(&"q".into(), &published(properties), &to("x"), Reason::Expired);
        assert_eq!(dead.message.properties.expiration(), &None);
        assert_eq!(dead.message.properties.message_id(), &Some("m".into()));
        assert_eq!(dead.message.properties.kind(), &Some("t".into()));
        assert!(is(&deaths(dead.message.headers())[0], "original-expiration", "50"));
    }

    #[test]
    fn a_repeated_death_is_counted_and_moves_to_the_front() {
        let first = published(BasicProperties::default());
        let work = DeadLetter::new(&"work".into(), &first, &to("x"), Reason::Rejected);
        let wait = DeadLetter::new(&"wait".into(), &work.message, &to("x"), Reason::Expired);
        let again = DeadLetter::new(&"work".into(), &wait.message, &to("x"), Reason::Rejected);
        let deaths = deaths(again.message.headers());
        assert_eq!(deaths.len(), 2);
        assert!(is(&deaths[0], "queue", "work"));
        let count = deaths[0].as_field_table().unwrap().inner().get("count");
        assert_eq!(count, Some(&AMQPValue::LongLongInt(2)));
    }

    #[test]
    fn only_a_cycle_without_a_reject_is_one() {
        let first = published(BasicProperties::default());
        let expired = DeadLetter::new(&"wait".into(), &first, &to("x"), Reason::Expired);
        assert!(expired.circles_to(&"wait".into()));
        assert!(!expired.circles_to(&"work".into()));
        let rejected =
            DeadLetter::new(&"work".into(), &expired.message, &to("x"), Reason::Rejected);
        let retried = DeadLetter::new(&"wait".into(), &rejected.message, &to("x"), Reason::Expired);
        assert!(!rejected.circles_to(&"work".into()));
        assert!(!retried.circles_to(&"work".into()));
    }
}
