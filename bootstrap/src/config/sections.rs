//! Which sections have an owner, and what each has to be.

use std::{
    any::{TypeId, type_name},
    collections::BTreeSet,
    fmt,
    sync::Arc,
};

use super::{
    change::Effect,
    check::{self, Checked},
    handle::Config,
    layers::Layers,
    probe::{self, Shape},
    secrets::Pattern,
    settings::SettingsSection,
    snapshot::Snapshot,
    tree,
};
use crate::{Error, Result};

/// A section that somebody has declared: it must be what its type says, and nothing else may
/// stand there.
pub(super) struct Owned {
    pub(super) slot: usize,
    pub(super) key: String,
    pub(super) path: Vec<String>,
    /// Who declared it: `module users`.
    owner: String,
    type_id: TypeId,
    pub(super) type_name: &'static str,
    /// What a change of it does while the process runs.
    pub(super) effect: Effect,
    /// What its type looks like.
    pub(super) shape: Shape,
    check: fn(&Layers, &Owned, &[Vec<String>]) -> Checked,
}

impl Owned {
    /// Reads the section as its type, or finds every fault of it. What has an owner of its own
    /// within it is not its.
    pub(super) fn check(&self, layers: &Layers, all: &[Arc<Self>]) -> Checked {
        let within =
            |other: &&Arc<Self>| other.slot != self.slot && other.path.starts_with(&self.path);
        let others: Vec<_> = all.iter().filter(within).map(|other| other.path.clone()).collect();
        (self.check)(layers, self, &others)
    }
}

/// A section as it was declared; what stands in it is read later.
pub(crate) struct Declared<T> {
    pub(super) config: Config,
    pub(super) slot: usize,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T> Clone for Declared<T> {
    fn clone(&self) -> Self {
        Self { config: self.config.clone(), slot: self.slot, of: self.of }
    }
}

impl Config {
    /// Whether the section at `key` has been declared, as a `T`.
    pub(crate) fn declares<T: SettingsSection>(&self, key: &str) -> bool {
        let of = TypeId::of::<T>();
        self.owned_mut().iter().any(|section| section.key == key && section.type_id == of)
    }

    /// Makes `owner` the owner of the section at `key`, which has to be a `T` from now on.
    /// Declared twice as the same type, it is one section.
    ///
    /// # Errors
    /// Somebody else owns the section as another type.
    pub(crate) fn declare<T: SettingsSection>(
        &self,
        owner: impl fmt::Display,
        key: &str,
        effect: Effect,
    ) -> Result<Declared<T>> {
        let shape = probe::shape_of::<T>();
        let path: Vec<String> = tree::segments(key).into_iter().map(str::to_owned).collect();
        self.hide(&path, &shape.secrets);
        let mut owned = self.owned_mut();
        let slot = match owned.iter().position(|section| section.key == key) {
            Some(slot) if owned[slot].type_id == TypeId::of::<T>() => slot,
            Some(slot) => return Err(owned_already(&owned[slot], &owner, type_name::<T>())),
            None => {
                let slot = owned.len();
                owned.push(Arc::new(Owned {
                    slot,
                    key: key.to_owned(),
                    path,
                    owner: owner.to_string(),
                    type_id: TypeId::of::<T>(),
                    type_name: type_name::<T>(),
                    effect,
                    shape,
                    check: check::section::<T>,
                }));
                slot
            }
        };
        Ok(Declared { config: self.clone(), slot, of: std::marker::PhantomData })
    }
}

impl Config {
    /// Lets nothing show the values at `secrets` below `base` from now on.
    fn hide(&self, base: &[String], secrets: &BTreeSet<Pattern>) {
        let _changing = self.changing();
        let before = self.current();
        let base: Pattern = base.iter().cloned().map(Some).collect();
        let whole = secrets.iter().map(|pattern| [&base[..], pattern].concat()).collect();
        let layers = before.layers.with_secrets(&whole);
        if !Arc::ptr_eq(&layers, &before.layers) {
            let sections = before.sections.clone();
            self.replace(Snapshot { layers, sections, sealed: before.sealed });
        }
    }
}

fn owned_already(known: &Owned, owner: &impl fmt::Display, wanted: &str) -> Error {
    let Owned { key, owner: first, type_name, .. } = known;
    Error::wiring(format!(
        "the section {key} of the configuration is {first}'s, as {type_name}, and {owner} declares \
         it as {wanted}"
    ))
    .advise("give one of them another section, or let both declare the same type")
}
