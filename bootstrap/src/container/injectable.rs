//! What a constructor, a factory or a hook can take as an argument or a field.

use std::sync::Arc;

use super::{Dependency, Key, Resolver};
use crate::Result;

/// A value that can be taken from the container: as an `#[inject]` field, or as an argument of a
/// factory.
///
/// `Arc<T>`, `Option<Arc<T>>`, [`Lazy<T>`](super::Lazy) and `Vec<Arc<T>>` are: the last takes all
/// that are provided as a `T`, in the order of registration. Implement it for your own cheap handles:
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Result, container::{Dependency, Injectable, Key, Resolver}};
///
/// #[derive(Clone)]
/// struct Pool;
///
/// impl Injectable for Pool {
///     fn dependencies(out: &mut Vec<Dependency>) {
///         out.push(Dependency::required(Key::of::<Self>()));
///     }
///
///     fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
///         Ok(resolver.get::<Self>()?.as_ref().clone())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected",
    label = "not something that the container hands out",
    note = "take `Arc<{Self}>` if somebody provides a `{Self}`",
    note = "or implement `Injectable` for it"
)]
pub trait Injectable: Sized {
    /// Adds what this needs to `out`, so that it is built before it is resolved.
    fn dependencies(out: &mut Vec<Dependency>);

    /// Takes the value out of what was declared and is built by now.
    ///
    /// # Errors
    /// An error says what was taken without being declared.
    fn resolve(resolver: &Resolver<'_>) -> Result<Self>;
}

/// An [`Injectable`] of which several can exist, told apart by name:
/// `#[inject(name = "replica")]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected by name",
    label = "has no named instances",
    note = "take `Arc<…>` of what is provided under that name"
)]
pub trait InjectableNamed: Injectable {
    /// Adds what the one called `name` needs to `out`.
    fn named_dependencies(name: &'static str, out: &mut Vec<Dependency>);

    /// Takes the one called `name`.
    ///
    /// # Errors
    /// As [`Injectable::resolve`].
    fn resolve_named(name: &'static str, resolver: &Resolver<'_>) -> Result<Self>;
}

impl<T: ?Sized + Send + Sync + 'static> Injectable for Arc<T> {
    fn dependencies(out: &mut Vec<Dependency>) {
        out.push(Dependency::required(Key::of::<T>()));
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        resolver.get()
    }
}

impl<T: ?Sized + Send + Sync + 'static> InjectableNamed for Arc<T> {
    fn named_dependencies(name: &'static str, out: &mut Vec<Dependency>) {
        out.push(Dependency::required(Key::of::<T>().named(name)));
    }

    fn resolve_named(name: &'static str, resolver: &Resolver<'_>) -> Result<Self> {
        resolver.get_named(name)
    }
}

impl<T: ?Sized + Send + Sync + 'static> Injectable for Option<Arc<T>> {
    fn dependencies(out: &mut Vec<Dependency>) {
        out.push(Dependency::optional(Key::of::<T>()));
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        resolver.find(None)
    }
}

impl<T: ?Sized + Send + Sync + 'static> InjectableNamed for Option<Arc<T>> {
    fn named_dependencies(name: &'static str, out: &mut Vec<Dependency>) {
        out.push(Dependency::optional(Key::of::<T>().named(name)));
    }

    fn resolve_named(name: &'static str, resolver: &Resolver<'_>) -> Result<Self> {
        resolver.find(Some(name))
    }
}

impl<T: ?Sized + Send + Sync + 'static> Injectable for Vec<Arc<T>> {
    fn dependencies(out: &mut Vec<Dependency>) {
        out.push(Dependency::all(Key::of::<T>()));
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        resolver.all()
    }
}

/// What a client needs that is called through the named `C`; `new` only tells the type.
#[doc(hidden)]
pub fn client_dependencies<C: InjectableNamed, T>(
    _new: impl FnOnce(C) -> T,
    name: &'static str,
    out: &mut Vec<Dependency>,
) {
    C::named_dependencies(name, out);
}

/// The client that is called through the named `C`.
///
/// # Errors
/// As [`Injectable::resolve`].
#[doc(hidden)]
pub fn resolve_client<C: InjectableNamed, T>(
    new: impl FnOnce(C) -> T,
    name: &'static str,
    resolver: &Resolver<'_>,
) -> Result<T> {
    C::resolve_named(name, resolver).map(new)
}
