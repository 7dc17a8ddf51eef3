//! Async functions that build a value out of what they take as arguments.

use futures_util::future::BoxFuture;

use super::{
    Dependency, Injectable, Resolver,
    erased::{Building, building},
};
use crate::Result;

/// An async function or closure of up to twelve [`Injectable`] arguments that returns a
/// [`Result`]: what `provide_with` takes.
///
/// `Marker` only tells the implementations apart; the compiler finds it.
#[diagnostic::on_unimplemented(
    message = "this function cannot build a value for the container",
    label = "not a factory",
    note = "a factory is `async fn(A, B, …) -> polyport::Result<T>`, or an async closure with \
            typed arguments that borrows nothing; each argument is injectable (`Arc<…>`), `T` and \
            the future are `Send`"
)]
pub trait Factory<Marker>: Send + Sync + 'static {
    /// What it builds.
    type Output: Send + Sync + 'static;

    /// What its arguments need.
    fn dependencies(&self) -> Vec<Dependency>;

    /// Takes the arguments and builds the value.
    fn call<'a>(&self, resolver: Resolver<'a>) -> BoxFuture<'a, Result<Self::Output>>;

    /// [`call`](Self::call) for the container's table.
    #[doc(hidden)]
    fn call_erased<'a>(&self, resolver: Resolver<'a>) -> Building<'a> {
        building(self.call(resolver))
    }
}

macro_rules! factory {
    ($($argument:ident),*) => {
        impl<Function, Returned, Output, $($argument),*> Factory<fn($($argument),*)> for Function
        where
            Function: Fn($($argument),*) -> Returned + Send + Sync + 'static,
            Returned: Future<Output = Result<Output>> + Send + 'static,
            Output: Send + Sync + 'static,
            $($argument: Injectable,)*
        {
            type Output = Output;

            #[allow(unused_mut, reason = "a factory without arguments needs nothing")]
            fn dependencies(&self) -> Vec<Dependency> {
                let mut dependencies = Vec::new();
                $($argument::dependencies(&mut dependencies);)*
                dependencies
            }

            #[allow(unused_variables, reason = "a factory without arguments takes nothing")]
            fn call<'a>(&self, resolver: Resolver<'a>) -> BoxFuture<'a, Result<Output>> {
                let start = || Ok(self($($argument::resolve(&resolver)?),*));
                let started: Result<Returned> = start();
                Box::pin(async move { started?.await })
            }

            #[allow(unused_variables, reason = "a factory without arguments takes nothing")]
            fn call_erased<'a>(&self, resolver: Resolver<'a>) -> Building<'a> {
                let start = || Ok(self($($argument::resolve(&resolver)?),*));
                match start() {
                    Ok(started) => building(started),
                    Err(error) => Box::pin(std::future::ready(Err(error))),
                }
            }
        }
    };
}

factory!();
factory!(A);
factory!(A, B);
factory!(A, B, C);
factory!(A, B, C, D);
factory!(A, B, C, D, E);
factory!(A, B, C, D, E, F);
factory!(A, B, C, D, E, F, G);
factory!(A, B, C, D, E, F, G, H);
factory!(A, B, C, D, E, F, G, H, I);
factory!(A, B, C, D, E, F, G, H, I, J);
factory!(A, B, C, D, E, F, G, H, I, J, K);
factory!(A, B, C, D, E, F, G, H, I, J, K, L);
