//! The container as everybody holds it.

use std::{
    any::{TypeId, type_name},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::AtomicBool},
    time::Duration,
};

use super::{
    Dependency, DependencyKind, Injectable, Key, Resolver,
    construction::{Built, Failure},
    dependency::dependencies_of,
    erased::{reveal, take},
    key::without_paths,
    report,
    table::{Origin, Table},
    visitor::Visitor,
};
use crate::{Error, Result};

/// The one registry of singletons that everything in a process shares. Cloning it is cheap.
///
/// A singleton is built when it is first needed, with what it needs, exactly once; during start
/// all that operations, hooks and frameworks reach is. A transient value is new at each call of
/// [`get`](Self::get); one of the request scope is had only within a call. See [`ContainerBuilder`] for how it is
/// filled.
///
/// [`ContainerBuilder`]: super::ContainerBuilder
#[derive(Clone)]
pub struct Container(Arc<Inner>, Option<Arc<Visitor>>);

pub(super) struct Inner {
    table: Table,
    built: Mutex<Vec<Built>>,
    /// Nothing is supplied any more.
    pub(super) sealed: AtomicBool,
    /// Nothing is built any more.
    pub(super) closed: AtomicBool,
    pub(super) disposal: tokio::sync::Mutex<()>,
    build_deadline: Mutex<Option<Duration>>,
    /// What was built, for tests to see who holds it on.
    #[cfg(any(test, feature = "testing"))]
    pub(super) watched: Mutex<Vec<super::HeldSingleton>>,
}

impl Container {
    pub(super) fn new(table: Table) -> Self {
        let slots = table.slots().enumerate();
        let values = slots.filter(|(_, slot)| matches!(slot.origin, Origin::Value));
        let built = values.map(|(slot, _)| Built { slot, duration: None }).collect();
        let inner = Inner {
            table,
            built: Mutex::new(built),
            sealed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            disposal: tokio::sync::Mutex::new(()),
            build_deadline: Mutex::default(),
            #[cfg(any(test, feature = "testing"))]
            watched: Mutex::default(),
        };
        Self(Arc::new(inner), None)
    }

    /// The one `T` of the process, built with what it needs if nobody has needed it before.
    ///
    /// # Errors
    /// Nobody provides a `T`, it comes only later, or its constructor or one of those before it
    /// failed or panicked; the error names the path. A constructor that asks gets only what exists
    /// already, and a hook not what is private to a module that it is not of. A failed build is tried again by the next
    /// call.
    ///
    /// # Cancel safety
    /// The build runs in a task of its own: it goes on when this is dropped, and is neither
    /// stopped nor repeated.
    ///
    /// # Panics
    /// Outside of a tokio runtime, if something has to be built.
    pub async fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        match self.try_get() {
            Some(value) => Ok(value),
            None => self.build_and_get(Key::of::<T>()).await,
        }
    }

    /// The `T` called `name`; otherwise as [`get`](Self::get).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Panics
    /// As [`get`](Self::get).
    pub async fn get_named<T: ?Sized + Send + Sync + 'static>(&self, name: &str) -> Result<Arc<T>> {
        match self.try_get_named(name) {
            Some(value) => Ok(value),
            None => self.build_and_get(Key::of::<T>().named(name)).await,
        }
    }

    /// The `T`, if it is built: one read of an immutable table, without a lock or an allocation.
    #[must_use]
    #[inline]
    pub fn try_get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        if self.1.is_some() && self.admit(&[Dependency::required(Key::of::<T>())]).is_err() {
            return None;
        }
        let (_, value) = self.0.table.unnamed(TypeId::of::<T>())?;
        reveal(value.get()?)
    }

    /// The `T` called `name`, if it is built.
    #[must_use]
    pub fn try_get_named<T: ?Sized + Send + Sync + 'static>(&self, name: &str) -> Option<Arc<T>> {
        if self.1.is_some() {
            self.admit(&[Dependency::required(Key::of::<T>().named(name))]).ok()?;
        }
        self.value(Some(name))
    }

    /// Takes an `I`, building what it needs.
    ///
    /// # Errors
    /// As [`get`](Self::get), for all that it needs.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    pub async fn resolve<I: Injectable>(&self) -> Result<I> {
        let dependencies = dependencies_of::<I>();
        let lacks = |d: &&Dependency| {
            let found = || self.table().find(d.key()).is_some();
            !self.table().rivals(d.key()).is_empty() && d.kind() != DependencyKind::All
                || d.must_exist() && !found()
        };
        if let Some(lack) = dependencies.iter().find(lacks) {
            return Err(report::missing(self.table(), lack));
        }
        self.admit(&dependencies)?;
        self.admit_constructor(&dependencies)?;
        self.ensure_all(&dependencies).await.map_err(|failure| self.failed(&failure))?;
        let locals = self.locals(&dependencies, None).await;
        let locals = locals.map_err(|failure| self.failed(&failure))?;
        let owner = without_paths(type_name::<I>());
        I::resolve(&Resolver::new(self, &owner, &dependencies, locals))
    }

    /// A handle that does not keep the container alive: for everything that the container holds.
    #[must_use]
    pub fn downgrade(&self) -> WeakContainer {
        WeakContainer(Arc::downgrade(&self.0))
    }

    async fn build_and_get<T: ?Sized + Send + Sync + 'static>(&self, key: Key) -> Result<Arc<T>> {
        let missing = || report::missing(self.table(), &Dependency::required(key.clone()));
        let index = self.table().find(&key).ok_or_else(missing)?;
        let wanted = [Dependency::required(key.clone())];
        self.admit(&wanted)?;
        self.admit_constructor(&wanted)?;
        let value = self.obtain(index, None).await.map_err(|failure| self.failed(&failure))?;
        take(value).ok_or_else(|| report::other_type(&key))
    }

    /// Gives every constructor of a singleton that long; without this call there is no limit.
    pub(crate) fn set_build_deadline(&self, deadline: Duration) {
        *self.0.build_deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
    }

    pub(super) fn build_deadline(&self) -> Option<Duration> {
        *self.0.build_deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same container, in the hands of `visitor`.
    pub(super) fn with_visitor(&self, visitor: Option<Arc<Visitor>>) -> Self {
        Self(Arc::clone(&self.0), visitor)
    }

    pub(super) fn visitor(&self) -> Option<&Visitor> {
        self.1.as_deref()
    }

    /// Tells this container from others.
    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    pub(super) fn failed(&self, failure: &Failure) -> Error {
        let way = failure.path.iter().map(|&slot| self.table().slot(slot).key().to_string());
        self.explain(failure, way.collect())
    }

    pub(super) fn value<T: ?Sized + Send + Sync + 'static>(
        &self,
        name: Option<&str>,
    ) -> Option<Arc<T>> {
        self.0.table.value(name)
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(super) fn table(&self) -> &Table {
        &self.0.table
    }

    pub(super) fn built(&self) -> MutexGuard<'_, Vec<Built>> {
        self.0.built.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let providers = self.table().len();
        write!(f, "Container({providers} providers, {} built)", self.built().len())
    }
}

/// A [`Container`] that it does not keep alive.
#[derive(Clone)]
pub struct WeakContainer(Weak<Inner>);

impl WeakContainer {
    /// The container, as long as its process has not ended.
    #[must_use]
    pub fn upgrade(&self) -> Option<Container> {
        Some(Container(self.0.upgrade()?, None))
    }

    /// How many handles keep the container alive.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn holders(&self) -> usize {
        self.0.strong_count()
    }
}

impl fmt::Debug for WeakContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakContainer")
    }
}
