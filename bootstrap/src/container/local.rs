//! How values are built that stand in no table: for one call, or for one that takes them.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;

use super::{
    Container, Dependency, DependencyKind, Key, Resolver,
    construction::Failure,
    erased::{Erased, reveal},
    report,
    scope::{Caller, Scope},
    table::Origin,
};
use crate::{Error, ErrorKind, Result, panics};

/// A value that stands in no table, and the slot that it was built for.
#[derive(Clone)]
pub(super) struct Local {
    pub(super) slot: usize,
    pub(super) value: Erased,
}

impl Container {
    /// The `T` that belongs to `call`, built where nobody has taken it yet; a singleton is the
    /// process's.
    pub(crate) async fn get_in<T: ?Sized + Send + Sync + 'static>(
        &self,
        call: &dyn Caller,
    ) -> Result<Arc<T>> {
        let key = Key::of::<T>();
        let missing = || report::missing(self.table(), &Dependency::required(key.clone()));
        let index = self.table().find(&key).ok_or_else(missing)?;
        let value =
            self.obtain(index, Some(call)).await.map_err(|failure| self.failed(&failure))?;
        reveal(&value).ok_or_else(|| report::other_type(&key))
    }

    /// The slot's value: the process's, the call's, or a new one.
    pub(super) async fn obtain(
        &self,
        index: usize,
        call: Option<&dyn Caller>,
    ) -> Result<Erased, Failure> {
        let slot = self.table().slot(index);
        match (slot.scope, call) {
            (Scope::Singleton, _) => {
                self.ensure(index).await?;
                slot.value.get().cloned().ok_or_else(|| Failure::at(index, report::no_value()))
            }
            (Scope::Transient, _) => self.build_local(index, call).await,
            (Scope::Request, None) => Err(Failure::at(index, report::no_call())),
            (Scope::Request, Some(call)) => {
                if let Some(value) = call.scope().find(index) {
                    return Ok(value);
                }
                if matches!(slot.origin, Origin::Call) {
                    let own = call.own(&slot.key).map(|own| own.0);
                    return own.ok_or_else(|| Failure::at(index, report::no_value()));
                }
                let value = self.build_local(index, Some(call)).await?;
                Ok(call.scope().keep(index, value))
            }
        }
    }

    /// Builds a value in the task of whoever takes it.
    async fn build_local(
        &self,
        index: usize,
        call: Option<&dyn Caller>,
    ) -> Result<Erased, Failure> {
        let slot = self.table().slot(index);
        let locals = self.locals(&slot.dependencies, call).await;
        let locals = locals.map_err(|failure| failure.through(index))?;
        let (Origin::Constructor(construct) | Origin::Alias(construct)) = &slot.origin else {
            return Err(Failure::at(index, report::no_value()));
        };
        let declared = Arc::clone(&slot.dependencies);
        let resolver = Resolver::of_slot(self.downgrade(), index, declared, locals);
        let attempt = AssertUnwindSafe(async { construct(resolver).await }).catch_unwind();
        let value = attempt.await.unwrap_or_else(|panic| Err(panics::error(&*panic)));
        value.map_err(|error: Error| Failure::at(index, error.or_kind(ErrorKind::Hook)))
    }

    /// Builds what `dependencies` lead to, as far as it stands in no table, and sees to it that
    /// the singletons among them are there.
    pub(super) async fn locals(
        &self,
        dependencies: &[Dependency],
        call: Option<&dyn Caller>,
    ) -> Result<Vec<Local>, Failure> {
        let mut locals: Vec<Local> = Vec::new();
        for edge in self.table().edges(dependencies) {
            let slot = self.table().slot(edge.slot);
            let optional = edge.kind != DependencyKind::Required;
            if edge.kind == DependencyKind::Lazy || (optional && slot.is_awaited()) {
                continue;
            }
            if slot.scope == Scope::Singleton {
                self.ensure(edge.slot).await?;
            } else if !locals.iter().any(|local| local.slot == edge.slot) {
                let value = Box::pin(self.obtain(edge.slot, call)).await?;
                locals.push(Local { slot: edge.slot, value });
            }
        }
        Ok(locals)
    }
}
