//! Trees of raw values: finding, nesting and merging.

use figment::value::{Dict, Empty, Num, Value};
use serde::Serialize;

use crate::{Error, Result};

/// How the toml crate hands a date to a type that does not know dates.
const TOML_DATE: &str = "$__toml_private_datetime";

/// How many tables and arrays may lie within each other: more overflows the stack of whoever
/// walks over them.
pub(super) const MAX_DEPTH: usize = 64;

/// The fault of what is nested deeper than that.
pub(super) fn too_deep() -> String {
    format!("nested deeper than {MAX_DEPTH} tables and arrays")
}

/// How many tables and arrays lie within each other in `value`, itself counted.
pub(super) fn depth(value: &Value) -> usize {
    let is_nested = matches!(value, Value::Dict(..) | Value::Array(..));
    usize::from(is_nested) + children(value).map(depth).max().unwrap_or(0)
}

/// How much `value` holds: its values, and the bytes of its texts.
pub(super) fn size(value: &Value) -> usize {
    1 + value.as_str().map_or(0, str::len) + children(value).map(size).sum::<usize>()
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Dict(_, table) => Box::new(table.values()),
        Value::Array(_, items) => Box::new(items.iter()),
        _ => Box::new(std::iter::empty()),
    }
}

/// A number as it is written in a text.
pub(super) fn number_text(value: &Value) -> String {
    let whole = value.to_i128().map(|number| number.to_string());
    let whole = whole.or_else(|| value.to_u128().map(|number| number.to_string()));
    whole.or_else(|| value.to_f64().map(|number| number.to_string())).unwrap_or_default()
}

/// The table that holds `value` at `path`, unless that is nested too deep.
pub(super) fn nest_checked<S: AsRef<str>>(path: &[S], value: Value) -> Result<Value> {
    match path.len() + depth(&value) > MAX_DEPTH {
        true => Err(Error::configuration(too_deep())),
        false => Ok(nest(path, value)),
    }
}

/// The parts of a dotted key; none for the empty key, which is the whole tree.
pub(super) fn segments(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

/// As [`segments`], to keep.
pub(super) fn owned_segments(key: &str) -> Vec<String> {
    segments(key).into_iter().map(str::to_owned).collect()
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

/// Puts `value` at `path`, in tables that are made where there are none.
pub(super) fn set(root: &mut Value, path: &[String], value: Value) -> Result<()> {
    let nested = nest_checked(path, value)?;
    let clash = (1..path.len()).find_map(|end| {
        let found = find(root, &path[..end]).filter(|found| !is_null(found))?;
        let is_item = matches!(found, Value::Array(..));
        (!is_table(found)).then_some((&path[..end], kind_of(found), is_item))
    });
    match (clash, find_mut(root, path)) {
        (None | Some((.., true)), Some(slot)) => {
            *slot = find(&nested, path).cloned().unwrap_or_else(empty)
        }
        (None, None) => merge(root, &nested),
        (Some((key, found, _)), _) => {
            let message = format!("{} is {found} and has no keys", key.join("."));
            return Err(Error::configuration(message));
        }
    }
    Ok(())
}

/// Takes away what stands at `path`.
pub(super) fn remove(root: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, above) = path.split_last()?;
    let above: Vec<_> = above.iter().map(|&part| part.to_owned()).collect();
    match find_mut(root, &above)? {
        Value::Dict(_, table) => table.remove(*last),
        Value::Array(_, items) => {
            let index = last.parse().ok().filter(|index| *index < items.len())?;
            Some(items.remove(index))
        }
        _ => None,
    }
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

/// The keys of a table, in order; none where `value` is something else.
pub(super) fn keys(value: &Value) -> Vec<&String> {
    match value {
        Value::Dict(_, table) => table.keys().collect(),
        _ => Vec::new(),
    }
}

/// Any value that can be serialised, as a tree.
pub(super) fn from_object(object: impl Serialize) -> Result<Value> {
    let value = Value::serialize(object).map(normalise).map_err(|error| {
        Error::configuration(format!("the value cannot be serialised: {error}"))
    })?;
    match depth(&value) > MAX_DEPTH {
        true => Err(Error::configuration(too_deep())),
        false => Ok(value),
    }
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
    let (old, new) = match (before, after) {
        (Some(Value::Dict(_, old)), Some(Value::Dict(_, new))) => (Some(old), Some(new)),
        (Some(Value::Dict(_, old)), None) if !old.is_empty() => (Some(old), None),
        (None, Some(Value::Dict(_, new))) if !new.is_empty() => (None, Some(new)),
        _ => return Some((Vec::new(), before, after)),
    };
    old.into_iter().chain(new).flat_map(|table| table.keys()).find_map(|key| {
        let of = |table: Option<&'v Dict>| table.and_then(|table| table.get(key));
        let (mut path, before, after) = first_difference(of(old), of(new))?;
        path.insert(0, key.clone());
        Some((path, before, after))
    })
}
