//! What a constructor takes its dependencies from.

use std::sync::Arc;

use super::{
    Container, Dependency, DependencyKind, Key, Lazy, WeakContainer, erased::reveal, local::Local,
    scope::Scope,
};
use crate::{Error, Result};

/// Hands a constructor what it declared, all of which is built by then, and nothing else.
///
/// That there is no other way in is what makes the graph known before anything is built, and a
/// deadlock impossible.
#[derive(Clone)]
pub struct Resolver {
    container: WeakContainer,
    owner: Owner,
    declared: Arc<[Dependency]>,
    /// What stands in no table: values of the call, and those that are new for this constructor.
    locals: Vec<Local>,
}

#[derive(Clone)]
enum Owner {
    Slot(usize),
    Other(Arc<str>),
}

impl Resolver {
    pub(super) fn new(
        container: WeakContainer,
        owner: impl Into<Arc<str>>,
        declared: Arc<[Dependency]>,
        locals: Vec<Local>,
    ) -> Self {
        Self { container, owner: Owner::Other(owner.into()), declared, locals }
    }

    pub(super) fn of_slot(
        container: WeakContainer,
        slot: usize,
        declared: Arc<[Dependency]>,
        locals: Vec<Local>,
    ) -> Self {
        Self { container, owner: Owner::Slot(slot), declared, locals }
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
        let container = self.container(&key)?;
        let slots = container.table().all(key.type_id());
        Ok(slots.filter_map(|slot| self.value(&container, slot)).collect())
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
        Ok(Lazy::new(self.container.clone(), owner, key.shared_name()))
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
        self.check(|d| single.contains(&d.kind()) && d.key() == key, key)?;
        let container = self.container(key)?;
        Ok(container.table().find(key).and_then(|slot| self.value(&container, slot)))
    }

    fn value<T: ?Sized + Send + Sync + 'static>(
        &self,
        container: &Container,
        index: usize,
    ) -> Option<Arc<T>> {
        let slot = container.table().slot(index);
        if slot.scope == Scope::Singleton {
            return slot.value.get().and_then(reveal);
        }
        let local = self.locals.iter().find(|local| local.slot == index);
        local.and_then(|local| reveal(&local.value))
    }

    fn check(&self, declared: impl Fn(&Dependency) -> bool, key: &Key) -> Result<()> {
        if self.declared.iter().any(declared) {
            return Ok(());
        }
        Err(self.undeclared(key))
    }

    fn container(&self, key: &Key) -> Result<Container> {
        self.container.upgrade().ok_or_else(|| self.too_late(key))
    }

    fn owner(&self) -> String {
        match &self.owner {
            Owner::Other(name) => name.to_string(),
            Owner::Slot(slot) => match self.container.upgrade() {
                Some(container) => container.table().slot(*slot).key().to_string(),
                None => "a constructor".to_owned(),
            },
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

    fn too_late(&self, key: &Key) -> Error {
        Error::other(format!("{} takes {key} when the container is gone", self.owner()))
            .advise("take it in the constructor and keep it, instead of keeping the resolver")
    }
}

impl std::fmt::Debug for Resolver {
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
