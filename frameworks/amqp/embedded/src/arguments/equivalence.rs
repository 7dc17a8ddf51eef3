//! Whether two declarations mean the same queue.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::{
    reader::KNOWN,
    value::{bytes, integer, same_value},
};
use crate::exception::{Exception, ReplyCode};

/// Whether the arguments of two declarations of one queue mean the same. Arguments that nobody
/// knows are not compared, as in RabbitMQ.
///
/// # Errors
/// 406, which names the first argument that differs.
pub(crate) fn check_equivalent(
    current: &FieldTable,
    declared: &FieldTable,
    label: &str,
) -> Result<(), Exception> {
    for (key, _) in KNOWN {
        let (current, declared) = (current.inner().get(key), declared.inner().get(key));
        if !same(key, current, declared) {
            let (declared, current) = describe(declared, current);
            return Err(inequivalent(key, label, &declared, &current));
        }
    }
    Ok(())
}

fn same(key: &str, current: Option<&AMQPValue>, declared: Option<&AMQPValue>) -> bool {
    let classic = AMQPValue::LongString("classic".into());
    let default = (key == "x-queue-type").then_some(&classic);
    match (current.or(default), declared.or(default)) {
        (Some(current), Some(declared)) => same_value(current, declared),
        (current, declared) => current.is_none() && declared.is_none(),
    }
}

/// The exception for two declarations that differ in `key`.
pub(crate) fn inequivalent(key: &str, label: &str, declared: &str, current: &str) -> Exception {
    ReplyCode::PreconditionFailed.because(format!(
        "inequivalent arg '{key}' for {label}: received {declared} but current is {current}"
    ))
}

/// Both values in RabbitMQ's words: two numbers are told by themselves, all else with its type.
fn describe(declared: Option<&AMQPValue>, current: Option<&AMQPValue>) -> (String, String) {
    match (declared.and_then(integer), current.and_then(integer)) {
        (Some(declared), Some(current)) => (format!("'{declared}'"), format!("'{current}'")),
        _ => (describe_one(declared), describe_one(current)),
    }
}

fn describe_one(value: Option<&AMQPValue>) -> String {
    match value {
        None => "none".to_owned(),
        Some(AMQPValue::Boolean(value)) => format!("the value '{value}' of type 'bool'"),
        Some(value) => match (integer(value), bytes(value)) {
            (Some(number), _) => format!("the value '{number}' of type 'signedint'"),
            (_, Some(bytes)) => {
                format!("the value '{}' of type 'longstr'", String::from_utf8_lossy(bytes))
            }
            _ => format!("{value:?}"),
        },
    }
}
