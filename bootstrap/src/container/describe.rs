//! What the container consists of, as plain data.

use std::{sync::Arc, time::Duration};

use super::{
    Container, ContainerBuilder, Dependency, DependencyKind, Key, Scope,
    table::{Origin, Slot},
};

/// One provider.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) key: Key,
    pub(crate) module: Arc<str>,
    /// What was registered.
    pub(crate) origin: &'static str,
    pub(crate) scope: Scope,
    pub(crate) eager: bool,
    /// Only its own module may take it.
    pub(crate) private: bool,
    /// A test put a value in its place.
    pub(crate) overridden: bool,
    pub(crate) dependencies: Vec<Target>,
    /// Its value is there.
    pub(crate) built: bool,
    /// How long its own constructor ran, where it has.
    pub(crate) build_time: Option<Duration>,
}

/// A dependency on the provider at that place of the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) provider: usize,
    pub(crate) kind: DependencyKind,
}

impl ContainerBuilder {
    /// How many registrations there are.
    pub(crate) fn registered(&self) -> usize {
        self.entries.len()
    }

    /// Keeps all registrations but the first `earlier` to their modules.
    pub(crate) fn make_private_since(&mut self, earlier: usize) {
        self.entries.iter_mut().skip(earlier).for_each(|entry| entry.private = true);
    }
}

impl Container {
    /// Every provider, in the order in which tables keep them.
    pub(crate) fn describe(&self) -> Vec<Description> {
        let slots = self.table().slots().enumerate();
        slots.map(|(index, slot)| self.describe_slot(index, slot)).collect()
    }

    /// The providers behind `dependencies`, as far as there are any.
    pub(crate) fn targets(&self, dependencies: &[Dependency]) -> Vec<Target> {
        let edges = self.table().edges(dependencies);
        edges.map(|edge| Target { provider: edge.slot, kind: edge.kind }).collect()
    }

    fn describe_slot(&self, index: usize, slot: &Slot) -> Description {
        Description {
            key: slot.key().clone(),
            module: Arc::clone(&slot.module),
            origin: origin(&slot.origin),
            scope: slot.scope,
            eager: slot.eager,
            private: slot.private,
            overridden: slot.overridden,
            dependencies: self.targets(&slot.dependencies),
            built: slot.value.get().is_some(),
            build_time: self.build_time(index),
        }
    }

    fn build_time(&self, index: usize) -> Option<Duration> {
        self.built().iter().find(|built| built.slot == index)?.duration
    }
}

fn origin(origin: &Origin) -> &'static str {
    match origin {
        Origin::Value => "value",
        Origin::Constructor(_) => "constructor",
        Origin::Alias(_) => "alias",
        Origin::Announced(_) | Origin::Open(_) | Origin::Expected(_) => "announced",
        Origin::Call => "call",
        Origin::Family(_) => "family",
    }
}
