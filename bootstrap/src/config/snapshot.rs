//! One state of the whole configuration, which never changes: a newer one takes its place.

use std::{any::Any, fmt, sync::Arc};

use super::{layers::Layers, sections::Owned};

/// A typed section, its type erased.
pub(super) type Typed = Arc<dyn Any + Send + Sync>;

/// The merged tree and what was made of it. Whoever holds one sees all values of one moment.
pub(crate) struct Snapshot {
    pub(super) layers: Arc<Layers>,
    /// By the slot of their declaration; empty where nobody has read the section yet.
    pub(super) sections: Vec<Option<Typed>>,
    /// Nothing can be added any more; from here on there are only commits of whole snapshots.
    pub(super) sealed: bool,
}

impl Snapshot {
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers: Arc::new(layers), sections: Vec::new(), sealed: false }
    }

    /// As this one with other layers; sections that read the same there are kept.
    pub(super) fn with_layers(&self, layers: Layers, owned: &[Arc<Owned>]) -> Self {
        let kept = |section: &Arc<Owned>| self.unchanged(section, &layers);
        let sections = owned.iter().map(kept).collect();
        Self { layers: Arc::new(layers), sections, sealed: self.sealed }
    }

    /// The section, where it would be the same in `layers`.
    pub(super) fn unchanged(&self, section: &Owned, layers: &Layers) -> Option<Typed> {
        let value = self.sections.get(section.slot)?.clone()?;
        (self.layers.find(&section.path) == layers.find(&section.path)).then_some(value)
    }

    /// The section in `slot`, as the type that it was declared with.
    pub(super) fn section<T: Send + Sync + 'static>(&self, slot: usize) -> Option<Arc<T>> {
        Arc::clone(self.sections.get(slot)?.as_ref()?).downcast().ok()
    }
}

/// Without values: they may be secrets.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("sealed", &self.sealed).finish_non_exhaustive()
    }
}
