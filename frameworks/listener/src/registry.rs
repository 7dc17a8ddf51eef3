//! The listeners that somebody offers to others.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use polyport_bootstrap::{Error, Result};

use crate::{Mount, SharedListener};

/// The kind of framework whose listeners others join.
const HOST: &str = "http";

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

    /// Joins the listener of the HTTP framework called `name` by `mount`; `section` is that of whoever
    /// joins, for error messages.
    ///
    /// # Errors
    /// If there is no such framework, its listener serves already, or another mount has the path.
    pub fn join(&self, name: &str, section: &str, mount: Mount) -> Result<SharedListener> {
        let listener = self.find(HOST, name).ok_or_else(|| self.nothing_to_join(name, section))?;
        let joined = listener.mount(mount).map_err(|error| {
            Error::wiring(error.to_string())
                .advise("give one of them another path, or a port of its own")
        });
        joined.map(|()| listener)
    }

    fn nothing_to_join(&self, name: &str, section: &str) -> Error {
        let message =
            format!("there is no HTTP framework named {name:?} whose listener it could join");
        let others = match self.offered().as_slice() {
            [] => String::new(),
            offered => format!("; {section}.listener can name one of {}", offered.join(", ")),
        };
        Error::wiring(message).advise(format!(
            "load HttpFramework in the bootstrap, or set {section}.port to give it a port of its own{others}"
        ))
    }

    fn offers(&self) -> MutexGuard<'_, Offers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
