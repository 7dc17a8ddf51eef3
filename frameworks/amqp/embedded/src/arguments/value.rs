//! Values of AMQP's types, of which clients send the same number or text in several.

use amq_protocol::types::AMQPValue;

/// Equality over the types in which clients send the same number or text.
pub(crate) fn same_value(left: &AMQPValue, right: &AMQPValue) -> bool {
    match (integer(left), integer(right), bytes(left), bytes(right)) {
        (Some(left), Some(right), ..) => left == right,
        (_, _, Some(left), Some(right)) => left == right,
        _ => left == right,
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

/// The bytes of a value of any AMQP string type.
pub(crate) fn bytes(value: &AMQPValue) -> Option<&[u8]> {
    match value {
        AMQPValue::LongString(text) => Some(text.as_bytes()),
        AMQPValue::ShortString(text) => Some(text.as_str().as_bytes()),
        AMQPValue::ByteArray(bytes) => Some(bytes.as_slice()),
        _ => None,
    }
}
