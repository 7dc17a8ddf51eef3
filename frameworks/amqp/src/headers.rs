//! Header tables: read with care, since anybody may have written them.

use http::{HeaderMap, HeaderName, HeaderValue};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::Value;

/// How often this message was handled before, plus one; ours alone, since RabbitMQ 4 ignores a
/// client's `x-death`.
pub(crate) const ATTEMPT: &str = "x-polyport-attempt";
/// The history of its attempts.
pub(crate) const ATTEMPTS: &str = "x-polyport-attempts";
/// How often it was brought back from where it was parked.
pub(crate) const REDRIVEN: &str = "x-polyport-redriven";
/// The number by which a returned message is recognised.
pub(crate) const SEQUENCE: &str = "x-polyport-sequence";
/// The request id of the call that a message belongs to.
pub(crate) const REQUEST_ID: &str = "x-request-id";
/// Which of several replies to one request this is, from 1.
pub(crate) const ITEM: &str = "x-polyport-item";
/// Whether it is the last of them.
pub(crate) const LAST: &str = "x-polyport-last";
/// The exchange that a message came by first (Spring's name).
pub(crate) const ORIGINAL_EXCHANGE: &str = "x-original-exchange";
/// The routing key that it came by first (Spring's name).
pub(crate) const ORIGINAL_ROUTING_KEY: &str = "x-original-routingKey";
/// The queue that it was taken from.
pub(crate) const ORIGINAL_QUEUE: &str = "x-original-queue";

/// The kind of the fault that a reply or a parked message tells of; a reply without is a value.
pub(crate) const FAULT_KIND: &str = "x-exception-kind";
/// The fault's reason.
pub(crate) const FAULT_REASON: &str = "x-exception-reason";

/// Headers that make RabbitMQ route copies to further queues ("sender-selected distribution").
const ROUTING: [&str; 2] = ["CC", "BCC"];

/// Whether a header would route the message elsewhere.
pub(crate) fn is_routing(name: &str) -> bool {
    ROUTING.contains(&name)
}

/// A string of whatever AMQP type, if it is UTF-8.
pub(crate) fn text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        AMQPValue::ByteArray(bytes) => std::str::from_utf8(bytes.as_slice()).ok(),
        _ => None,
    }
}

/// An integer of whatever AMQP type.
pub(crate) fn integer(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(number) => Some(number.into()),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => Some(number.into()),
        AMQPValue::ShortUInt(number) => Some(number.into()),
        AMQPValue::LongInt(number) => Some(number.into()),
        AMQPValue::LongUInt(number) => Some(number.into()),
        AMQPValue::LongLongInt(number) => Some(number),
        _ => None,
    }
}

/// The value of a header, by its exact name.
pub(crate) fn get<'a>(table: Option<&'a FieldTable>, name: &str) -> Option<&'a AMQPValue> {
    table?.inner().get(name)
}

/// The headers that can stand in a call's metadata: strings, and integers as text, under names that
/// HTTP allows too.
pub(crate) fn metadata(table: Option<&FieldTable>) -> HeaderMap {
    let mut map = HeaderMap::new();
    // Our own number, which every message has that polyport publishes, is of no use to anybody.
    let others = table.into_iter().flatten().filter(|(name, _)| name.as_str() != SEQUENCE);
    for (name, value) in others {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let number = || integer(value).map(|number| Ok(HeaderValue::from(number)));
        let value = text(value).map(|text| HeaderValue::from_bytes(text.as_bytes()));
        let value = value.or_else(number);
        if let (Ok(name), Some(Ok(value))) = (name, value)
            && map.try_append(name, value).is_err()
        {
            break;
        }
    }
    map
}

/// What a reply says in headers, as AMQP tables hold it; what is not text is left out.
pub(crate) fn of_reply(headers: Option<&HeaderMap>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in headers.into_iter().flatten() {
        let name = ShortString::try_new(name.as_str());
        if let (Ok(name), Ok(text)) = (name, std::str::from_utf8(value.as_bytes())) {
            table.insert(name, string(text));
        }
    }
    table
}

/// A string as AMQP tables hold it.
pub(crate) fn string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.as_bytes().into())
}

/// The beginning of a text, no longer than `bytes`.
pub(crate) fn shortened(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// What JSON says, as AMQP tables hold it.
pub(crate) fn value(json: &Value) -> AMQPValue {
    match json {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => number
            .as_i64()
            .map(AMQPValue::LongLongInt)
            .unwrap_or_else(|| AMQPValue::Double(number.as_f64().unwrap_or_default())),
        Value::String(text) => string(text),
        Value::Array(items) => {
            AMQPValue::FieldArray(items.iter().map(value).collect::<Vec<_>>().into())
        }
        Value::Object(fields) => AMQPValue::FieldTable(table(fields)),
    }
}

/// A table of JSON values; names that AMQP cannot carry (over 255 bytes) are left out.
pub(crate) fn table<'a>(fields: impl IntoIterator<Item = (&'a String, &'a Value)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, json) in fields {
        if let Ok(name) = ShortString::try_new(name.as_str()) {
            table.insert(name, value(json));
        }
    }
    table
}

/// How many bytes a table takes on the wire.
pub(crate) fn size(table: &FieldTable) -> usize {
    4 + table.into_iter().map(|(name, value)| 1 + name.as_str().len() + sized(value)).sum::<usize>()
}

/// How many bytes a value takes on the wire.
pub(crate) fn sized(value: &AMQPValue) -> usize {
    1 + match value {
        AMQPValue::Void => 0,
        AMQPValue::Boolean(_) | AMQPValue::ShortShortInt(_) | AMQPValue::ShortShortUInt(_) => 1,
        AMQPValue::ShortInt(_) | AMQPValue::ShortUInt(_) => 2,
        AMQPValue::LongInt(_) | AMQPValue::LongUInt(_) | AMQPValue::Float(_) => 4,
        AMQPValue::DecimalValue(_) => 5,
        AMQPValue::LongLongInt(_) | AMQPValue::Double(_) | AMQPValue::Timestamp(_) => 8,
        AMQPValue::ShortString(text) => 4 + text.as_str().len(),
        AMQPValue::LongString(text) => 4 + text.len(),
        AMQPValue::ByteArray(bytes) => 4 + bytes.len(),
        AMQPValue::FieldArray(items) => 4 + items.as_slice().iter().map(sized).sum::<usize>(),
        AMQPValue::FieldTable(table) => size(table),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = AMQPValue> {
        let leaf = prop_oneof![
            Just(AMQPValue::Void),
            any::<bool>().prop_map(AMQPValue::Boolean),
            any::<i64>().prop_map(AMQPValue::LongLongInt),
            any::<u16>().prop_map(AMQPValue::ShortUInt),
            any::<f32>().prop_map(AMQPValue::Float),
            any::<Vec<u8>>().prop_map(|bytes| AMQPValue::LongString(bytes.into())),
            any::<Vec<u8>>().prop_map(|bytes| AMQPValue::ByteArray(bytes.into())),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            proptest::collection::vec(inner, 0..4)
                .prop_map(|items| AMQPValue::FieldArray(items.into()))
        })
    }

    fn tables() -> impl Strategy<Value = FieldTable> {
        proptest::collection::btree_map("\\PC{0,60}", values(), 0..8).prop_map(|map| {
            map.into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect::<std::collections::BTreeMap<_, _>>()
                .into()
        })
    }

    proptest! {
        #[test]
        fn no_table_makes_the_metadata_panic(table in tables()) {
            let map = metadata(Some(&table));
            prop_assert!(map.len() <= table.inner().len());
        }

        #[test]
        fn a_tables_size_is_what_it_takes_on_the_wire(table in tables()) {
            let written = lapin::types::generation::gen_field_table(&table)(Vec::new().into());
            let (bytes, _) = written.expect("written to memory").into_inner();
            prop_assert_eq!(size(&table), bytes.len());
        }
    }

    #[test]
    fn more_headers_than_a_map_can_hold_are_cut_off() {
        let mut table = FieldTable::default();
        for number in 0..70_000 {
            table.insert(format!("h{number}").into(), string("x"));
        }
        assert!(metadata(Some(&table)).len() > 20_000);
    }

    #[test]
    fn metadata_takes_strings_and_integers_of_every_type_and_nothing_else() {
        let mut table = FieldTable::default();
        table.insert("Tenant".into(), string("acme"));
        table.insert("short".into(), AMQPValue::ShortString("s".into()));
        table.insert("number".into(), AMQPValue::LongInt(1));
        table.insert("double".into(), AMQPValue::Double(1.5));
        table.insert("not a name".into(), string("x"));
        table.insert("control".into(), string("a\nb"));
        table.insert("broken".into(), AMQPValue::LongString(vec![0xff].into()));
        let map = metadata(Some(&table));
        assert_eq!(map.len(), 3);
        assert_eq!(map["tenant"], "acme");
        assert_eq!(map["number"], "1");
        assert_eq!(map["short"], "s");
    }

    #[test]
    fn json_becomes_the_types_that_rabbitmq_knows() {
        assert_eq!(value(&json!(1000)), AMQPValue::LongLongInt(1000));
        assert_eq!(value(&json!("quorum")), string("quorum"));
        assert_eq!(value(&json!(1.5)), AMQPValue::Double(1.5));
        let AMQPValue::FieldTable(table) = value(&json!({ "a": [true] })) else {
            panic!("a table")
        };
        assert_eq!(size(&table), 4 + 2 + 1 + 4 + 2);
    }
}
