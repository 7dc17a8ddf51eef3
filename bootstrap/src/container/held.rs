//! Singletons that somebody holds on when their process is gone.

use std::sync::PoisonError;

use super::{
    Container,
    erased::{Erased, Watch},
    table::Slot,
};

/// A singleton that was built, in the eyes of a test, which does not hold it.
#[derive(Clone)]
pub(crate) struct HeldSingleton {
    title: String,
    watch: Watch,
}

impl HeldSingleton {
    /// The singleton as reports name it: `Pool (module store)`.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// How many hold it.
    pub(crate) fn holders(&self) -> usize {
        self.watch.holders()
    }
}

impl Container {
    /// Remembers a singleton that was built.
    pub(super) fn watch(&self, slot: &Slot, value: &Erased) {
        let title = format!("{} (module {})", slot.key(), slot.module);
        let held = value.watch().map(|watch| HeldSingleton { title, watch });
        self.inner().watched.lock().unwrap_or_else(PoisonError::into_inner).extend(held);
    }

    /// The singletons that were built.
    pub(crate) fn singletons(&self) -> Vec<HeldSingleton> {
        self.inner().watched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
