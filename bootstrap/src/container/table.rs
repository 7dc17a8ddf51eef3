//! The immutable table of everything that is provided: what a lookup reads.

use std::{
    any::TypeId,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, Mutex, OnceLock},
};

use super::{
    Dependency, Key,
    construction::Running,
    erased::{Construct, Dispose, Erased, reveal},
};

/// One provider, and its value once it is built.
pub(super) struct Slot {
    pub(super) key: Key,
    /// Its key, where that is known only with its value.
    pub(super) late_key: OnceLock<Key>,
    pub(super) module: Arc<str>,
    pub(super) origin: Origin,
    pub(super) dependencies: Arc<[Dependency]>,
    pub(super) eager: bool,
    /// Replaced by a test.
    pub(super) overridden: bool,
    pub(super) dispose: Option<Dispose>,
    /// Shared with the index, so that a lookup does not pass through here.
    pub(super) value: Arc<OnceLock<Erased>>,
    pub(super) running: Mutex<Option<Running>>,
}

/// Where a slot's value comes from.
pub(super) enum Origin {
    /// It was there from the start.
    Value,
    /// It is built.
    Constructor(Construct),
    /// It is another slot's value, seen as another type.
    Alias(Construct),
    /// It is supplied later, at the time that the text tells.
    Announced(String),
    /// So it is, under a name that nobody knows yet.
    Open(String),
}

/// A dependency on another slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) slot: usize,
    pub(super) required: bool,
}

impl Slot {
    pub(super) fn key(&self) -> &Key {
        self.late_key.get().unwrap_or(&self.key)
    }

    /// When it comes, where it was announced.
    pub(super) fn announced(&self) -> Option<&str> {
        match &self.origin {
            Origin::Announced(when) | Origin::Open(when) => Some(when),
            _ => None,
        }
    }

    /// Announced, and not yet supplied.
    pub(super) fn is_awaited(&self) -> bool {
        self.announced().is_some() && self.value.get().is_none()
    }

    /// May still become the value of any name.
    fn is_nameless(&self) -> bool {
        matches!(self.origin, Origin::Open(_)) && self.late_key.get().is_none()
    }
}

/// The slot of a type's unnamed value.
struct Unnamed {
    slot: usize,
    value: Arc<OnceLock<Erased>>,
}

/// Every provider, by key. Nothing is added or taken once it is assembled.
pub(super) struct Table {
    slots: Vec<Slot>,
    unnamed: HashMap<TypeId, Unnamed, ByTypeId>,
    named: HashMap<TypeId, HashMap<Arc<str>, usize>, ByTypeId>,
    open: HashMap<TypeId, Vec<usize>, ByTypeId>,
}

impl Table {
    /// Indexes `slots`, whose keys differ.
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        let mut unnamed = HashMap::default();
        let mut named: HashMap<_, HashMap<_, _>, _> = HashMap::default();
        let mut open: HashMap<_, Vec<_>, _> = HashMap::default();
        for (index, Slot { key, origin, value, .. }) in slots.iter().enumerate() {
            match (origin, key.shared_name()) {
                (Origin::Open(_), _) => open.entry(key.type_id()).or_default().push(index),
                (_, Some(name)) => {
                    named.entry(key.type_id()).or_default().insert(name, index);
                }
                (_, None) => {
                    let value = Arc::clone(value);
                    unnamed.insert(key.type_id(), Unnamed { slot: index, value });
                }
            }
        }
        Self { slots, unnamed, named, open }
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn slot(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    /// The slot of that key, or one that may still become it.
    pub(super) fn find(&self, key: &Key) -> Option<usize> {
        self.find_type(key.type_id(), key.name())
    }

    /// The unnamed value of type `T`, if it is there: the way of every call.
    #[inline]
    pub(super) fn unnamed<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        match self.unnamed.get(&TypeId::of::<T>()) {
            Some(unnamed) => reveal(unnamed.value.get()?),
            None => self.value(None),
        }
    }

    /// The value of type `T` and that name, if it is there.
    pub(super) fn value<T: ?Sized + Send + Sync + 'static>(
        &self,
        name: Option<&str>,
    ) -> Option<Arc<T>> {
        let index = self.find_type(TypeId::of::<T>(), name)?;
        self.slots[index].value.get().and_then(reveal)
    }

    /// The slots behind `dependencies`, as far as they exist at this moment.
    pub(super) fn edges(&self, dependencies: &[Dependency]) -> Vec<Edge> {
        let edge = |dependency: &Dependency| {
            let slot = self.find(dependency.key())?;
            Some(Edge { slot, required: dependency.is_required() })
        };
        dependencies.iter().filter_map(edge).collect()
    }

    fn find_type(&self, type_id: TypeId, name: Option<&str>) -> Option<usize> {
        let found = match name {
            None => self.unnamed.get(&type_id).map(|unnamed| unnamed.slot),
            Some(name) => self.named.get(&type_id).and_then(|names| names.get(name)).copied(),
        };
        found.or_else(|| self.find_open(type_id, name))
    }

    /// What has come under that name, or else what may still come under it.
    fn find_open(&self, type_id: TypeId, name: Option<&str>) -> Option<usize> {
        let open = self.open.get(&type_id)?;
        let has_come = |&&index: &&usize| {
            self.slots[index].late_key.get().is_some_and(|key| key.name() == name)
        };
        let may_come = || open.iter().find(|&&index| self.slots[index].is_nameless());
        open.iter().find(has_come).or_else(may_come).copied()
    }
}

type ByTypeId = BuildHasherDefault<TypeIdHasher>;

/// Takes a `TypeId`, which is a hash already, as it is.
#[derive(Debug, Default)]
struct TypeIdHasher(u64);

impl Hasher for TypeIdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
