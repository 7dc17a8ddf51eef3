//! What a constructor takes its dependencies from.

use std::sync::Arc;

use super::{Dependency, Key, WeakContainer};
use crate::{Error, Result};

/// Hands a constructor what it declared, all of which is built by then, and nothing else.
///
/// That there is no other way in is what makes the graph known before anything is built, and a
/// deadlock impossible.
#[derive(Debug, Clone)]
pub struct Resolver {
    container: WeakContainer,
    owner: Arc<str>,
    declared: Arc<[Dependency]>,
}

impl Resolver {
    pub(super) fn new(
        container: WeakContainer,
        owner: impl Into<Arc<str>>,
        declared: Arc<[Dependency]>,
    ) -> Self {
        Self { container, owner: owner.into(), declared }
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
        let key = Key::of::<T>();
        self.optional(&match name {
            Some(name) => key.named(name),
            None => key,
        })
    }

    fn required<T: ?Sized + Send + Sync + 'static>(&self, key: Key) -> Result<Arc<T>> {
        self.optional(&key)?.ok_or_else(|| {
            Error::wiring(format!(
                "{} takes {key} as required, but declared it as optional",
                self.owner
            ))
        })
    }

    fn optional<T: ?Sized + Send + Sync + 'static>(&self, key: &Key) -> Result<Option<Arc<T>>> {
        if !self.declared.iter().any(|dependency| dependency.key() == key) {
            return Err(self.undeclared(key));
        }
        let container = self.container.upgrade().ok_or_else(|| self.too_late(key))?;
        Ok(container.value(key.name()))
    }

    fn undeclared(&self, key: &Key) -> Error {
        Error::wiring(format!("{} takes {key}, which it did not declare", self.owner)).advise(
            format!(
                "add {key} to its dependencies, so that it is built before (in a struct with \
                 #[derive(Provide)]: an #[inject] field)"
            ),
        )
    }

    fn too_late(&self, key: &Key) -> Error {
        Error::other(format!("{} takes {key} when the container is gone", self.owner))
            .advise("take it in the constructor and keep it, instead of keeping the resolver")
    }
}
