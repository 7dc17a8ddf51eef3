//! Hooks that declare what they take, so that it is checked and built before they run.

use std::{future::Future, sync::Arc};

use crate::{
    Result,
    container::{Container, Dependency, Injectable, Resolver, Root},
    hooks::{HookPoint, Owner},
};

/// A hook that says by its arguments what it takes: an async function or closure of up to twelve
/// [`Injectable`] arguments that returns `Result<()>`. What [`ModuleBuilder::hook`] and
/// [`Bootstrap::hook`] take.
///
/// `Marker` only tells the implementations apart; the compiler finds it.
///
/// [`ModuleBuilder::hook`]: crate::ModuleBuilder::hook
/// [`Bootstrap::hook`]: crate::Bootstrap::hook
#[diagnostic::on_unimplemented(
    message = "this function is not a hook that declares what it takes",
    label = "not a hook",
    note = "such a hook is `async fn(A, B, …) -> polyport::Result<()>`, or an async closure with \
            typed arguments; each argument is injectable (`Inject<…>`, `Arc<…>`), and the future \
            is `Send`",
    note = "one that takes the whole container is registered by its moment: \
            `.on_ready(async |container| …)`"
)]
pub trait Hook<Marker>: Send + 'static {
    /// What its arguments need.
    fn dependencies(&self) -> Vec<Dependency>;

    /// Takes the arguments and runs.
    fn call(self, container: Container) -> impl Future<Output = Result<()>> + Send + 'static;
}

/// All arguments of a hook.
struct Arguments<T>(T);

macro_rules! hook {
    ($($argument:ident),*) => {
        #[allow(unused_variables, reason = "a hook without arguments takes nothing")]
        impl<$($argument: Injectable),*> Injectable for Arguments<($($argument,)*)> {
            fn dependencies(out: &mut Vec<Dependency>) {
                $($argument::dependencies(out);)*
            }

            fn resolve(resolver: &Resolver<'_>) -> Result<Self> {
                Ok(Self(($($argument::resolve(resolver)?,)*)))
            }
        }

        impl<Function, Returned, $($argument),*> Hook<fn($($argument),*)> for Function
        where
            Function: FnOnce($($argument),*) -> Returned + Send + 'static,
            Returned: Future<Output = Result<()>> + Send + 'static,
            $($argument: Injectable + Send + 'static,)*
        {
            fn dependencies(&self) -> Vec<Dependency> {
                let mut dependencies = Vec::new();
                Arguments::<($($argument,)*)>::dependencies(&mut dependencies);
                dependencies
            }

            #[allow(non_snake_case, reason = "the macro names each argument after its type")]
            async fn call(self, container: Container) -> Result<()> {
                let Arguments(($($argument,)*)) = container.resolve().await?;
                self($($argument),*).await
            }
        }
    };
}

hook!();
hook!(A1);
hook!(A1, A2);
hook!(A1, A2, A3);
hook!(A1, A2, A3, A4);
hook!(A1, A2, A3, A4, A5);
hook!(A1, A2, A3, A4, A5, A6);
hook!(A1, A2, A3, A4, A5, A6, A7);
hook!(A1, A2, A3, A4, A5, A6, A7, A8);
hook!(A1, A2, A3, A4, A5, A6, A7, A8, A9);
hook!(A1, A2, A3, A4, A5, A6, A7, A8, A9, A10);
hook!(A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11);
hook!(A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12);

/// What a hook declares.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) point: HookPoint,
    pub(crate) owner: Owner,
    pub(crate) dependencies: Arc<[Dependency]>,
}

impl Declared {
    pub(crate) fn new<M>(point: HookPoint, owner: Owner, hook: &impl Hook<M>) -> Self {
        Self { point, owner, dependencies: hook.dependencies().into() }
    }

    /// What reports call it.
    pub(crate) fn title(&self) -> String {
        self.owner.title(self.point)
    }

    pub(crate) fn root(&self) -> Root {
        let root = Root::new(self.title(), self.dependencies.to_vec());
        match self.owner.module() {
            Some(module) => root.of_module(Arc::clone(module)),
            None => root,
        }
    }
}
