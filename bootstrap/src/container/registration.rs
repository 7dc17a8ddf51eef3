//! One provider as it is being registered.

use std::{marker::PhantomData, sync::Arc};

use super::{
    Dependency, Key, Scope,
    erased::{Construct, Dispose, Handle, dispose_with},
    family::Family,
};
use crate::Result;

/// A provider that was just registered, to say more about it.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use polyport_bootstrap::{Result, container::ContainerBuilder};
///
/// struct Pool;
///
/// let mut builder = ContainerBuilder::new();
/// builder
///     .provide_with(async || Ok(Pool))
///     .named("replica")
///     .eager()
///     .on_dispose(async |pool: Arc<Pool>| { drop(pool); Ok(()) });
/// ```
#[derive(Debug)]
pub struct Registration<'a, T: ?Sized> {
    entry: &'a mut Entry,
    of: PhantomData<fn() -> Arc<T>>,
}

impl<'a, T: ?Sized + Send + Sync + 'static> Registration<'a, T> {
    pub(super) fn new(entry: &'a mut Entry) -> Self {
        Self { entry, of: PhantomData }
    }

    /// Names the value, so that several of its type can exist:
    /// `#[inject(name = "replica")]`.
    #[allow(clippy::return_self_not_must_use, reason = "the registration is kept in its builder")]
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        self.entry.key = Key::of::<T>().named(name);
        self
    }

    /// Builds the value at start even where nothing reaches it.
    #[allow(clippy::return_self_not_must_use, reason = "the registration is kept in its builder")]
    pub fn eager(self) -> Self {
        self.entry.eager = true;
        self
    }

    /// Builds a value for each call that takes it, on any protocol: [`Scope::Request`].
    #[allow(clippy::return_self_not_must_use, reason = "the registration is kept in its builder")]
    pub fn request(self) -> Self {
        self.scope(Scope::Request)
    }

    /// Builds a value for each constructor or operation that takes it: [`Scope::Transient`].
    #[allow(clippy::return_self_not_must_use, reason = "the registration is kept in its builder")]
    pub fn transient(self) -> Self {
        self.scope(Scope::Transient)
    }

    fn scope(self, scope: Scope) -> Self {
        self.entry.scope = scope;
        self
    }

    /// Disposes of the value, when the process stops (or the call ends that it belongs to) and all
    /// that used it is gone; in place of what its type does for that.
    #[allow(clippy::return_self_not_must_use, reason = "the registration is kept in its builder")]
    pub fn on_dispose<F, Fut>(self, dispose: F) -> Self
    where
        F: Fn(Arc<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.entry.dispose = Some(dispose_with(dispose));
        self.entry.has_own_disposal = true;
        self
    }
}

/// A provider before the table is assembled.
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) module: Arc<str>,
    pub(super) source: Source,
    pub(super) dependencies: Vec<Dependency>,
    pub(super) scope: Scope,
    pub(super) eager: bool,
    pub(super) dispose: Option<Dispose>,
    /// By `on_dispose`.
    pub(super) has_own_disposal: bool,
    /// A trait object, of which several may stand under one key: whoever takes one is told.
    pub(super) is_view: bool,
    /// Only its own module may take it.
    pub(super) private: bool,
}

/// What was registered.
pub(super) enum Source {
    /// A finished value.
    Value(Handle),
    /// An async factory.
    Factory(Construct),
    /// A type that builds itself.
    Type(Construct),
    /// Such a type, only because something was bound to it.
    Implied(Construct),
    /// Another provider's value, seen as another type.
    Alias(Construct),
    /// A value to come, and when.
    Announced(String),
    /// A value to come under a name that is not known yet, and when.
    Open(String),
    /// A value that is fetched at run time, and when.
    Expected(String),
    /// A value that every call brings along.
    Call,
    /// Values under names that are not known yet.
    Family(Family),
}

impl Entry {
    pub(super) fn new(key: Key, module: Arc<str>, source: Source) -> Self {
        Self {
            key,
            module,
            source,
            dependencies: Vec::new(),
            scope: Scope::Singleton,
            eager: false,
            dispose: None,
            has_own_disposal: false,
            is_view: false,
            private: false,
        }
    }

    pub(super) fn needs(mut self, dependencies: Vec<Dependency>) -> Self {
        self.dependencies = dependencies;
        self
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (module {})", self.key, self.module)
    }
}
