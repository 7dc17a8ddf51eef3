//! Binary mode: the attributes are headers, and the body is the data (section 3.1 of the binding).

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use lapin::types::AMQPValue;

use super::CloudEvent;
use crate::{delivery::Delivery, headers};

/// What stands before the name of an attribute: the first where AMQP clients of other languages
/// cannot write a colon.
const PREFIXES: [&str; 2] = ["cloudEvents_", "cloudEvents:"];

/// The header in which an attribute is published.
pub(crate) fn header_name(attribute: &str) -> String {
    format!("{}{attribute}", PREFIXES[0])
}

/// An attribute that is a string.
pub(super) fn attribute<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a str> {
    let table = delivery.properties().headers().as_ref()?;
    PREFIXES.iter().find_map(|prefix| {
        let of_name = |header: &str| header.strip_prefix(prefix) == Some(name);
        table
            .into_iter()
            .find(|(header, _)| of_name(header.as_str()))
            .and_then(|(_, value)| headers::text(value))
    })
}

/// The event that a message says to be.
///
/// # Errors
/// Says what is missing.
pub(super) fn read(delivery: &Delivery) -> Result<CloudEvent, String> {
    let mut attributes = BTreeMap::new();
    for (header, value) in delivery.properties().headers().iter().flatten() {
        let name = PREFIXES.iter().find_map(|prefix| header.as_str().strip_prefix(prefix));
        if let (Some(name), Some(text)) = (name, text(value)) {
            attributes.insert(name.to_owned(), text);
        }
    }
    if attributes.is_empty() {
        return Err("it has no headers of one, and is of another content type".to_owned());
    }
    CloudEvent::of_attributes(attributes)
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::Boolean(value) => Some(value.to_string()),
        // A longer time overflows the clock.
        AMQPValue::Timestamp(seconds) => {
            let time = UNIX_EPOCH.checked_add(Duration::from_secs(*seconds))?;
            let longest = Duration::from_secs(253_402_300_799);
            let fits = time.duration_since(UNIX_EPOCH).is_ok_and(|since| since <= longest);
            fits.then(|| humantime::format_rfc3339_seconds(time).to_string())
        }
        value => headers::text(value)
            .map(str::to_owned)
            .or_else(|| headers::integer(value).map(|number| number.to_string())),
    }
}
