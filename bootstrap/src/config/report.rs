//! What is told of a value that is not as it should be: where it stands, what was expected, and
//! what to do.

use std::collections::BTreeSet;

use super::{
    layers::{Layer, Layers},
    nearest::{nearest, nearest_key},
    probe::Fields,
    read::Fault,
    refusal::Reason,
    secrets::{Pattern, Secrets},
    tree, variables,
};
use crate::Error;

/// A key that is not set: which one may have been meant, and how to set it.
pub(super) fn missing(layers: &Layers, path: &[String]) -> Error {
    let key = path.join(".");
    let mut message = format!("configuration key {key} is missing");
    if let Some(near) = nearest_key(layers.merged(), path) {
        message.push_str(&format!("; the nearest is {near}"));
    }
    Error::configuration(message).advise(how_to_set(layers, path))
}

/// A value that its type refuses.
pub(super) fn refused(layers: &Layers, met: &BTreeSet<Pattern>, fault: &Fault) -> Error {
    let Fault { path, reason } = fault;
    let secrets = layers.secrets_and(met);
    let found = layers.find(path);
    let shown = found.map_or_else(|| "nothing".to_owned(), |value| secrets.shown(path, value));
    let message = match reason {
        Reason::MissingKey(field) => {
            let mut path = path.clone();
            path.push((*field).to_owned());
            return missing(layers, &path);
        }
        Reason::UnknownKey(known) => return unknown(layers, path, known),
        Reason::Expected(wanted) => format!("expected {}, found {shown}", expected(wanted)),
        Reason::Length(length, wanted) => {
            format!("expected {}, found {length} elements", expected(wanted))
        }
        Reason::Variant(known) => format!("expected {}, found {shown}", one_of(known)),
        Reason::Message(_) if secrets.cover(path) => "the value, a secret, is refused".to_owned(),
        Reason::Message(message) => {
            let message = message.clone();
            let message = found.map_or(message.clone(), |at| secrets.scrub(message, path, at));
            format!("{message}, found {shown}")
        }
    };
    let is_table = matches!(reason, Reason::Expected(wanted) if expected(wanted) == A_TABLE);
    located(layers, path, Error::configuration(message), !is_table)
}

/// A key that the section's owner does not know.
pub(super) fn unknown(layers: &Layers, path: &[String], known: Fields) -> Error {
    let key = path.last().map_or("", String::as_str);
    let message = match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key; the nearest is {near}"),
        None => format!("unknown key, expected {}", one_of(known)),
    };
    let error = Error::configuration(message).context(place(layers, path));
    error.advise("correct its name, or remove it")
}

/// A value that breaks a rule of the section's owner.
pub(super) fn breaks_rule(
    layers: &Layers,
    secrets: &Secrets,
    path: &[String],
    rule: &str,
) -> Error {
    let Some(value) = layers.find(path) else {
        let error = Error::configuration(format!("{rule}, and it is not set"));
        return error.context(format!("key {}", path.join("."))).advise(how_to_set(layers, path));
    };
    let (rule, shown) = (rule.to_owned(), secrets.shown(path, value));
    let message = format!("{}, found {shown}", secrets.scrub(rule, path, value));
    located(layers, path, Error::configuration(message), !tree::is_table(value))
}

/// Says where the value at `path` stands, and how to change it.
fn located(layers: &Layers, path: &[String], error: Error, is_scalar: bool) -> Error {
    let error = error.context(place(layers, path));
    let winner = layers.explain(path).map(|place| place.winner().layer());
    let lower = is_scalar && winner.is_some_and(|winner| winner < Layer::Variable);
    let variable = variables::name_for(path).filter(|_| lower && lies_in_tables(layers, path));
    error.advise(match variable {
        Some(name) => {
            format!("correct it there, or override it by the environment variable {name}")
        }
        None => "correct it there".to_owned(),
    })
}

/// `config/config.default.toml:3, key http.port`; where nobody sets the key itself, whoever sets
/// what is around it.
fn place(layers: &Layers, path: &[String]) -> String {
    let key = path.join(".");
    let mut up = (0..=path.len()).rev();
    match up.find_map(|end| layers.explain(&path[..end])) {
        Some(place) => format!("{}, key {key}", place.winner()),
        None => format!("key {key}"),
    }
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

fn one_of(known: &[&str]) -> String {
    match known {
        [] => "nothing".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
