//! Turns raw values into types, and what goes wrong there into errors.

use figment::{error::Kind, value::Value};
use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, Visitor, value::Error as AbsentError},
    forward_to_deserialize_any,
};

use super::{
    layers::{Layer, Layers},
    mask,
    nearest::nearest,
    tree, variables,
};
use crate::{Error, Result};

/// The value at `key`; where nothing is set, what `T` makes of nothing.
pub(super) fn required<T: DeserializeOwned>(layers: &Layers, key: &str) -> Result<T> {
    let path = owned(key);
    match layers.find(&path) {
        Some(value) => typed(layers, path, value),
        None => T::deserialize(Absent).map_err(|_| missing(layers, &path)),
    }
}

/// The value at `key`; `T::default()` where nothing is set.
pub(super) fn or_default<T: DeserializeOwned + Default>(layers: &Layers, key: &str) -> Result<T> {
    let path = owned(key);
    match layers.find(&path) {
        Some(value) if !tree::is_null(value) => typed(layers, path, value),
        _ => Ok(T::default()),
    }
}

fn owned(key: &str) -> Vec<String> {
    tree::segments(key).into_iter().map(str::to_owned).collect()
}

fn typed<T: DeserializeOwned>(layers: &Layers, path: Vec<String>, value: &Value) -> Result<T> {
    value
        .deserialize()
        .map_err(Box::new)
        .or_else(|error| with_variables_as_text(layers, &path, value, error))
        .map_err(|error| fault(layers, path, value, *error))
}

/// Reads again with environment variables as the text that they are, where text was wanted: a
/// password of digits is not a number.
fn with_variables_as_text<T: DeserializeOwned>(
    layers: &Layers,
    path: &[String],
    value: &Value,
    first: Box<figment::Error>,
) -> Result<T, Box<figment::Error>> {
    let (mut value, mut error) = (value.clone(), first);
    while let Kind::InvalidType(..) = error.kind {
        let at = [path, &error.path].concat();
        let slot = tree::find_mut(&mut value, &error.path);
        let (Some(raw), Some(slot)) = (layers.raw_variable(&at), slot) else {
            break;
        };
        if matches!(slot, Value::String(..)) {
            break;
        }
        *slot = Value::from(raw);
        match value.deserialize() {
            Ok(value) => return Ok(value),
            // It was not text that was wanted there.
            Err(next) if next.path == error.path => break,
            Err(next) => error = Box::new(next),
        }
    }
    Err(error)
}

/// A key that is not set: which one may have been meant, and how to set it.
fn missing(layers: &Layers, path: &[String]) -> Error {
    let key = path.join(".");
    let mut message = format!("configuration key {key} is missing");
    if let Some(near) = nearest_key(layers.merged(), path) {
        message.push_str(&format!("; the nearest is {near}"));
    }
    Error::configuration(message).advise(how_to_set(layers, path))
}

/// The key that is there and reads like `path`, part by part.
fn nearest_key(root: &Value, path: &[String]) -> Option<String> {
    let (mut at, mut near) = (root, Vec::new());
    for segment in path {
        let Value::Dict(_, table) = at else {
            return None;
        };
        let key = match table.contains_key(segment) {
            true => segment,
            false => nearest(segment, table.keys().map(String::as_str))?,
        };
        near.push(key);
        at = table.get(key)?;
    }
    Some(near.join("."))
}

fn how_to_set(layers: &Layers, path: &[String]) -> String {
    let (file, in_tables) = (layers.default_file(), lies_in_tables(layers, path));
    let entry = match path {
        [table @ .., last] if in_tables && file.ends_with(".toml") && !table.is_empty() => {
            format!("set {last} under [{}] in {file}", table.join("."))
        }
        _ => format!("set {} in {file}", path.join(".")),
    };
    match variables::name_for(path).filter(|_| in_tables) {
        Some(name) => format!("{entry}, or the environment variable {name}"),
        None => entry,
    }
}

/// Whether only tables are on the way to `path`, which is what a variable can address.
fn lies_in_tables(layers: &Layers, path: &[String]) -> bool {
    let on_the_way = (0..path.len()).filter_map(|end| layers.find(&path[..end]));
    on_the_way.into_iter().all(tree::is_table)
}

fn fault(layers: &Layers, mut path: Vec<String>, value: &Value, error: figment::Error) -> Error {
    let message = describe(&error.kind, &path, value, &error.path);
    path.extend(error.path);
    match &error.kind {
        Kind::MissingField(field) => {
            path.push(field.clone().into_owned());
            missing(layers, &path)
        }
        kind => located(layers, &path, kind, Error::configuration(message)),
    }
}

/// Says where the value at `path` stands, and how to change it.
fn located(layers: &Layers, path: &[String], kind: &Kind, error: Error) -> Error {
    let key = path.join(".");
    let mut up = (0..=path.len()).rev();
    let Some(provenance) = up.find_map(|end| layers.explain(&path[..end])) else {
        return error.context(format!("key {key}"));
    };
    let winner = provenance.winner();
    let error = error.context(format!("{winner}, key {key}"));
    if matches!(kind, Kind::UnknownField(..)) {
        return error.advise("correct its name, or remove it");
    }
    let scalar = !matches!(kind, Kind::InvalidType(_, wanted) if expected(wanted) == A_TABLE);
    let lower = scalar && winner.layer() < Layer::Variable && lies_in_tables(layers, path);
    error.advise(match variables::name_for(path).filter(|_| lower) {
        Some(name) => {
            format!("correct it there, or override it by the environment variable {name}")
        }
        None => "correct it there".to_owned(),
    })
}

/// What is wrong with the value that stands at `at` below `value`, itself at `base`.
fn describe(kind: &Kind, base: &[String], value: &Value, at: &[String]) -> String {
    let base_is_secret = mask::is_secret_path(base);
    let secret = base_is_secret || mask::is_secret_path(at);
    let found = tree::find(value, at);
    let shown = found.map_or_else(|| "nothing".to_owned(), |value| mask::shown(value, secret));
    match kind {
        Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) => {
            format!("expected {}, found {shown}", expected(wanted))
        }
        Kind::InvalidLength(length, wanted) => {
            format!("expected {}, found {length} elements", expected(wanted))
        }
        Kind::UnknownVariant(_, known) => format!("expected {}, found {shown}", one_of(known)),
        Kind::UnknownField(field, known) => unknown(field, known),
        Kind::Message(_) if secret => "the value, a secret, is refused".to_owned(),
        // Written by the type that was read: it may quote any part of what it was given.
        Kind::Message(message) => {
            format!("{}, found {shown}", mask::scrub(message.clone(), value, base_is_secret))
        }
        other => other.to_string(),
    }
}

const A_TABLE: &str = "a table";

/// serde's words for what a type wants, in those of configuration.
fn expected(wanted: &str) -> &str {
    match wanted {
        "a map" => A_TABLE,
        "a sequence" => "an array",
        wanted if wanted.starts_with("struct ") => A_TABLE,
        wanted => wanted,
    }
}

fn unknown(field: &str, known: &[&'static str]) -> String {
    match nearest(field, known.iter().copied()) {
        Some(near) => format!("unknown key; the nearest is {near}"),
        None => format!("unknown key, expected {}", one_of(known)),
    }
}

fn one_of(known: &[&str]) -> String {
    match known {
        [] => "nothing".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// What is not there: `None` for an `Option`, an error for everything else.
struct Absent;

impl<'de> Deserializer<'de> for Absent {
    type Error = AbsentError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, AbsentError> {
        Err(AbsentError::custom("absent"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AbsentError> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
