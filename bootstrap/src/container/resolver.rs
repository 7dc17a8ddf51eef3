//! What a constructor takes its dependencies from.

use std::sync::Arc;

use super::{
    Container, Dependency, DependencyKind, Key, Lazy,
    erased::{reveal, take},
    local::Local,
    scope::{Caller, Scope},
    table::{Slot, Target},
};
use crate::{Error, Result};

/// Hands a constructor what it declared, all of which is built by then, and nothing else.
///
/// That there is no other way in is what makes the graph known before anything is built, and a
/// deadlock impossible.
#[derive(Clone)]
pub struct Resolver<'a> {
    container: &'a Container,
    owner: Owner<'a>,
    declared: &'a [Dependency],
    /// Where those lead, as far as that is known.
    targets: &'a [Target],
    /// What stands in no table: values of the call, and those that are new for this constructor.
    locals: Vec<Local>,
    /// The call that this is built for.
    call: Option<&'a dyn Caller>,
}

#[derive(Clone, Copy)]
enum Owner<'a> {
    Slot(usize),
    Other(&'a str),
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        container: &'a Container,
        owner: &'a str,
        declared: &'a [Dependency],
        locals: Vec<Local>,
    ) -> Self {
        Self { container, owner: Owner::Other(owner), declared, targets: &[], locals, call: None }
    }

    pub(super) fn of_slot(container: &'a Container, slot: usize, locals: Vec<Local>) -> Self {
        let Slot { dependencies: declared, targets, .. } = container.table().slot(slot);
        Self { container, owner: Owner::Slot(slot), declared, targets, locals, call: None }
    }

    /// As this one, for something that belongs to `call`.
    pub(super) fn in_call(mut self, call: Option<&'a dyn Caller>) -> Self {
        self.call = call;
        self
    }

    /// The call that this is built for.
    pub(crate) fn call(&self) -> Option<&'a dyn Caller> {
        self.call
    }

    /// The `T` that was declared.
    ///
    /// # Errors
    /// `T` was not declared as a dependency.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.required(Key::of::<T>())
    }

    /// The `T` called `name` that was declared.
    ///
    /// # Errors
    /// That `T` was not declared as a dependency.
    pub fn get_named<T: ?Sized + Send + Sync + 'static>(&self, name: &str) -> Result<Arc<T>> {
        self.required(Key::of::<T>().named(name))
    }

    /// The `T` (called `name`) that was declared, if somebody provides it.
    ///
    /// # Errors
    /// That `T` was not declared as a dependency.
    pub fn find<T: ?Sized + Send + Sync + 'static>(
        &self,
        name: Option<&str>,
    ) -> Result<Option<Arc<T>>> {
        self.optional(&key_of::<T>(name))
    }

    /// All `T`s that are provided, with and without a name, in the order of registration.
    ///
    /// # Errors
    /// They were not declared, as [`Dependency::all`].
    pub fn all<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Vec<Arc<T>>> {
        let key = Key::of::<T>();
        self.check(|d| d.kind() == DependencyKind::All && d.key() == &key, &key)?;
        let slots = self.container.table().all(key.type_id());
        Ok(slots.filter_map(|slot| self.value(slot)).collect())
    }

    /// A handle to the `T` (called `name`) that was declared, for use after the construction.
    ///
    /// # Errors
    /// That `T` was not declared, as [`Dependency::lazy`].
    pub fn lazy<T: ?Sized + Send + Sync + 'static>(&self, name: Option<&str>) -> Result<Lazy<T>> {
        let key = key_of::<T>(name);
        self.check(|d| d.kind() == DependencyKind::Lazy && d.key() == &key, &key)?;
        let owner = match self.owner {
            Owner::Slot(slot) => Some(slot),
            Owner::Other(_) => None,
        };
        Ok(Lazy::new(self.container.downgrade(), owner, key.shared_name()))
    }

    fn required<T: ?Sized + Send + Sync + 'static>(&self, key: Key) -> Result<Arc<T>> {
        self.optional(&key)?.ok_or_else(|| {
            Error::wiring(format!(
                "{} takes {key} as required, but declared it as optional",
                self.owner()
            ))
        })
    }

    fn optional<T: ?Sized + Send + Sync + 'static>(&self, key: &Key) -> Result<Option<Arc<T>>> {
        let single = [DependencyKind::Required, DependencyKind::Optional];
        let place = self.check(|d| single.contains(&d.kind()) && d.key() == key, key)?;
        let slot = match self.targets.get(place) {
            Some(Target::Slot(slot)) => Some(*slot),
            Some(Target::Nobody) => None,
            Some(Target::Open) | None => self.container.table().find(key),
        };
        Ok(slot.and_then(|slot| self.value(slot)))
    }

    fn value<T: ?Sized + Send + Sync + 'static>(&self, index: usize) -> Option<Arc<T>> {
        let slot = self.container.table().slot(index);
        if slot.scope == Scope::Singleton {
            return slot.value.get().and_then(reveal);
        }
        let local = self.locals.iter().find(|local| local.slot == index);
        local.and_then(|local| take(local.value.clone()))
    }

    /// The place of the dependency that allows it to take `key`.
    fn check(&self, declared: impl Fn(&Dependency) -> bool, key: &Key) -> Result<usize> {
        self.declared.iter().position(declared).ok_or_else(|| self.undeclared(key))
    }

    fn owner(&self) -> String {
        match self.owner {
            Owner::Other(name) => name.to_owned(),
            Owner::Slot(slot) => self.container.table().slot(slot).key().to_string(),
        }
    }

    fn undeclared(&self, key: &Key) -> Error {
        Error::wiring(format!("{} takes {key}, which it did not declare", self.owner())).advise(
            format!(
                "add {key} to its dependencies, so that it is built before (in a struct with \
                 #[derive(Provide)]: an #[inject] field)"
            ),
        )
    }
}

impl std::fmt::Debug for Resolver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resolver of {}", self.owner())
    }
}

fn key_of<T: ?Sized + 'static>(name: Option<&str>) -> Key {
    let key = Key::of::<T>();
    match name {
        Some(name) => key.named(name),
        None => key,
    }
}
