//! The kernel's own values as arguments of providers and operations.

use std::sync::Arc;

use crate::{
    Config, Health, Lifecycle, Result, Tasks,
    application::FromApps,
    container::{Dependency, Injectable, Key, Resolver},
    operation::{App, Context, Ctx, Inject},
};

macro_rules! injectable {
    ($($handle:ty),*) => {
        $(
            impl Injectable for $handle {
                fn dependencies(out: &mut Vec<Dependency>) {
                    out.push(Dependency::required(Key::of::<Self>()));
                }

                fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
                    Ok(resolver.get::<Self>()?.as_ref().clone())
                }
            }
        )*
    };
}

injectable!(Config, Health, Lifecycle, Tasks, Context);

/// For what belongs to a call.
impl Injectable for Ctx {
    fn dependencies(out: &mut Vec<Dependency>) {
        Context::dependencies(out);
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        Context::resolve(resolver).map(Self)
    }
}

/// As an operation takes it: `Inject(users): Inject<UserService>`.
impl<T: ?Sized + Send + Sync + 'static> Injectable for Inject<T> {
    fn dependencies(out: &mut Vec<Dependency>) {
        Arc::<T>::dependencies(out);
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        resolver.get().map(Self)
    }
}

impl<A: FromApps> Injectable for App<A> {
    fn dependencies(out: &mut Vec<Dependency>) {
        out.push(A::dependency(None));
    }

    fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
        Ok(Self(A::resolve(resolver, None)?))
    }
}
