//! What would be provided if the application were another: for the report of what is missing.

use super::{ContainerBuilder, Key, registration::Source};

/// Something that is not provided here, though somebody knows how to.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) key: Key,
    /// `UserModule binds dyn UserRepo only for env "prod"`.
    pub(crate) text: String,
    /// What to do to have it: `bind it for env "local" too`.
    pub(crate) remedy: String,
}

/// Everything that is offered elsewhere; asked only where something is missing.
pub(crate) type Elsewhere<'a> = &'a dyn Fn() -> Vec<Offer>;

/// Nobody knows of anything else.
pub(crate) fn nowhere() -> Vec<Offer> {
    Vec::new()
}

impl ContainerBuilder {
    /// The keys of all registrations but the first `earlier`, and what is done with each: "binds"
    /// or "provides".
    pub(crate) fn offers_since(&self, earlier: usize) -> impl Iterator<Item = (Key, &'static str)> {
        self.entries.iter().skip(earlier).map(|entry| match entry.source {
            Source::Alias(_) => (entry.key.clone(), "binds"),
            _ => (entry.key.clone(), "provides"),
        })
    }
}
