//! The history of a message that failed: every attempt at handling it, in one of its headers.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lapin::types::{AMQPValue, FieldArray, FieldTable};
use polyport_bootstrap::{Fault, FaultKind};

use crate::{adapter::timestamp, delivery::Delivery, headers};

/// As many are kept, the last ones.
const MOST: usize = 20;
/// How much of a fault's message is kept, and of any other text, in bytes.
const MAX_MESSAGE: usize = 512;
const MAX_TEXT: usize = 255;

/// An attempt at handling a message that ended in a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Which one, from 1; it starts anew when a parked message is redriven.
    pub number: u32,
    /// When it ended, to the second.
    pub time: SystemTime,
    /// The machine that it was made on.
    pub host: String,
    /// The process there.
    pub pid: u32,
    /// The queue that the message was taken from.
    pub queue: String,
    /// The operation that handled it.
    pub operation: String,
    /// The kind of the fault.
    pub kind: FaultKind,
    /// The fault's reason.
    pub reason: String,
    /// The beginning of the fault's message.
    pub message: String,
}

/// Where this process's attempts are made.
#[derive(Debug)]
pub(crate) struct Place {
    host: String,
    pid: u32,
}

impl Place {
    pub(crate) fn here() -> Self {
        let named = fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let named = named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let host = named.or_else(|| std::env::var("HOSTNAME").ok());
        Self { host: host.unwrap_or_else(|| "unknown".to_owned()), pid: std::process::id() }
    }
}

/// The history of a message with the attempt that has just failed; what would take more than `room`
/// bytes is left out, the oldest first.
pub(crate) fn history(
    delivery: &Delivery,
    operation: &str,
    fault: &Fault,
    place: &Place,
    room: usize,
) -> AMQPValue {
    let mut all: Vec<_> = delivery.history().cloned().collect();
    all.push(AMQPValue::FieldTable(entry(delivery, operation, fault, place)));
    let (mut kept, mut size) = (0, 0);
    for entry in all.iter().rev().take(MOST) {
        size += headers::sized(entry);
        if size > room {
            break;
        }
        kept += 1;
    }
    AMQPValue::FieldArray(FieldArray::from(all.split_off(all.len() - kept)))
}

fn entry(delivery: &Delivery, operation: &str, fault: &Fault, place: &Place) -> FieldTable {
    let text = |text: &str| headers::string(headers::shortened(text, MAX_TEXT));
    let mut entry = FieldTable::default();
    for (name, value) in [
        ("number", AMQPValue::LongLongInt(delivery.attempt().into())),
        ("time", timestamp()),
        ("host", text(&place.host)),
        ("pid", AMQPValue::LongLongInt(place.pid.into())),
        ("queue", text(delivery.queue())),
        ("operation", text(operation)),
        ("kind", text(fault.kind().as_str())),
        ("reason", text(fault.reason())),
        ("message", headers::string(headers::shortened(fault.message(), MAX_MESSAGE))),
    ] {
        entry.insert(name.into(), value);
    }
    entry
}

/// Reads one entry of a history; none where it is not of this form.
pub(crate) fn read(entry: &AMQPValue) -> Option<Attempt> {
    let AMQPValue::FieldTable(entry) = entry else { return None };
    let value = |name: &str| entry.inner().get(name);
    let text = |name: &str| value(name).and_then(headers::text).map(str::to_owned);
    let number = |name: &str| u32::try_from(value(name).and_then(headers::integer)?).ok();
    let AMQPValue::Timestamp(seconds) = *value("time")? else { return None };
    Some(Attempt {
        number: number("number")?,
        time: UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?,
        host: text("host")?,
        pid: number("pid")?,
        queue: text("queue")?,
        operation: text("operation")?,
        kind: FaultKind::from_name(&text("kind")?)?,
        reason: text("reason")?,
        message: text("message")?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lapin::BasicProperties;

    use super::*;

    fn delivery(exchange: &str, history: Option<AMQPValue>) -> Delivery {
        let mut table = FieldTable::default();
        if let Some(history) = history {
            table.insert(headers::ATTEMPTS.into(), history);
        }
        let properties = BasicProperties::default().with_headers(table);
        Delivery::new(Arc::from("q"), exchange.into(), "q".into(), false, properties)
    }

    fn after(attempts: usize, room: usize) -> Vec<Attempt> {
        let (mut current, place) = (delivery("im", None), Place::here());
        for number in 0..attempts {
            let fault = Fault::unavailable("DOWN", format!("{number} {}", "x".repeat(2000)));
            current = delivery("", Some(history(&current, "op", &fault, &place, room)));
        }
        current.attempts()
    }

    #[test]
    fn every_attempt_is_kept_with_its_place_and_reason() {
        let attempts = after(3, 100_000);
        assert_eq!(attempts.len(), 3);
        let first = &attempts[0];
        assert_eq!((&*first.queue, &*first.operation, &*first.reason), ("q", "op", "DOWN"));
        assert_eq!((first.kind, first.pid), (FaultKind::Unavailable, std::process::id()));
        assert!(first.message.starts_with("0 x") && first.message.len() == MAX_MESSAGE);
        assert!(first.time.elapsed().is_ok_and(|since| since < Duration::from_secs(60)));
    }

    #[test]
    fn a_history_is_bounded_and_keeps_the_last() {
        let attempts = after(50, 100_000);
        assert_eq!(attempts.len(), MOST);
        assert!(attempts[MOST - 1].message.starts_with("49 "));
        let attempts = after(50, 2000);
        assert!((1..4).contains(&attempts.len()), "{}", attempts.len());
        assert!(attempts.last().is_some_and(|last| last.message.starts_with("49 ")));
        assert!(after(2, 0).is_empty());
    }

    #[test]
    fn what_a_publisher_claims_by_another_exchange_is_not_believed() {
        let fault = Fault::unavailable("DOWN", "");
        let claimed = history(&delivery("im", None), "op", &fault, &Place::here(), 9999);
        assert_eq!(delivery("", Some(claimed.clone())).attempts().len(), 1);
        assert!(delivery("im", Some(claimed)).attempts().is_empty());
    }

    #[test]
    fn what_is_no_history_is_none() {
        for strange in [
            AMQPValue::Void,
            headers::string("x"),
            AMQPValue::FieldArray(vec![AMQPValue::Void].into()),
        ] {
            assert!(delivery("", Some(strange)).attempts().is_empty());
        }
    }
}
