//! The listeners that somebody offers to others.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::SharedListener;

/// The listeners of one process that others may join, by the kind and name of the framework that
/// owns each. One for each bootstrap, shared as `Arc<ListenerRegistry>`; never a static.
///
/// # Examples
/// ```
/// use polyport_listener::{ListenerRegistry, SharedListener};
///
/// let registry = ListenerRegistry::default();
/// registry.offer("http", "default", SharedListener::new("http"));
///
/// assert!(registry.find("http", "default").is_some());
/// assert!(registry.find("http", "admin").is_none());
/// assert_eq!(registry.offered(), ["http (default)"]);
/// ```
#[derive(Debug, Default)]
pub struct ListenerRegistry(Mutex<Offers>);

type Offers = BTreeMap<(&'static str, String), SharedListener>;

impl ListenerRegistry {
    /// Offers the listener of the framework `kind` called `name`; a later offer of the same kind
    /// and name takes its place.
    pub fn offer(&self, kind: &'static str, name: &str, listener: SharedListener) {
        self.offers().insert((kind, name.to_owned()), listener);
    }

    /// The listener of the framework `kind` called `name`.
    #[must_use]
    pub fn find(&self, kind: &str, name: &str) -> Option<SharedListener> {
        let offers = self.offers();
        let found = offers.iter().find(|((k, n), _)| *k == kind && n == name);
        found.map(|(_, listener)| listener.clone())
    }

    /// What is offered, for error messages: `"http (default)"`.
    #[must_use]
    pub fn offered(&self) -> Vec<String> {
        self.offers().keys().map(|(kind, name)| format!("{kind} ({name})")).collect()
    }

    fn offers(&self) -> MutexGuard<'_, Offers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
