//! How values are built that stand in no table: for one call, or for one that takes them.

use std::{any::TypeId, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    Container, Dependency, DependencyKind, Key, Resolver,
    construction::Failure,
    erased::{Building, Construct, Erased, reveal, take},
    report,
    scope::{Caller, Scope},
    table::{Origin, Slot, Target},
};
use crate::{ErrorKind, Result, panics};

/// A value that stands in no table, and the slot that it was built for.
#[derive(Clone)]
pub(super) struct Local {
    pub(super) slot: usize,
    pub(super) value: Erased,
}

pub(super) type Obtained = Result<Erased, Box<Failure>>;

/// How far a value is that a call takes. What seldom has to wait is boxed, since the future of
/// every call has room for this.
enum Begun<'a> {
    /// It is there, or it failed.
    Done(Obtained),
    /// Its constructor waits for something.
    Constructing(Building<'a>),
    /// Something else has to be built before it.
    Waiting(BoxFuture<'a, Obtained>),
}

impl Container {
    /// The `T` that belongs to `call`, built where nobody has taken it yet; a singleton is the
    /// process's.
    pub(crate) async fn get_in<T: ?Sized + Send + Sync + 'static>(
        &self,
        call: &dyn Caller,
    ) -> Result<Arc<T>> {
        let key = Key::of::<T>;
        let Some((index, value)) = self.table().unnamed(TypeId::of::<T>()) else {
            return Err(report::missing(self.table(), &Dependency::required(key())));
        };
        if let Some(value) = value.get() {
            return reveal(value).ok_or_else(|| report::other_type(&key()));
        }
        let outcome = match self.begin(index, call) {
            Begun::Done(outcome) => outcome,
            Begun::Constructing(value) => {
                self.settle(index, Some(call), panics::caught_async(value).await)
            }
            Begun::Waiting(outcome) => outcome.await,
        };
        let value = outcome.map_err(|failure| self.failed(&failure))?;
        take(value).ok_or_else(|| report::other_type(&key()))
    }

    /// Goes as far as it can without waiting.
    fn begin<'a>(&'a self, index: usize, call: &'a dyn Caller) -> Begun<'a> {
        let slot = self.table().slot(index);
        if let Some(value) = at_hand(index, slot, call) {
            return Begun::Done(Ok(value));
        }
        let Some(locals) = self.locals_at_hand(slot, call) else {
            return Begun::Waiting(Box::pin(self.obtain(index, Some(call))));
        };
        let resolver = Resolver::of_slot(self, index, locals).in_call(Some(call));
        let value = match slot.construct() {
            None => Err(report::no_value()),
            Some(Construct::Now(construct)) => panics::caught(|| construct(resolver)),
            Some(Construct::Later(construct)) => match panics::caught(|| Ok(construct(resolver))) {
                Ok(building) => return Begun::Constructing(building),
                Err(panicked) => Err(panicked),
            },
        };
        Begun::Done(self.settle(index, Some(call), value))
    }

    /// The slot's value: the process's, the call's, or a new one.
    pub(super) async fn obtain(&self, index: usize, call: Option<&dyn Caller>) -> Obtained {
        let slot = self.table().slot(index);
        match (slot.scope, call) {
            (Scope::Singleton, _) => {
                self.ensure(index).await?;
                let value = slot.value.get().map(Erased::from);
                value.ok_or_else(|| Failure::at(index, report::no_value()))
            }
            (Scope::Request, None) => Err(Failure::at(index, report::no_call())),
            (Scope::Request, Some(call)) => match at_hand(index, slot, call) {
                Some(value) => Ok(value),
                None => self.build_local(index, Some(call)).await,
            },
            (Scope::Transient, _) => self.build_local(index, call).await,
        }
    }

    /// Builds a value in the task of whoever takes it.
    async fn build_local(&self, index: usize, call: Option<&dyn Caller>) -> Obtained {
        let slot = self.table().slot(index);
        let locals = self.locals(&slot.dependencies, call).await;
        let locals = locals.map_err(|failure| failure.through(index))?;
        let resolver = Resolver::of_slot(self, index, locals).in_call(call);
        let value = match slot.construct() {
            None => Err(report::no_value()),
            Some(construct) => panics::caught_async(construct.run(resolver)).await,
        };
        self.settle(index, call, value)
    }

    /// Gives a new value to the call that it belongs to.
    #[inline]
    fn settle(&self, index: usize, call: Option<&dyn Caller>, value: Result<Erased>) -> Obtained {
        let value = value.map_err(|error| Failure::at(index, error.or_kind(ErrorKind::Hook)))?;
        let slot = self.table().slot(index);
        match (slot.scope, call) {
            (Scope::Request, Some(call)) => {
                let first = call.scope().keep(index, &value, slot.dispose.is_some());
                Ok(first.unwrap_or(value))
            }
            _ => Ok(value),
        }
    }

    /// [`locals`](Self::locals) of what is built for a call, where none has to be built.
    fn locals_at_hand(&self, slot: &Slot, call: &dyn Caller) -> Option<Vec<Local>> {
        if slot.scope == Scope::Singleton {
            return None;
        }
        let mut locals: Vec<Local> = Vec::new();
        for (dependency, target) in slot.dependencies.iter().zip(&slot.targets) {
            let index = match target {
                _ if dependency.kind() == DependencyKind::Lazy => continue,
                Target::Nobody => continue,
                Target::Open => return None,
                Target::Slot(index) => *index,
            };
            let needed = self.table().slot(index);
            if needed.scope == Scope::Singleton {
                needed.value.get()?;
            } else if !locals.iter().any(|local| local.slot == index) {
                locals.push(Local { slot: index, value: at_hand(index, needed, call)? });
            }
        }
        Some(locals)
    }

    /// Builds what `dependencies` lead to, as far as it stands in no table, and sees to it that
    /// the singletons among them are there.
    pub(super) async fn locals(
        &self,
        dependencies: &[Dependency],
        call: Option<&dyn Caller>,
    ) -> Result<Vec<Local>, Box<Failure>> {
        let mut locals: Vec<Local> = Vec::new();
        for index in self.needed(dependencies) {
            if self.table().slot(index).scope == Scope::Singleton {
                self.ensure(index).await?;
            } else if !locals.iter().any(|local| local.slot == index) {
                let value = Box::pin(self.obtain(index, call)).await?;
                locals.push(Local { slot: index, value });
            }
        }
        Ok(locals)
    }

    /// The slots that have to have a value before a constructor runs: not what is lazy, and not
    /// what is optional and still to come.
    pub(super) fn needed(&self, dependencies: &[Dependency]) -> impl Iterator<Item = usize> {
        let edges = self.table().edges(dependencies).filter(|edge| match edge.kind {
            DependencyKind::Required => true,
            DependencyKind::Lazy => false,
            DependencyKind::Optional | DependencyKind::All => {
                !self.table().slot(edge.slot).is_awaited()
            }
        });
        edges.map(|edge| edge.slot)
    }
}

/// What the call has of a slot already.
fn at_hand(index: usize, slot: &Slot, call: &dyn Caller) -> Option<Erased> {
    match (slot.scope, &slot.origin) {
        (Scope::Request, Origin::Call) => call.own(&slot.key).map(|own| own.0),
        (Scope::Request, _) => call.scope().find(index),
        _ => None,
    }
}
