//! What belongs to a connection, by type.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use polyport_bootstrap::{
    Context, Error, Fault,
    operation::{FromContext, InputSlot, NoPayload, OperationInfo},
};

use crate::{PROTOCOL, Socket, socket::missing};

type Value = Arc<dyn Any + Send + Sync>;

/// The values of one connection.
#[derive(Debug, Default)]
pub(crate) struct States(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    ended: bool,
    values: HashMap<TypeId, Value>,
}

impl States {
    fn get(&self, key: TypeId) -> Option<Value> {
        self.held().values.get(&key).cloned()
    }

    /// Gives what is to be dropped, when the lock is free.
    fn set(&self, key: TypeId, value: Value) -> Option<Value> {
        let mut held = self.held();
        if held.ended { Some(value) } else { held.values.insert(key, value) }
    }

    fn remove(&self, key: TypeId) -> Option<Value> {
        self.held().values.remove(&key)
    }

    fn end(&self) -> HashMap<TypeId, Value> {
        let mut held = self.held();
        held.ended = true;
        std::mem::take(&mut held.values)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Socket {
    /// Keeps a value with this connection, in the place of one of the same type: who has logged
    /// in, how far a download has come. Operations take it as [`State<T>`]. It is dropped when the
    /// connection has ended and its `on_disconnect` operations are done, and nothing is kept from
    /// then on.
    ///
    /// A reader keeps the value that it has seen. For what changes often, and from several places
    /// at once, keep an atomic or a mutex.
    pub fn set_state<T: Send + Sync + 'static>(&self, value: T) {
        drop_quietly(self.extra().states.set(TypeId::of::<T>(), Arc::new(value)));
    }

    /// The value of this type that is kept with this connection.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.known_extra()?.states.get(TypeId::of::<T>())?;
        value.downcast().ok()
    }

    /// Takes the value of this type away from the connection.
    pub fn remove_state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.known_extra()?.states.remove(TypeId::of::<T>())?;
        value.downcast().ok()
    }

    /// Drops all values, and keeps none from now on.
    pub(crate) fn end_state(&self) {
        if let Some(extra) = self.known_extra() {
            extra.states.end().into_values().for_each(drop_quietly);
        }
    }
}

/// A value that panics when it is dropped must not take a connection along.
pub(crate) fn drop_quietly<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        tracing::error!("a value that belonged to a connection panicked when it was dropped");
    }
}

/// The value of this type that is kept with the connection, as an argument of operations:
/// [`Socket::set_state`]; or else the one that a guard or an `on_connect` operation has left when
/// the client connected ([`Context::set`]).
///
/// Where there is none the call fails, with an internal fault; [`Socket::state`] asks.
///
/// # Examples
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// use polyport_bootstrap::Fault;
/// use polyport_websocket::{Socket, State};
///
/// #[derive(Default)]
/// struct Count(AtomicU64);
///
/// async fn connected(socket: Socket) -> Result<(), Fault> {
///     socket.set_state(Count::default());
///     Ok(())
/// }
///
/// async fn count(State(count): State<Count>) -> Result<u64, Fault> {
///     Ok(count.0.fetch_add(1, Relaxed))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct State<T>(pub Arc<T>);

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send + Sync + 'static> FromContext for State<T> {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let socket = context.extension::<Socket>().ok_or_else(|| missing("Socket"))?;
        let absent = || {
            let name = std::any::type_name::<T>();
            let error = Error::other(format!("the connection has no state of type {name}"));
            Fault::internal(error.advise("set it in an on_connect operation: Socket::set_state"))
        };
        let kept = socket.state().or_else(|| context.shared_value());
        kept.map(Self).ok_or_else(absent)
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "State");
    }
}
