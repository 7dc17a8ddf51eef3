//! Turns raw values into types, with all that is wrong with them.

use std::collections::BTreeSet;

use figment::value::Value;
use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, Visitor, value::Error as AbsentError},
    forward_to_deserialize_any,
};

use super::{
    decode::{Decoder, Met},
    layers::Layers,
    refusal::{Reason, Refusal},
    report, tree,
};
use crate::{Error, Result};

/// How many faults of one value are told; nobody reads more, and none is found without a further
/// reading.
const MOST_FAULTS: usize = 100;

/// The value at `key`; where nothing is set, what `T` makes of nothing.
pub(super) fn required<T: DeserializeOwned>(layers: &Layers, key: &str) -> Result<T> {
    let path = owned(key);
    layers.readable(&path)?;
    match layers.find(&path) {
        Some(value) => typed(layers, &path, value),
        None => T::deserialize(Absent).map_err(|_| report::missing(layers, &path)),
    }
}

/// The value at `key`; `T::default()` where nothing is set.
pub(super) fn or_default<T: DeserializeOwned + Default>(layers: &Layers, key: &str) -> Result<T> {
    let path = owned(key);
    layers.readable(&path)?;
    match layers.find(&path) {
        Some(value) if !tree::is_null(value) => typed(layers, &path, value),
        _ => Ok(T::default()),
    }
}

fn owned(key: &str) -> Vec<String> {
    tree::segments(key).into_iter().map(str::to_owned).collect()
}

fn typed<T: DeserializeOwned>(layers: &Layers, path: &[String], value: &Value) -> Result<T> {
    let Read { value, faults, met, .. } = read(layers, path, value, None);
    let faults = faults.iter().map(|fault| report::refused(layers, &met.secrets, fault)).collect();
    match (told_together(path, faults), value) {
        (Ok(()), Some(value)) => Ok(value),
        (Err(error), _) => Err(error),
        (Ok(()), None) => Err(report::missing(layers, path)),
    }
}

/// One report of all that is wrong with the value at `path`.
pub(super) fn told_together(path: &[String], faults: Vec<Error>) -> Result<()> {
    let key = if path.is_empty() { "the configuration".to_owned() } else { path.join(".") };
    Error::all(format!("{} faults in {key}", faults.len()), faults)
}

/// What became of a value.
pub(super) struct Read<T> {
    /// The value without its faulty parts, where it can do without them.
    pub(super) value: Option<T>,
    pub(super) faults: Vec<Fault>,
    pub(super) left_out: BTreeSet<Vec<String>>,
    pub(super) met: Met,
}

/// Something that was refused, at its path from the root of the configuration.
pub(super) struct Fault {
    pub(super) path: Vec<String>,
    pub(super) reason: Reason,
}

/// Reads `value`, which stands at `base`, as a `T`: again and again, each time without the part
/// that was found to be faulty, until nothing is or nothing is left.
///
/// With `owned`, keys that no struct knows are faults, unless they lead to one of its paths.
pub(super) fn read<T: DeserializeOwned>(
    layers: &Layers,
    base: &[String],
    value: &Value,
    owned: Option<&[Vec<String>]>,
) -> Read<T> {
    let (mut faults, mut left_out) = (Vec::new(), layers.unfilled());
    loop {
        let decoder = Decoder::new(layers, base, owned, &left_out);
        let outcome = decoder.decode::<T>(value);
        let met = decoder.met();
        let refusal = match outcome {
            Ok(value) => return Read { value: Some(value), faults, left_out, met },
            Err(refusal) => refusal,
        };
        let mut path = refused_at(refusal, &left_out, &mut faults);
        // What cannot do without a part is left out as a whole.
        while path.len() > base.len() && left_out.contains(&path) {
            path.pop();
        }
        if path.len() <= base.len() || faults.len() >= MOST_FAULTS {
            return Read { value: None, faults, left_out, met };
        }
        left_out.insert(path);
    }
}

/// The path of what is to be left out; the fault is told unless it is a consequence of what was
/// left out before.
fn refused_at(
    refusal: Refusal,
    left_out: &BTreeSet<Vec<String>>,
    faults: &mut Vec<Fault>,
) -> Vec<String> {
    let path = refusal.path.unwrap_or_default();
    let is_consequence = match &refusal.reason {
        Reason::MissingKey(field) => {
            let mut at = path.clone();
            at.push((*field).to_owned());
            left_out.contains(&at)
        }
        _ => left_out.iter().any(|other| other.starts_with(&path)),
    };
    if !is_consequence {
        faults.push(Fault { path: path.clone(), reason: refusal.reason });
    }
    path
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
