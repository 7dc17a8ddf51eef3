//! From what was registered to the table: who wins, and what contradicts itself.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock},
};

use super::{
    Key, Scope,
    builder::Override,
    erased::Handle,
    registration::{Entry, Source},
    report,
    table::{Origin, Slot, Table, Target},
};
use crate::Error;

/// The table of `entries`, and what is wrong with them.
pub(super) fn assemble(entries: Vec<Entry>, overrides: Vec<Override>) -> (Table, Vec<Error>) {
    let (entries, mut faults) = settle(entries);
    faults.extend(entries.iter().filter_map(senseless));
    let mut slots: Vec<Slot> = entries.into_iter().map(slot).collect();
    let unknown = apply(&mut slots, overrides);
    inherit_scopes(&mut slots);
    let table = Table::new(slots);
    faults.extend(unknown.iter().map(|key| report::unknown_override(&table, key)));
    (table, faults)
}

/// One entry for each key, or several views of one trait, in the order of registration; what is
/// only implied and what has no key yet come last.
fn settle(entries: Vec<Entry>) -> (Vec<Entry>, Vec<Error>) {
    let mut settled: Vec<Entry> = Vec::new();
    let mut places: HashMap<Key, Vec<usize>> = HashMap::new();
    let mut faults = Vec::new();
    let (mut implied, mut open) = (Vec::new(), Vec::new());
    for entry in entries {
        match (&entry.source, places.get(&entry.key)) {
            (Source::Implied(_), _) => implied.push(entry),
            (Source::Open(_) | Source::Family(_), _) => open.push(entry),
            (_, Some(known)) if known.iter().all(|&place| is_another(&settled[place], &entry)) => {
                places.entry(entry.key.clone()).or_default().push(settled.len());
                settled.push(entry);
            }
            (_, Some(known)) => {
                let same = known.iter().find(|&&place| !is_another(&settled[place], &entry));
                faults.extend(same.and_then(|&place| merge(&mut settled[place], entry)));
            }
            (_, None) => {
                places.insert(entry.key.clone(), vec![settled.len()]);
                settled.push(entry);
            }
        }
    }
    for entry in implied {
        if !places.contains_key(&entry.key) {
            places.insert(entry.key.clone(), vec![settled.len()]);
            settled.push(entry);
        }
    }
    settled.extend(open);
    (settled, faults)
}

/// Whether two registrations of one key are two implementations of one trait.
fn is_another(first: &Entry, second: &Entry) -> bool {
    let target = |entry: &Entry| entry.dependencies.first().map(|target| target.key().clone());
    let values = |entry: &Entry| matches!(entry.source, Source::Value(_) | Source::Alias(_));
    let differ = match (&first.source, &second.source) {
        (Source::Alias(_), Source::Alias(_)) => target(first) != target(second),
        _ => true,
    };
    first.is_view && second.is_view && values(first) && values(second) && differ
}

/// What says of itself what it cannot be.
fn senseless(entry: &Entry) -> Option<Error> {
    let (key, module, scope) = (&entry.key, &entry.module, entry.scope);
    match &entry.source {
        Source::Value(_) if scope != Scope::Singleton => {
            Some(report::scope_of_value(key, module, scope))
        }
        Source::Alias(_) if scope != Scope::Singleton => {
            Some(report::scope_of_alias(key, module, scope, entry.dependencies.first()))
        }
        _ if scope == Scope::Transient && entry.has_own_disposal => {
            Some(report::disposal_of_transient(key, module))
        }
        _ => None,
    }
}

/// An alias lives as long as what it shows.
fn inherit_scopes(slots: &mut [Slot]) {
    let places: HashMap<Key, usize> =
        slots.iter().enumerate().map(|(index, slot)| (slot.key.clone(), index)).collect();
    for index in 0..slots.len() {
        let mut shown = index;
        for _ in 0..slots.len() {
            let target = slots[shown].target().and_then(|target| places.get(target));
            let Some(&target) = target else { break };
            shown = target;
        }
        slots[index].scope = slots[shown].scope;
    }
}

/// Two registrations of one key: the same type provided once more by the same module is one, and
/// so is the same promise.
fn merge(first: &mut Entry, second: Entry) -> Option<Error> {
    let same = match (&first.source, &second.source) {
        (Source::Type(_), Source::Type(_)) => first.module == second.module,
        (Source::Announced(_), Source::Announced(_)) => true,
        (Source::Expected(_), Source::Expected(_)) => true,
        _ => false,
    };
    first.eager |= same && second.eager;
    first.private |= same && second.private;
    let twice = || report::provided_twice(&first.key, &first.module, &second.module);
    (!same).then(twice)
}

pub(super) fn slot(entry: Entry) -> Slot {
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
        Source::Expected(when) => Origin::Expected(when),
        Source::Call => Origin::Call,
        Source::Family(family) => Origin::Family(family),
    };
    Slot {
        key: entry.key,
        late_key: OnceLock::new(),
        module: entry.module,
        origin,
        targets: vec![Target::Open; entry.dependencies.len()].into(),
        dependencies: entry.dependencies.into(),
        scope: entry.scope,
        eager: entry.eager,
        private: entry.private,
        overridden: false,
        dispose: entry.dispose,
        value: Arc::new(value),
        running: Mutex::new(None),
    }
}

/// Replaces what is overridden, and returns the keys that nobody provides.
fn apply(slots: &mut Vec<Slot>, overrides: Vec<Override>) -> Vec<Key> {
    if overrides.is_empty() {
        return Vec::new();
    }
    let mut unknown = Vec::new();
    let mut targets = HashSet::new();
    for Override { key, value } in overrides {
        let place = slots.iter().position(|slot| slot.key == key && !is_family(slot));
        let Some(index) = place else {
            match slots.iter().find(|slot| is_member(&key, slot)) {
                Some(family) => slots.push(member_in_place(key, value, family)),
                None => unknown.push(key),
            }
            continue;
        };
        // It stands for all that were bound to that trait.
        let rivals: Vec<Slot> = slots.extract_if(index + 1.., |slot| slot.key == key).collect();
        targets.extend(rivals.iter().filter_map(|rival| rival.target().cloned()));
        targets.extend(replace(&mut slots[index], value));
    }
    calm(slots, &targets);
    unknown
}

fn is_family(slot: &Slot) -> bool {
    matches!(slot.origin, Origin::Family(_))
}

/// Whether `key` may become a member of that family.
fn is_member(key: &Key, slot: &Slot) -> bool {
    is_family(slot) && key.name().is_some() && key.type_id() == slot.key.type_id()
}

/// A value in the place of a family's member, of whose name nothing is known yet.
fn member_in_place(key: Key, value: Handle, family: &Slot) -> Slot {
    let entry = Entry::new(key, Arc::clone(&family.module), Source::Value(value));
    Slot { overridden: true, private: family.private, ..slot(entry) }
}

/// Puts `value` in a provider's place; returns what the provider was an alias of.
fn replace(slot: &mut Slot, value: Handle) -> Option<Key> {
    let target = slot.target().cloned();
    slot.origin = Origin::Value;
    slot.value = Arc::new(OnceLock::from(value));
    slot.dependencies = Box::default();
    slot.targets = Box::default();
    slot.dispose = None;
    slot.scope = Scope::Singleton;
    slot.overridden = true;
    target
}

/// What was known only under names that are overridden now is not built for its own sake.
fn calm(slots: &mut [Slot], targets: &HashSet<Key>) {
    let seen: HashSet<Key> = slots.iter().filter_map(|slot| slot.target().cloned()).collect();
    for slot in slots {
        slot.eager &= !targets.contains(&slot.key) || seen.contains(&slot.key);
    }
}
