//! The immutable table of everything that is provided: what a lookup reads.

use std::{
    any::TypeId,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, Mutex, OnceLock},
};

use super::{
    Dependency, DependencyKind, Key,
    construction::Running,
    erased::{Construct, Dispose, Handle, reveal},
    family::{self, Family},
    scope::Scope,
};

/// One provider, and its value once it is built.
pub(super) struct Slot {
    pub(super) key: Key,
    /// Its key, where that is known only with its value.
    pub(super) late_key: OnceLock<Key>,
    pub(super) module: Arc<str>,
    pub(super) origin: Origin,
    pub(super) dependencies: Box<[Dependency]>,
    /// Where each of them leads; filled in by the table.
    pub(super) targets: Box<[Target]>,
    pub(super) scope: Scope,
    pub(super) eager: bool,
    /// Only its own module may take it.
    pub(super) private: bool,
    /// Replaced by a test.
    pub(super) overridden: bool,
    pub(super) dispose: Option<Dispose>,
    /// Shared with the index, so that a lookup does not pass through here.
    pub(super) value: Arc<OnceLock<Handle>>,
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
    /// So it is, by whoever fetches it at run time.
    Expected(String),
    /// Every call brings its own.
    Call,
    /// It stands for values under names that the configuration tells.
    Family(Family),
}

/// Where a dependency leads, as far as that is known from the start.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// There.
    Slot(usize),
    /// Nobody provides it, and nobody will.
    Nobody,
    /// To several, or to what is supplied under a name that is not known yet.
    Open,
}

/// A dependency on another slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) slot: usize,
    pub(super) kind: DependencyKind,
}

impl Slot {
    pub(super) fn key(&self) -> &Key {
        self.late_key.get().unwrap_or(&self.key)
    }

    /// When it comes, where it was announced.
    pub(super) fn announced(&self) -> Option<&str> {
        match &self.origin {
            Origin::Announced(when) | Origin::Open(when) | Origin::Expected(when) => Some(when),
            Origin::Family(_) => Some(family::WHEN),
            _ => None,
        }
    }

    /// What builds it, where something does.
    pub(super) fn construct(&self) -> Option<&Construct> {
        match &self.origin {
            Origin::Constructor(construct) | Origin::Alias(construct) => Some(construct),
            _ => None,
        }
    }

    /// Announced, and not yet supplied.
    pub(super) fn is_awaited(&self) -> bool {
        self.announced().is_some() && self.value.get().is_none()
    }

    /// One for the process, and its constructor has not ended.
    pub(super) fn is_unbuilt_singleton(&self) -> bool {
        self.scope == Scope::Singleton && self.value.get().is_none()
    }

    /// What an alias shows, or nothing.
    pub(super) fn target(&self) -> Option<&Key> {
        match self.origin {
            Origin::Alias(_) => self.dependencies.first().map(Dependency::key),
            _ => None,
        }
    }

    /// May still become the value of any name.
    fn is_nameless(&self) -> bool {
        matches!(self.origin, Origin::Open(_)) && self.late_key.get().is_none()
    }
}

/// The slot of a type's unnamed value.
struct Unnamed {
    slot: usize,
    value: Arc<OnceLock<Handle>>,
}

/// What is added once, when the configuration is complete.
#[derive(Default)]
struct Late {
    slots: Vec<Slot>,
    names: HashMap<TypeId, HashMap<Arc<str>, usize>, ByTypeId>,
}

/// Every provider, by key. Nothing is taken once it is assembled, and only the members of families
/// are added.
pub(super) struct Table {
    slots: Vec<Slot>,
    /// The members of families, since their names are known.
    late: OnceLock<Late>,
    unnamed: HashMap<TypeId, Unnamed, ByTypeId>,
    named: HashMap<TypeId, HashMap<Arc<str>, usize>, ByTypeId>,
    open: HashMap<TypeId, Vec<usize>, ByTypeId>,
    /// Every slot of a type, in the order of registration.
    by_type: HashMap<TypeId, Vec<usize>, ByTypeId>,
    /// The slots of a key that several have.
    rivals: HashMap<Key, Vec<usize>>,
}

impl Table {
    /// Indexes `slots`. A key that several have finds none of them.
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        let mut unnamed = HashMap::default();
        let mut named: HashMap<_, HashMap<_, _>, _> = HashMap::default();
        let mut open: HashMap<_, Vec<_>, _> = HashMap::default();
        let mut by_type: HashMap<_, Vec<_>, _> = HashMap::default();
        let rivals = rivals(&slots);
        for (index, Slot { key, origin, value, .. }) in slots.iter().enumerate() {
            if matches!(origin, Origin::Family(_)) {
                open.entry(key.type_id()).or_default().push(index);
                continue;
            }
            by_type.entry(key.type_id()).or_default().push(index);
            if rivals.contains_key(key) {
                continue;
            }
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
        let late = OnceLock::new();
        Self { slots, late, unnamed, named, open, by_type, rivals }.with_targets()
    }

    fn with_targets(mut self) -> Self {
        let targets = |slot: &Slot| slot.dependencies.iter().map(|d| self.target(d)).collect();
        let targets: Vec<_> = self.slots.iter().map(targets).collect();
        for (slot, targets) in self.slots.iter_mut().zip(targets) {
            slot.targets = targets;
        }
        self
    }

    /// What is not open is found at once or never.
    fn target(&self, dependency: &Dependency) -> Target {
        let key = dependency.key();
        if dependency.kind() == DependencyKind::All || self.open.contains_key(&key.type_id()) {
            return Target::Open;
        }
        self.find(key).map_or(Target::Nobody, Target::Slot)
    }

    /// Adds the members of families; the second time changes nothing.
    pub(super) fn add_members(&self, members: Vec<Slot>) {
        let mut names: HashMap<_, HashMap<_, _>, _> = HashMap::default();
        for (member, index) in members.iter().zip(self.slots.len()..) {
            let of_type: &mut HashMap<_, _> = names.entry(member.key.type_id()).or_default();
            of_type.extend(member.key.shared_name().map(|name| (name, index)));
        }
        let _ = self.late.set(Late { slots: members, names });
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().chain(self.late_slots())
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() + self.late_slots().len()
    }

    pub(super) fn slot(&self, index: usize) -> &Slot {
        self.slots.get(index).unwrap_or_else(|| &self.late_slots()[index - self.slots.len()])
    }

    fn late_slots(&self) -> &[Slot] {
        self.late.get().map_or(&[], |late| &late.slots)
    }

    /// The slot of that key, or one that may still become it.
    pub(super) fn find(&self, key: &Key) -> Option<usize> {
        self.find_type(key.type_id(), key.name())
    }

    /// The place of a type's unnamed value: the way of every call.
    #[inline]
    pub(super) fn unnamed(&self, type_id: TypeId) -> Option<(usize, &OnceLock<Handle>)> {
        match self.unnamed.get(&type_id) {
            Some(Unnamed { slot, value }) => Some((*slot, value)),
            None => self.unnamed_open(type_id),
        }
    }

    #[cold]
    fn unnamed_open(&self, type_id: TypeId) -> Option<(usize, &OnceLock<Handle>)> {
        self.find_open(type_id, None).map(|slot| (slot, &*self.slot(slot).value))
    }

    /// The value of type `T` and that name, if it is there.
    pub(super) fn value<T: ?Sized + Send + Sync + 'static>(
        &self,
        name: Option<&str>,
    ) -> Option<Arc<T>> {
        let index = self.find_type(TypeId::of::<T>(), name)?;
        self.slot(index).value.get().and_then(reveal)
    }

    /// The slots behind `dependencies`, as far as they exist at this moment.
    pub(super) fn edges(&self, dependencies: &[Dependency]) -> impl Iterator<Item = Edge> {
        dependencies.iter().flat_map(|dependency| {
            let (key, kind) = (dependency.key(), dependency.kind());
            let (all, one) = match kind {
                DependencyKind::All => (Some(self.all(key.type_id())), None),
                _ => (None, self.find(key)),
            };
            let slots = all.into_iter().flatten().chain(one);
            slots.map(move |slot| Edge { slot, kind })
        })
    }

    /// Every slot of that type, in the order of registration.
    pub(super) fn all(&self, type_id: TypeId) -> impl Iterator<Item = usize> {
        let late = (self.slots.len()..self.len()).filter(move |&index| {
            let slot = self.slot(index);
            slot.key.type_id() == type_id
        });
        self.by_type.get(&type_id).into_iter().flatten().copied().chain(late)
    }

    /// What somebody can do who misses a member of a family.
    pub(super) fn family_of(&self, type_id: TypeId) -> Option<&Family> {
        self.open.get(&type_id)?.iter().find_map(|&index| match &self.slots[index].origin {
            Origin::Family(family) => Some(family),
            _ => None,
        })
    }

    /// The slots that share `key`, where several do.
    pub(super) fn rivals(&self, key: &Key) -> &[usize] {
        self.rivals.get(key).map_or(&[], Vec::as_slice)
    }

    fn find_type(&self, type_id: TypeId, name: Option<&str>) -> Option<usize> {
        let found = match name {
            None => self.unnamed.get(&type_id).map(|unnamed| unnamed.slot),
            Some(name) => self.named.get(&type_id).and_then(|names| names.get(name)).copied(),
        };
        found.or_else(|| self.find_open(type_id, name)).or_else(|| self.find_member(type_id, name))
    }

    /// A member of a family, or what stands for all of them until they are known.
    fn find_member(&self, type_id: TypeId, name: Option<&str>) -> Option<usize> {
        let name = name?;
        if let Some(late) = self.late.get() {
            return late.names.get(&type_id)?.get(name).copied();
        }
        let is_family = |&&index: &&usize| matches!(self.slots[index].origin, Origin::Family(_));
        self.open.get(&type_id)?.iter().find(is_family).copied()
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

fn rivals(slots: &[Slot]) -> HashMap<Key, Vec<usize>> {
    let mut places: HashMap<Key, Vec<usize>> = HashMap::with_capacity(slots.len());
    for (index, slot) in slots.iter().enumerate() {
        if !matches!(slot.origin, Origin::Open(_)) {
            places.entry(slot.key.clone()).or_default().push(index);
        }
    }
    places.retain(|_, slots| slots.len() > 1);
    places
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
