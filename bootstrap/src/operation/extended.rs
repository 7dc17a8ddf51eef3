//! Values of a call that modules compute when somebody first asks for them.

use std::{
    any::{Any, TypeId, type_name},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::{self, ThreadId},
};

use super::Context;
use crate::{Error, Result};

/// How modules extend the context: one computation for each type.
#[derive(Default)]
pub(crate) struct Computations(Vec<Computation>);

struct Computation {
    type_id: TypeId,
    type_name: &'static str,
    module: Arc<str>,
    compute: Compute,
}

/// Computes an `Option<T>`.
type Compute = Box<dyn Fn(&Context) -> Box<dyn Any + Send + Sync> + Send + Sync>;

impl Computations {
    /// Adds how a `T` is computed.
    ///
    /// # Errors
    /// Returns an error where somebody computes it already.
    pub(crate) fn add<T: Send + Sync + 'static>(
        &mut self,
        module: &Arc<str>,
        compute: impl Fn(&Context) -> Option<T> + Send + Sync + 'static,
    ) -> Result<()> {
        if let Some(known) = self.position::<T>().map(|at| &self.0[at]) {
            return Err(Error::wiring(format!(
                "module {} and module {module} both extend the context by {}",
                known.module, known.type_name,
            ))
            .advise("leave it to one of them"));
        }
        self.0.push(Computation {
            type_id: TypeId::of::<T>(),
            type_name: type_name::<T>(),
            module: Arc::clone(module),
            compute: Box::new(move |context| Box::new(compute(context))),
        });
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position<T: 'static>(&self) -> Option<usize> {
        self.0.iter().position(|computation| computation.type_id == TypeId::of::<T>())
    }
}

impl fmt::Debug for Computations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|computation| computation.type_name)).finish()
    }
}

/// What was computed for one call; nothing, where no module extends the context.
#[derive(Debug, Default)]
pub(super) struct Computed(OnceLock<Option<Box<Slots>>>);

#[derive(Debug)]
struct Slots {
    computations: Arc<Computations>,
    slots: Box<[Slot]>,
}

#[derive(Debug, Default)]
struct Slot {
    value: OnceLock<Box<dyn Any + Send + Sync>>,
    /// Who computes it at this moment.
    by: Mutex<Option<ThreadId>>,
}

impl Computed {
    pub(super) fn get<T: Send + Sync + 'static>(&self, context: &Context) -> Option<&T> {
        let slots = self.0.get_or_init(|| Slots::of(context)).as_deref()?;
        let at = slots.computations.position::<T>()?;
        let value = slots.slots[at].get(|| (slots.computations.0[at].compute)(context))?;
        value.downcast_ref::<Option<T>>()?.as_ref()
    }
}

impl Slots {
    fn of(context: &Context) -> Option<Box<Self>> {
        let computations = context.container.try_get::<Computations>()?;
        let slots = computations.0.iter().map(|_| Slot::default()).collect();
        Some(Box::new(Self { computations, slots }))
    }
}

impl Slot {
    /// The value; none for whoever computes it and asks for it meanwhile.
    fn get(
        &self,
        compute: impl FnOnce() -> Box<dyn Any + Send + Sync>,
    ) -> Option<&(dyn Any + Send + Sync)> {
        if let Some(value) = self.value.get() {
            return Some(&**value);
        }
        if *self.by() == Some(thread::current().id()) {
            return None;
        }
        let value = self.value.get_or_init(|| {
            *self.by() = Some(thread::current().id());
            let _done = Done(self);
            compute()
        });
        Some(&**value)
    }

    fn by(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.by.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that nobody computes it any more, also after a panic.
struct Done<'a>(&'a Slot);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        *self.0.by() = None;
    }
}
