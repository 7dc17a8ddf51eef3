//! Messages that are put aside: to wait for their next attempt, or for good.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use polyport_bootstrap::Fault;

use super::Incoming;
use crate::{
    adapter::timestamp,
    attempts::{self, Place},
    delivery::Delivery,
    headers,
    publisher::{Outgoing, max_headers},
};

/// How much of a fault's message goes along, in bytes.
const MAX_MESSAGE: usize = 4096;

/// How a message failed, and what it is to remember of that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure<'a> {
    pub(crate) fault: &'a Fault,
    pub(crate) place: &'a Place,
    /// The longest frame that the broker takes.
    pub(crate) frame_max: usize,
}

/// The message, on its way to the queue where it waits for its next attempt.
pub(crate) fn retry(incoming: &Incoming, queue: &str, failure: Failure<'_>) -> Option<Outgoing> {
    let mut marks = marks(incoming, failure);
    let next = i64::from(incoming.delivery.attempt()) + 1;
    marks.push((headers::ATTEMPT, AMQPValue::LongLongInt(next)));
    moved(incoming, queue, marks, failure.frame_max)
}

/// The message, on its way to the dead letters, with the reason.
pub(crate) fn park(incoming: &Incoming, queue: &str, failure: Failure<'_>) -> Option<Outgoing> {
    let (delivery, fault) = (&incoming.delivery, failure.fault);
    let mut marks = marks(incoming, failure);
    marks.extend([
        (headers::ATTEMPT, AMQPValue::LongLongInt(delivery.attempt().into())),
        (headers::ORIGINAL_QUEUE, headers::string(delivery.queue())),
        (headers::REQUEST_ID, headers::string(incoming.id.as_str())),
        ("x-exception-message", headers::string(shortened(fault.message()))),
        ("x-exception-time", timestamp()),
    ]);
    marks.extend(marks_of(fault));
    moved(incoming, queue, marks, failure.frame_max)
}

/// What says that a message tells of a fault, and of which.
pub(crate) fn marks_of(fault: &Fault) -> [(&'static str, AMQPValue); 2] {
    [
        (headers::FAULT_KIND, headers::string(fault.kind().as_str())),
        (headers::FAULT_REASON, headers::string(shortened(fault.reason()))),
    ]
}

/// The way by which it came first, and its attempts.
fn marks(incoming: &Incoming, failure: Failure<'_>) -> Vec<(&'static str, AMQPValue)> {
    let (delivery, operation) = (&incoming.delivery, incoming.endpoint.info().name());
    let room = history_room(delivery, failure.frame_max);
    let history = attempts::history(delivery, operation, failure.fault, failure.place, room);
    let mut marks = origin(delivery);
    marks.push((headers::ATTEMPTS, history));
    marks
}

/// How many bytes the history may take: at most half of what fits, and what the message's own headers
/// leave, since those count more.
fn history_room(delivery: &Delivery, frame_max: usize) -> usize {
    /// What the other marks may take.
    const OTHERS: usize = 3 * MAX_MESSAGE;
    let max = max_headers(frame_max);
    let table = delivery.properties().headers().as_ref();
    let before = headers::get(table, headers::ATTEMPTS).map_or(0, headers::sized);
    let own = table.map_or(0, headers::size).saturating_sub(before);
    max.saturating_sub(own + OTHERS).min(max / 2)
}

fn origin(delivery: &Delivery) -> Vec<(&'static str, AMQPValue)> {
    vec![
        (headers::ORIGINAL_EXCHANGE, headers::string(delivery.exchange())),
        (headers::ORIGINAL_ROUTING_KEY, headers::string(delivery.routing_key())),
    ]
}

fn shortened(text: &str) -> &str {
    headers::shortened(text, MAX_MESSAGE)
}

fn moved(
    incoming: &Incoming,
    queue: &str,
    marks: Vec<(&'static str, AMQPValue)>,
    frame_max: usize,
) -> Option<Outgoing> {
    Some(Outgoing {
        exchange: "".into(),
        routing_key: ShortString::try_new(queue).ok()?,
        properties: kept(incoming.delivery.properties(), marks, frame_max),
        body: incoming.body.clone(),
        // Should the queue be gone, the message must not be: it then goes back to its own.
        mandatory: true,
        is_move: true,
    })
}

fn kept(
    properties: &BasicProperties,
    marks: Vec<(&'static str, AMQPValue)>,
    frame_max: usize,
) -> BasicProperties {
    movable(properties).with_headers(marked(properties.headers().as_ref(), marks, frame_max))
}

/// The properties of a message that is moved, without its headers: all but those that would make the
/// broker drop it (its expiration), refuse it (a user that is not ours), or lose it to the disk.
pub(crate) fn movable(properties: &BasicProperties) -> BasicProperties {
    let mut kept = BasicProperties::default().with_delivery_mode(2);
    macro_rules! keep {
        ($($get:ident => $with:ident;)*) => {
            $(if let Some(value) = properties.$get() {
                kept = kept.$with(value.clone());
            })*
        };
    }
    keep! {
        content_type => with_content_type;
        content_encoding => with_content_encoding;
        priority => with_priority;
        correlation_id => with_correlation_id;
        reply_to => with_reply_to;
        message_id => with_message_id;
        timestamp => with_timestamp;
        kind => with_type;
        app_id => with_app_id;
    }
    kept
}

/// The message's headers with ours. Where both together would not fit into a frame, and so cost
/// the connection, only ours are left.
fn marked(
    table: Option<&FieldTable>,
    marks: Vec<(&'static str, AMQPValue)>,
    frame_max: usize,
) -> FieldTable {
    let mut ours = FieldTable::default();
    for (name, value) in marks {
        ours.insert(name.into(), value);
    }
    let room = max_headers(frame_max).saturating_sub(headers::size(&ours));
    match table {
        Some(table) if headers::size(table) > room => {
            ours.insert("x-polyport-headers-dropped".into(), AMQPValue::Boolean(true));
            ours
        }
        Some(table) => united(table, ours),
        None => ours,
    }
}

fn united(table: &FieldTable, ours: FieldTable) -> FieldTable {
    let mut all = table.inner().clone();
    all.retain(|name, _| !headers::is_routing(name.as_str()) && name.as_str() != headers::SEQUENCE);
    all.extend(ours.inner().clone());
    all.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use polyport_bootstrap::operation::Endpoint;

    use super::*;

    const FRAME: usize = 131_072;

    fn incoming(properties: BasicProperties) -> Incoming {
        let delivery =
            Delivery::new(Arc::from("q"), "im".into(), "message.lobby".into(), false, properties);
        Incoming::of(delivery, Bytes::from_static(b"{}"), 1, Endpoint::json(operation))
    }

    async fn operation() -> Result<(), Fault> {
        Ok(())
    }

    fn retried(incoming: &Incoming, queue: &str) -> Outgoing {
        let fault = Fault::unavailable("DOWN", "away");
        let failure = Failure { fault: &fault, place: &Place::here(), frame_max: FRAME };
        retry(incoming, queue, failure).expect("a message")
    }

    fn header<'a>(outgoing: &'a Outgoing, name: &str) -> Option<&'a AMQPValue> {
        headers::get(outgoing.properties.headers().as_ref(), name)
    }

    fn again(outgoing: Outgoing) -> Incoming {
        let queue = Arc::from("q");
        let delivery =
            Delivery::new(queue, "".into(), outgoing.routing_key, false, outgoing.properties);
        Incoming::of(delivery, outgoing.body, 2, Endpoint::json(operation))
    }

    #[test]
    fn an_attempt_is_counted_and_the_origin_kept() {
        let first = incoming(BasicProperties::default().with_message_id("m1".into()));
        let second = again(retried(&first, "q.retry.1s"));
        assert_eq!(second.delivery.attempt(), 2);
        assert_eq!(second.delivery.exchange(), "im");
        assert_eq!(second.delivery.routing_key(), "message.lobby");
        assert_eq!(second.delivery.message_id(), Some("m1"));
        let third = again(retried(&second, "q.retry.5s"));
        assert_eq!((third.delivery.attempt(), third.delivery.exchange()), (3, "im"));
    }

    #[test]
    fn what_would_lose_the_message_is_left_out() {
        let mut table = FieldTable::default();
        table.insert("CC".into(), headers::string("elsewhere"));
        table.insert("x-tenant".into(), headers::string("acme"));
        let properties = BasicProperties::default()
            .with_expiration("10".into())
            .with_user_id("somebody".into())
            .with_headers(table);
        let moved = retried(&incoming(properties), "q.retry.1s");
        assert!(moved.properties.expiration().is_none() && moved.properties.user_id().is_none());
        assert!(moved.mandatory && header(&moved, "CC").is_none());
        assert_eq!(header(&moved, "x-tenant"), Some(&headers::string("acme")));
    }

    #[test]
    fn a_parked_message_tells_why() {
        let fault = Fault::not_found("NO_ROOM", "x".repeat(9000));
        let failure = Failure { fault: &fault, place: &Place::here(), frame_max: FRAME };
        let properties = BasicProperties::default().with_message_id("r1".into());
        let parked = park(&incoming(properties), "q.dead", failure);
        let parked = parked.expect("a message");
        for (name, value) in [
            ("x-exception-kind", "NOT_FOUND"),
            ("x-exception-reason", "NO_ROOM"),
            ("x-original-exchange", "im"),
            ("x-original-routingKey", "message.lobby"),
            ("x-original-queue", "q"),
            ("x-request-id", "r1"),
        ] {
            assert_eq!(header(&parked, name), Some(&headers::string(value)), "{name}");
        }
        let message = header(&parked, "x-exception-message").and_then(headers::text);
        assert_eq!(message.map(str::len), Some(MAX_MESSAGE));
        assert!(matches!(header(&parked, "x-exception-time"), Some(AMQPValue::Timestamp(_))));
    }

    #[test]
    fn the_history_makes_room_for_the_messages_own_headers() {
        let mut table = FieldTable::default();
        table.insert("big".into(), headers::string(&"x".repeat(125_000)));
        let properties = BasicProperties::default().with_headers(table);
        let mut current = incoming(properties);
        for _ in 0..5 {
            let moved = retried(&current, "q.retry.1s");
            moved.check(0, FRAME).expect("fits");
            assert!(header(&moved, "big").is_some());
            current = again(moved);
        }
        assert_eq!((current.delivery.attempt(), current.delivery.attempts().len()), (6, 0));
    }

    #[test]
    fn headers_that_leave_no_room_for_ours_are_dropped() {
        let mut table = FieldTable::default();
        table.insert("big".into(), headers::string(&"x".repeat(126_900)));
        let properties = BasicProperties::default().with_headers(table);
        let moved = retried(&incoming(properties), "q.retry.1s");
        moved.check(0, FRAME).expect("fits now");
        assert!(header(&moved, "big").is_none());
        assert_eq!(header(&moved, headers::ATTEMPT), Some(&AMQPValue::LongLongInt(2)));
    }
}
