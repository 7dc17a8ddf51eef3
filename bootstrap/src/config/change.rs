//! What happens to the configuration as a whole: its validation, and the change to another one
//! while the process runs.

use std::{collections::BTreeSet, fmt, sync::Arc};

use figment::value::Value;
use serde_json::Value as Json;

use super::{
    Config,
    layers::Layers,
    mask,
    sections::Owned,
    snapshot::{Snapshot, Typed},
    tree,
};
use crate::{Error, Result};

/// What a changed key does while the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Whoever reads it gets the new value: the section is read through
    /// [`Settings`](super::Settings), or nobody had read the key at start.
    Live,
    /// Somebody read it once, at start: the new value counts after a restart.
    Restart,
}

/// A key whose value another configuration has changed. `Display` prints one line, without
/// secrets: `users.page_size: 20 → 50 (config/config.default.toml:3)`.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedKey {
    key: String,
    before: Option<Json>,
    after: Option<Json>,
    source: Option<String>,
    effect: Effect,
}

impl ChangedKey {
    /// The dotted key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it was, with secrets masked; `None` where it was not set.
    #[must_use]
    pub fn before(&self) -> Option<&Json> {
        self.before.as_ref()
    }

    /// What it is now, with secrets masked; `None` where it is not set any more.
    #[must_use]
    pub fn after(&self) -> Option<&Json> {
        self.after.as_ref()
    }

    /// The place that sets it now.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Whether the change counts at once, or after a restart.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }
}

impl fmt::Display for ChangedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Json>| {
            value.as_ref().map_or_else(|| "unset".to_owned(), ToString::to_string)
        };
        write!(f, "{}: {} → {}", self.key, show(&self.before), show(&self.after))?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, " ({source})"))
    }
}

/// Another configuration that is as its owners want it: [`Config::commit`] makes it the one that
/// holds.
pub struct Prepared {
    layers: Arc<Layers>,
    sections: Vec<Option<Typed>>,
}

/// Without values: they may be secrets.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared")
    }
}

impl Config {
    /// Checks every section that somebody owns, and keeps what they are read as.
    ///
    /// # Errors
    /// Every fault of every section, in one report.
    pub(crate) fn validate(&self) -> Result<()> {
        let _changing = self.changing();
        let before = self.current();
        let (layers, checked) = self.check_all(&before, &before.layers);
        let (sections, outcome) = match checked {
            Ok(sections) => (sections, Ok(())),
            // What is faulty is shown too, and its secrets are known now.
            Err(faults) => (before.sections.clone(), Err(faults)),
        };
        self.replace(Snapshot { layers, sections, sealed: before.sealed });
        outcome
    }

    /// Checks what is to take the place of this configuration: `rebuilt`, of files that were read
    /// again. Nothing changes before [`commit`](Self::commit).
    ///
    /// # Errors
    /// This configuration is not complete yet, or every fault of every section of the new one, in
    /// one report.
    pub fn prepare(&self, rebuilt: &Config) -> Result<Prepared> {
        self.prepare_layers(Arc::clone(&rebuilt.current().layers))
    }

    pub(super) fn prepare_layers(&self, layers: Arc<Layers>) -> Result<Prepared> {
        let before = self.current();
        if !before.sealed {
            return Err(Error::configuration("the configuration is not complete yet")
                .advise("reload it when the process has started"));
        }
        let layers = layers.with_secrets(before.layers.secrets().patterns());
        let (layers, sections) = self.check_all(&before, &layers);
        Ok(Prepared { layers, sections: sections? })
    }

    /// Makes `prepared` the configuration that holds, all of it at once, and tells who has
    /// subscribed. Returns the keys that are different now, in alphabetical order.
    pub fn commit(&self, prepared: Prepared) -> Vec<ChangedKey> {
        let changing = self.changing();
        let before = self.current();
        let Prepared { layers, sections } = prepared;
        let changed = self.differences(&before.layers, &layers);
        self.replace(Snapshot { layers, sections, sealed: true });
        drop(changing);
        self.tell();
        changed
    }

    fn check_all(
        &self,
        before: &Snapshot,
        layers: &Arc<Layers>,
    ) -> (Arc<Layers>, Result<Vec<Option<Typed>>>) {
        let owned = self.owned();
        let (mut sections, mut faults, mut secrets) =
            (Vec::new(), layers.faults(), BTreeSet::new());
        for section in &owned {
            if let Some(kept) = before.unchanged(section, layers) {
                sections.push(Some(kept));
                continue;
            }
            let checked = section.check(layers, &owned);
            secrets.extend(checked.secrets);
            sections.push(checked.outcome.map_err(|found| faults.extend(found)).ok());
        }
        let outcome = Error::all(format!("{} faults in the configuration", faults.len()), faults);
        (layers.with_secrets(&secrets), outcome.map(|()| sections))
    }

    fn differences(&self, before: &Layers, after: &Layers) -> Vec<ChangedKey> {
        let mut paths = BTreeSet::new();
        let (old, new) = (before.merged(), after.merged());
        collect_differences(&mut Vec::new(), Some(old), Some(new), &mut paths);
        let (owned, start_reads) = (self.owned(), self.start_reads());
        let changed = paths.into_iter().map(|path| {
            let was_secret = before.secrets().cover(&path);
            let shown = |value: &Value| match was_secret {
                true => mask::masked(value, true),
                false => after.secrets().masked(&path, value),
            };
            ChangedKey {
                before: before.find(&path).map(shown),
                after: after.find(&path).map(shown),
                source: after.explain(&path).map(|place| place.winner().to_string()),
                effect: effect(&path, &owned, &start_reads),
                key: path.join("."),
            }
        });
        changed.collect()
    }
}

/// The paths of all leaves at which two trees differ.
fn collect_differences(
    path: &mut Vec<String>,
    before: Option<&Value>,
    after: Option<&Value>,
    out: &mut BTreeSet<Vec<String>>,
) {
    if before == after {
        return;
    }
    let tables = [before, after].map(|value| match value {
        Some(Value::Dict(_, table)) if !table.is_empty() => Some(table),
        _ => None,
    });
    if tables == [None, None] {
        out.insert(path.clone());
        return;
    }
    let keys: BTreeSet<&String> = tables.iter().flatten().flat_map(|table| table.keys()).collect();
    for key in keys {
        let [before, after] = tables.map(|table| table.and_then(|table| table.get(key)));
        path.push(key.clone());
        collect_differences(path, before, after, out);
        path.pop();
    }
}

fn effect(path: &[String], owned: &[Arc<Owned>], start_reads: &BTreeSet<String>) -> Effect {
    let concerns = |key: &str| overlaps(path, &tree::segments(key));
    let owner = owned.iter().filter(|section| concerns(&section.key));
    let read_once = start_reads.iter().any(|key| concerns(key));
    let restart = owner.max_by_key(|section| section.path.len()).map(|section| section.effect);
    match restart {
        Some(Effect::Restart) => Effect::Restart,
        _ if read_once => Effect::Restart,
        _ => Effect::Live,
    }
}

/// Whether one of the two leads to the other.
fn overlaps(path: &[String], key: &[&str]) -> bool {
    path.iter().zip(key).all(|(one, other)| one == other)
}
