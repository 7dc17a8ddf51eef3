//! Messages that are put aside: to wait for their next attempt, or for good.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use polyport_bootstrap::{Fault, operation::RequestId};

use super::Incoming;
use crate::{
    adapter::timestamp,
    delivery::Delivery,
    headers,
    publisher::{Outgoing, max_headers},
};

/// How much of a fault's message goes along, in bytes.
const MAX_MESSAGE: usize = 4096;

/// The message, on its way to the queue where it waits for its next attempt.
pub(crate) fn retry(incoming: &Incoming, queue: &str, frame_max: usize) -> Option<Outgoing> {
    let mut marks = origin(&incoming.delivery);
    let next = i64::from(incoming.delivery.attempt()) + 1;
    marks.push((headers::ATTEMPT, AMQPValue::LongLongInt(next)));
    moved(incoming, queue, marks, frame_max)
}

/// The message, on its way to the dead letters, with the reason.
pub(crate) fn park(
    incoming: &Incoming,
    queue: &str,
    fault: &Fault,
    request_id: &RequestId,
    frame_max: usize,
) -> Option<Outgoing> {
    let delivery = &incoming.delivery;
    let mut marks = origin(delivery);
    marks.extend([
        (headers::ATTEMPT, AMQPValue::LongLongInt(delivery.attempt().into())),
        (headers::ORIGINAL_QUEUE, headers::string(delivery.queue())),
        (headers::REQUEST_ID, headers::string(request_id.as_str())),
        ("x-exception-message", headers::string(shortened(fault.message()))),
        ("x-exception-time", timestamp()),
    ]);
    marks.extend(marks_of(fault));
    moved(incoming, queue, marks, frame_max)
}

/// What says that a message tells of a fault, and of which.
pub(crate) fn marks_of(fault: &Fault) -> [(&'static str, AMQPValue); 2] {
    [
        (headers::FAULT_KIND, headers::string(fault.kind().as_str())),
        (headers::FAULT_REASON, headers::string(shortened(fault.reason()))),
    ]
}

fn origin(delivery: &Delivery) -> Vec<(&'static str, AMQPValue)> {
    vec![
        (headers::ORIGINAL_EXCHANGE, headers::string(delivery.exchange())),
        (headers::ORIGINAL_ROUTING_KEY, headers::string(delivery.routing_key())),
    ]
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_MESSAGE)]
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

/// The message's properties, but for those that would make the broker drop it (its expiration),
/// refuse it (a user that is not ours), or lose it to the disk.
fn kept(
    properties: &BasicProperties,
    marks: Vec<(&'static str, AMQPValue)>,
    frame_max: usize,
) -> BasicProperties {
    let mut kept = BasicProperties::default().with_delivery_mode(2).with_headers(marked(
        properties.headers().as_ref(),
        marks,
        frame_max,
    ));
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

    use super::*;

    const FRAME: usize = 131_072;

    fn incoming(properties: BasicProperties) -> Incoming {
        let delivery =
            Delivery::new(Arc::from("q"), "im".into(), "message.lobby".into(), false, properties);
        Incoming { delivery, body: Bytes::from_static(b"{}"), tag: 1 }
    }

    fn header<'a>(outgoing: &'a Outgoing, name: &str) -> Option<&'a AMQPValue> {
        headers::get(outgoing.properties.headers().as_ref(), name)
    }

    fn again(outgoing: Outgoing) -> Incoming {
        let queue = Arc::from("q");
        let delivery =
            Delivery::new(queue, "".into(), outgoing.routing_key, false, outgoing.properties);
        Incoming { delivery, body: outgoing.body, tag: 2 }
    }

    #[test]
    fn an_attempt_is_counted_and_the_origin_kept() {
        let first = incoming(BasicProperties::default().with_message_id("m1".into()));
        let second = again(retry(&first, "q.retry.1s", FRAME).expect("a message"));
        assert_eq!(second.delivery.attempt(), 2);
        assert_eq!(second.delivery.exchange(), "im");
        assert_eq!(second.delivery.routing_key(), "message.lobby");
        assert_eq!(second.delivery.message_id(), Some("m1"));
        let third = again(retry(&second, "q.retry.5s", FRAME).expect("a message"));
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
        let moved = retry(&incoming(properties), "q.retry.1s", FRAME).expect("a message");
        assert!(moved.properties.expiration().is_none() && moved.properties.user_id().is_none());
        assert!(moved.mandatory && header(&moved, "CC").is_none());
        assert_eq!(header(&moved, "x-tenant"), Some(&headers::string("acme")));
    }

    #[test]
    fn a_parked_message_tells_why() {
        let fault = Fault::not_found("NO_ROOM", "x".repeat(9000));
        let id = RequestId::from_peer(Some("r1"));
        let parked = park(&incoming(BasicProperties::default()), "q.dead", &fault, &id, FRAME);
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
    fn headers_that_leave_no_room_for_ours_are_dropped() {
        let mut table = FieldTable::default();
        table.insert("big".into(), headers::string(&"x".repeat(126_900)));
        let properties = BasicProperties::default().with_headers(table);
        let moved = retry(&incoming(properties), "q.retry.1s", FRAME).expect("a message");
        moved.check(0, FRAME).expect("fits now");
        assert!(header(&moved, "big").is_none());
        assert_eq!(header(&moved, headers::ATTEMPT), Some(&AMQPValue::LongLongInt(2)));
    }
}
