//! From what was registered to the table: who wins, and what contradicts itself.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock},
};

use super::{
    Key,
    builder::Override,
    registration::{Entry, Source},
    report,
    table::{Origin, Slot, Table},
};
use crate::Error;

/// The table of `entries`, and what is wrong with them.
pub(super) fn assemble(entries: Vec<Entry>, overrides: Vec<Override>) -> (Table, Vec<Error>) {
    let (entries, mut faults) = settle(entries);
    let mut slots: Vec<Slot> = entries.into_iter().map(slot).collect();
    let unknown = apply(&mut slots, overrides);
    let table = Table::new(slots);
    faults.extend(unknown.iter().map(|key| report::unknown_override(&table, key)));
    (table, faults)
}

/// One entry for each key, in the order of registration; what is only implied and what has no key
/// yet come last.
fn settle(entries: Vec<Entry>) -> (Vec<Entry>, Vec<Error>) {
    let mut settled: Vec<Entry> = Vec::new();
    let mut places = HashMap::new();
    let mut faults = Vec::new();
    let (mut implied, mut open) = (Vec::new(), Vec::new());
    for entry in entries {
        match (&entry.source, places.get(&entry.key)) {
            (Source::Implied(_), _) => implied.push(entry),
            (Source::Open(_), _) => open.push(entry),
            (_, Some(&place)) => faults.extend(merge(&mut settled[place], entry)),
            (_, None) => {
                places.insert(entry.key.clone(), settled.len());
                settled.push(entry);
            }
        }
    }
    for entry in implied {
        if places.insert(entry.key.clone(), settled.len()).is_none() {
            settled.push(entry);
        }
    }
    settled.extend(open);
    (settled, faults)
}

/// Two registrations of one key: the same type provided once more by the same module is one, and
/// so is the same promise.
fn merge(first: &mut Entry, second: Entry) -> Option<Error> {
    let same = match (&first.source, &second.source) {
        (Source::Type(_), Source::Type(_)) => first.module == second.module,
        (Source::Announced(_), Source::Announced(_)) => true,
        _ => false,
    };
    first.eager |= same && second.eager;
    let twice = || report::provided_twice(&first.key, &first.module, &second.module);
    (!same).then(twice)
}

fn slot(entry: Entry) -> Slot {
    let value = OnceLock::new();
    let origin = match entry.source {
        Source::Value(ready) => {
            value.get_or_init(|| ready);
            Origin::Value
        }
        Source::Factory(construct) | Source::Type(construct) | Source::Implied(construct) => {
            Origin::Constructor(construct)
        }
        Source::Alias(construct) => Origin::Alias(construct),
        Source::Announced(when) => Origin::Announced(when),
        Source::Open(when) => Origin::Open(when),
    };
    Slot {
        key: entry.key,
        late_key: OnceLock::new(),
        module: entry.module,
        origin,
        dependencies: entry.dependencies.into(),
        eager: entry.eager,
        overridden: false,
        dispose: entry.dispose,
        value: Arc::new(value),
        running: Mutex::new(None),
    }
}

/// Replaces what is overridden, and returns the keys that nobody provides.
fn apply(slots: &mut [Slot], overrides: Vec<Override>) -> Vec<Key> {
    let replaced = !overrides.is_empty();
    let places: HashMap<Key, usize> =
        slots.iter().enumerate().map(|(index, slot)| (slot.key.clone(), index)).collect();
    let mut unknown = Vec::new();
    let mut targets = HashSet::new();
    for Override { key, value } in overrides {
        match places.get(&key) {
            Some(&index) => targets.extend(replace(&mut slots[index], value)),
            None => unknown.push(key),
        }
    }
    if replaced {
        calm(slots, &targets);
    }
    unknown
}

/// Puts `value` in a provider's place; returns what the provider was an alias of.
fn replace(slot: &mut Slot, value: super::erased::Erased) -> Option<Key> {
    let target = match slot.origin {
        Origin::Alias(_) => slot.dependencies.first().map(|target| target.key().clone()),
        _ => None,
    };
    slot.origin = Origin::Value;
    slot.value = Arc::new(OnceLock::from(value));
    slot.dependencies = Arc::default();
    slot.dispose = None;
    slot.overridden = true;
    target
}

/// What was known only under names that are overridden now is not built for its own sake.
fn calm(slots: &mut [Slot], targets: &HashSet<Key>) {
    let seen: HashSet<Key> = slots
        .iter()
        .filter(|slot| matches!(slot.origin, Origin::Alias(_)))
        .flat_map(|slot| slot.dependencies.iter().map(|target| target.key().clone()))
        .collect();
    for slot in slots {
        slot.eager &= !targets.contains(&slot.key) || seen.contains(&slot.key);
    }
}
