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
    pub(super) module: Arc<str>,
    pub(super) origin: Origin,
    pub(super) dependencies: Arc<[Dependency]>,
    /// The slots behind `dependencies`, as far as they exist.
    pub(super) edges: Vec<Edge>,
    pub(super) eager: bool,
    /// Replaced by a test.
    pub(super) overridden: bool,
    pub(super) dispose: Option<Dispose>,
    pub(super) value: OnceLock<Erased>,
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
}

/// A dependency on another slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) slot: usize,
    pub(super) required: bool,
}

impl Slot {
    /// Announced, and not yet supplied.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self.origin, Origin::Announced(_)) && self.value.get().is_none()
    }
}

/// Every provider, by key. Nothing is added or taken once it is assembled.
pub(super) struct Table {
    slots: Vec<Slot>,
    unnamed: HashMap<TypeId, usize, ByTypeId>,
    named: HashMap<TypeId, HashMap<Arc<str>, usize>, ByTypeId>,
}

impl Table {
    /// Indexes `slots`, whose keys differ, and joins each with what it depends on.
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        let mut table = Self {
            slots,
            unnamed: HashMap::default(),
            named: HashMap::default(),
        };
        for (index, slot) in table.slots.iter().enumerate() {
            match slot.key.shared_name() {
                Some(name) => {
                    table
                        .named
                        .entry(slot.key.type_id())
                        .or_default()
                        .insert(name, index);
                }
                None => {
                    table.unnamed.insert(slot.key.type_id(), index);
                }
            }
        }
        for index in 0..table.slots.len() {
            table.slots[index].edges = table.edges(&table.slots[index].dependencies);
        }
        table
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn slot(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    pub(super) fn find(&self, key: &Key) -> Option<usize> {
        self.find_type(key.type_id(), key.name())
    }

    /// The value of type `T`, if it is there: the way of every call.
    pub(super) fn value<T: ?Sized + Send + Sync + 'static>(
        &self,
        name: Option<&str>,
    ) -> Option<Arc<T>> {
        let index = self.find_type(TypeId::of::<T>(), name)?;
        self.slots[index].value.get().and_then(reveal)
    }

    /// The slots behind `dependencies`, as far as they exist.
    pub(super) fn edges(&self, dependencies: &[Dependency]) -> Vec<Edge> {
        let edge = |dependency: &Dependency| {
            let slot = self.find(dependency.key())?;
            Some(Edge {
                slot,
                required: dependency.is_required(),
            })
        };
        dependencies.iter().filter_map(edge).collect()
    }

    fn find_type(&self, type_id: TypeId, name: Option<&str>) -> Option<usize> {
        match name {
            None => self.unnamed.get(&type_id).copied(),
            Some(name) => self.named.get(&type_id)?.get(name).copied(),
        }
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
