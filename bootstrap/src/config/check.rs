//! Whether a section is what its owner says that it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    layers::Layers,
    probe::Fields,
    read::{self, Read},
    report,
    secrets::Pattern,
    sections::Owned,
    settings::SettingsSection,
    snapshot::Typed,
    tree,
};
use crate::Error;

/// What became of a section.
pub(super) struct Checked {
    pub(super) outcome: Result<Typed, Vec<Error>>,
    /// Where its type has a secret.
    pub(super) secrets: BTreeSet<Pattern>,
}

/// Reads the section as a `T`, and finds all that is wrong with it. What stands at `others` has
/// owners of its own.
pub(super) fn section<T: SettingsSection>(
    layers: &Layers,
    section: &Owned,
    others: &[Vec<String>],
) -> Checked {
    let nothing = tree::empty();
    let value = layers.find(&section.path).filter(|value| !tree::is_null(value));
    let value = value.unwrap_or(&nothing);
    let read: Read<T> = read::read(layers, &section.path, value, Some(others));
    let unknown = read.met.unknown.iter();
    let mut faults: Vec<_> =
        unknown.map(|(path, known)| (path.clone(), report::unknown(layers, path, known))).collect();
    // Of a text that cannot be filled in, its own fault is told.
    let told = read.faults.iter().filter(|fault| layers.readable(&fault.path).is_ok());
    faults.extend(
        told.map(|fault| (fault.path.clone(), report::refused(layers, &read.met.secrets, fault))),
    );
    let value = read.value.as_ref().into_iter();
    faults.extend(value.flat_map(|value| broken_rules(layers, section, &read, value)));
    faults.sort_by(|(one, _), (other, _)| one.cmp(other));
    let faults: Vec<Error> = faults.into_iter().map(|(_, fault)| fault).collect();
    let outcome = match read.value {
        Some(value) if faults.is_empty() && read.faults.is_empty() => Ok(Arc::new(value) as Typed),
        _ => Err(faults),
    };
    Checked { outcome, secrets: read.met.secrets }
}

/// The rules that `value` breaks; those for a part that was left out are of no interest.
fn broken_rules<T: SettingsSection>(
    layers: &Layers,
    section: &Owned,
    read: &Read<T>,
    value: &T,
) -> Vec<(Vec<String>, Error)> {
    let Err(report) = value.validate() else {
        return Vec::new();
    };
    let secrets = layers.secrets_and(&read.met.secrets);
    let keys = Keys { section, renamed: T::RENAMED, met: &read.met.fields };
    let faults = report.iter().filter_map(|(path, error)| {
        let (path, rest) = keys.in_files(&path.to_string());
        let is_left_out = read.left_out.iter().any(|out| path.starts_with(out));
        let rule = if rest.is_empty() { error.to_string() } else { format!("{rest}: {error}") };
        let fault = report::breaks_rule(layers, &secrets, &path, &rule);
        (!is_left_out).then_some((path, fault))
    });
    faults.collect()
}

/// What the fields of a section are called in files.
struct Keys<'a> {
    section: &'a Owned,
    /// The section's own fields that have another name there.
    renamed: &'static [(&'static str, &'static str)],
    met: &'a BTreeMap<Pattern, Fields>,
}

impl Keys<'_> {
    /// A path of Rust's names (`retry.delays[0]`) as one of keys, as far as they are known, and
    /// the rest.
    fn in_files(&self, path: &str) -> (Vec<String>, String) {
        let names: Vec<_> = path.split(['.', '[', ']']).filter(|name| !name.is_empty()).collect();
        let mut at = self.section.path.clone();
        let mut pattern: Pattern = at.iter().cloned().map(Some).collect();
        for (index, name) in names.iter().enumerate() {
            let key = match self.fields(&pattern) {
                None => Some((*name, None)),
                Some(fields) => {
                    let renamed = if index == 0 { self.renamed } else { &[] };
                    key_of(name, fields, renamed).map(|key| (key, Some(key.to_owned())))
                }
            };
            let Some((key, segment)) = key else {
                return (at, names[index..].join("."));
            };
            at.push(key.to_owned());
            pattern.push(segment);
        }
        (at, String::new())
    }

    fn fields(&self, pattern: &Pattern) -> Option<Fields> {
        let below = &pattern[self.section.path.len()..];
        self.met.get(pattern).or_else(|| self.section.shape.fields.get(below)).copied()
    }
}

/// The key of the field that Rust calls `name`.
fn key_of<'k>(name: &str, fields: &[&'k str], renamed: &[(&str, &'k str)]) -> Option<&'k str> {
    let said = renamed.iter().find(|(field, _)| *field == name).map(|(_, key)| *key);
    let same = || fields.iter().find(|key| **key == name).copied();
    said.or_else(same).or_else(|| fields.iter().find(|key| is_renamed(name, key)).copied())
}

/// Whether one is the other in another case: `page_size`, `pageSize`, `page-size`, `PAGE_SIZE`.
fn is_renamed(name: &str, key: &str) -> bool {
    let letters = |text: &str| {
        let letters = text.chars().filter(|c| !matches!(c, '_' | '-'));
        letters.flat_map(char::to_lowercase).collect::<String>()
    };
    letters(name) == letters(key)
}

/// Checks settings that were given in code by their own rules.
pub(crate) fn checked_in_code<T: SettingsSection>(value: T) -> crate::Result<T> {
    let Err(report) = value.validate() else {
        return Ok(value);
    };
    let fault = |(path, error): &(garde::Path, garde::Error)| {
        Error::configuration(error.message()).context(format!("settings given in code, {path}"))
    };
    let faults: Vec<_> = report.iter().map(fault).collect();
    Error::all("the settings given in code do not fit", faults)?;
    Ok(value)
}
