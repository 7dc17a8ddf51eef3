//! A value that is asked for only when it is used.

use std::{fmt, marker::PhantomData, sync::Arc};

use super::{
    Container, Dependency, Injectable, InjectableNamed, Key, Resolver, WeakContainer,
    construction::Constructing, table::Table,
};
use crate::{Error, Result};

/// A value that its holder asks for only when it uses it: the way out of a circle.
///
/// It is declared as any other: that nobody provides it is found at start, and it is built then,
/// though its holder does not wait for it. When the process stops, it outlives its holder, unless
/// it needs that one itself.
///
/// # Examples
/// ```
/// # extern crate polyport_bootstrap as polyport;
/// use std::sync::Arc;
/// use polyport::{Provide, Result, container::{ContainerBuilder, Lazy}};
///
/// #[derive(Provide)]
/// struct Rooms {
///     #[inject]
///     users: Lazy<Users>,
/// }
///
/// #[derive(Provide)]
/// struct Users {
///     #[inject]
///     rooms: Arc<Rooms>,
/// }
///
/// # #[polyport::main]
/// # async fn main() -> Result<()> {
/// let mut builder = ContainerBuilder::new();
/// builder.provide::<Rooms>();
/// builder.provide::<Users>();
/// let container = builder.build()?;
/// let rooms = container.get::<Rooms>().await?;
/// let users = rooms.users.get().await?;
/// assert!(Arc::ptr_eq(&users.rooms, &rooms));
/// # Ok(())
/// # }
/// ```
pub struct Lazy<T: ?Sized> {
    container: WeakContainer,
    /// The slot of whoever holds it.
    owner: Option<usize>,
    name: Option<Arc<str>>,
    of: PhantomData<fn() -> Arc<T>>,
}

impl<T: ?Sized + Send + Sync + 'static> Lazy<T> {
    pub(super) fn new(
        container: WeakContainer,
        owner: Option<usize>,
        name: Option<Arc<str>>,
    ) -> Self {
        Self { container, owner, name, of: PhantomData }
    }

    /// The value, built if nobody has needed it before; afterwards one read of a table.
    ///
    /// # Errors
    /// It could not be built, the container is gone, or a constructor asks: its holder's own
    /// never may, and another's only if the value exists, since waiting could be for ever.
    ///
    /// # Cancel safety
    /// As [`Container::get`].
    ///
    /// # Panics
    /// As [`Container::get`].
    pub async fn get(&self) -> Result<Arc<T>> {
        let container = self.container()?;
        self.check_owner(container.table())?;
        if let Some(value) = container.value(self.name.as_deref()) {
            return Ok(value);
        }
        if let Some(builder) = Constructing::in_this_task(&container) {
            return Err(asked_too_early(container.table(), builder, &self.key()).advise(format!(
                "let it depend on {} too, so that it is built before, or ask later",
                self.key()
            )));
        }
        match self.name.as_deref() {
            Some(name) => container.get_named(name).await,
            None => container.get().await,
        }
    }

    /// The value, if it is built.
    #[must_use]
    pub fn try_get(&self) -> Option<Arc<T>> {
        self.container.upgrade()?.value(self.name.as_deref())
    }

    fn key(&self) -> Key {
        let key = Key::of::<T>();
        match &self.name {
            Some(name) => key.named(Arc::clone(name)),
            None => key,
        }
    }

    fn container(&self) -> Result<Container> {
        self.container.upgrade().ok_or_else(|| {
            Error::other(format!("Lazy<{}> is asked for when the container is gone", self.key()))
        })
    }

    /// An answer that depended on who was faster would be worse than none.
    fn check_owner(&self, table: &Table) -> Result<()> {
        match self.owner {
            Some(owner) if table.slot(owner).is_unbuilt_singleton() => {
                Err(asked_too_early(table, owner, &self.key()).advise(format!(
                    "take Arc<{}> if the constructor needs it; what is lazy exists only afterwards",
                    self.key()
                )))
            }
            _ => Ok(()),
        }
    }
}

fn asked_too_early(table: &Table, builder: usize, key: &Key) -> Error {
    let builder = table.slot(builder).key();
    Error::wiring(format!("the constructor of {builder} asks for Lazy<{key}>"))
}

impl<T: ?Sized> Clone for Lazy<T> {
    fn clone(&self) -> Self {
        Self {
            container: self.container.clone(),
            owner: self.owner,
            name: self.name.clone(),
            of: PhantomData,
        }
    }
}

impl<T: ?Sized> fmt::Debug for Lazy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = super::key::without_paths(std::any::type_name::<T>());
        write!(f, "Lazy<{short}>")
    }
}

impl<T: ?Sized + Send + Sync + 'static> Injectable for Lazy<T> {
    fn dependencies(out: &mut Vec<Dependency>) {
        out.push(Dependency::lazy(Key::of::<T>()));
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        resolver.lazy(None)
    }
}

impl<T: ?Sized + Send + Sync + 'static> InjectableNamed for Lazy<T> {
    fn named_dependencies(name: &'static str, out: &mut Vec<Dependency>) {
        out.push(Dependency::lazy(Key::of::<T>().named(name)));
    }

    fn resolve_named(name: &'static str, resolver: &Resolver<'_>) -> Result<Self> {
        resolver.lazy(Some(name))
    }
}
