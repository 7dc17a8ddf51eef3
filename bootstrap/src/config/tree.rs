//! Trees of raw values: finding, nesting and merging.

use figment::value::{Empty, Num, Value};
use serde::Serialize;

use crate::{Error, Result};

/// How the toml crate hands a date to a type that does not know dates.
const TOML_DATE: &str = "$__toml_private_datetime";

/// The parts of a dotted key; none for the empty key, which is the whole tree.
pub(super) fn segments(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

/// A tree without values.
pub(super) fn empty() -> Value {
    Value::from(figment::value::Dict::new())
}

/// The value at `path`. A number addresses an array's element.
pub(super) fn find<'v, S: AsRef<str>>(root: &'v Value, path: &[S]) -> Option<&'v Value> {
    path.iter().try_fold(root, |value, segment| match value {
        Value::Dict(_, table) => table.get(segment.as_ref()),
        Value::Array(_, items) => items.get(segment.as_ref().parse::<usize>().ok()?),
        _ => None,
    })
}

/// The value at `path`, to change it.
pub(super) fn find_mut<'v>(root: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(root, |value, segment| match value {
        Value::Dict(_, table) => table.get_mut(segment),
        Value::Array(_, items) => items.get_mut(segment.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The table that holds `value` at `path`.
pub(super) fn nest<S: AsRef<str>>(path: &[S], value: Value) -> Value {
    path.iter().rev().fold(value, |value, segment| {
        Value::from(figment::value::Dict::from([(segment.as_ref().to_owned(), value)]))
    })
}

/// Lays `above` over `below`: tables merge, all else is replaced. A null says nothing about a
/// table, so that a section that is empty in YAML does not wipe out what stands below it.
pub(super) fn merge(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Dict(_, below), Value::Dict(_, above)) => {
            for (key, value) in above {
                match below.get_mut(key) {
                    Some(slot) => merge(slot, value),
                    None => drop(below.insert(key.clone(), value.clone())),
                }
            }
        }
        (Value::Dict(..), Value::Empty(..)) => {}
        (slot, value) => *slot = value.clone(),
    }
}

pub(super) fn is_null(value: &Value) -> bool {
    matches!(value, Value::Empty(..))
}

pub(super) fn is_table(value: &Value) -> bool {
    matches!(value, Value::Dict(..))
}

/// Any value that can be serialised, as a tree.
pub(super) fn from_object(object: impl Serialize) -> Result<Value> {
    Value::serialize(object)
        .map(normalise)
        .map_err(|error| Error::configuration(format!("the value cannot be serialised: {error}")))
}

/// As [`from_object`], for what has to be a table.
pub(super) fn table_from_object(object: impl Serialize) -> Result<Value> {
    let value = from_object(object)?;
    if is_table(&value) {
        return Ok(value);
    }
    let found = kind_of(&value);
    Err(Error::configuration(format!("configuration is added as a table, not as {found}"))
        .advise("add a struct or a map whose fields are sections, such as json!({ \"http\": { \"port\": 7001 } })"))
}

/// What kind of value this is, with its article.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "a string",
        Value::Bool(..) => "a boolean",
        Value::Num(..) => "a number",
        Value::Empty(..) => "null",
        Value::Dict(..) => "a table",
        Value::Array(..) => "an array",
    }
}

/// One shape for what different sources say differently: characters and dates are strings, whole
/// numbers are of one size, and an `Option` that is `None` in a table says nothing.
pub(super) fn normalise(value: Value) -> Value {
    match value {
        Value::Char(_, character) => Value::from(character.to_string()),
        Value::Num(_, number) => normalise_number(number),
        Value::Array(_, items) => Value::from(items.into_iter().map(normalise).collect::<Vec<_>>()),
        Value::Dict(_, mut table) => match table.remove(TOML_DATE) {
            Some(date) if table.is_empty() => date,
            _ => {
                table.retain(|_, value| !matches!(value, Value::Empty(_, Empty::None)));
                Value::from(
                    table
                        .into_iter()
                        .map(|(key, value)| (key, normalise(value)))
                        .collect::<figment::value::Dict>(),
                )
            }
        },
        other => other,
    }
}

/// One number is equal to another whatever types they were written as.
fn normalise_number(number: Num) -> Value {
    let unsigned = || number.to_u128().and_then(|number| i128::try_from(number).ok());
    let Some(whole) = number.to_i128().or_else(unsigned) else {
        return Value::from(number);
    };
    let narrow = i64::try_from(whole).ok().map(Value::from);
    narrow.or(u64::try_from(whole).ok().map(Value::from)).unwrap_or_else(|| Value::from(number))
}

/// The first value of `before` that is another one, or gone, in `after`: its path, and both.
pub(super) fn first_difference<'v>(
    before: Option<&'v Value>,
    after: Option<&'v Value>,
) -> Option<(Vec<String>, Option<&'v Value>, Option<&'v Value>)> {
    if before == after {
        return None;
    }
    let (Some(Value::Dict(_, old)), Some(Value::Dict(_, new))) = (before, after) else {
        return Some((Vec::new(), before, after));
    };
    old.keys().chain(new.keys()).find_map(|key| {
        let (mut path, before, after) = first_difference(old.get(key), new.get(key))?;
        path.insert(0, key.clone());
        Some((path, before, after))
    })
}
