//! Typed values that belong to an operation or to a call.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::{Arc, OnceLock},
};

/// The attributes that an operation was declared with, by type.
#[derive(Clone, Default)]
pub(super) struct Attributes(Vec<(&'static str, Arc<dyn Any + Send + Sync>)>);

impl Attributes {
    pub(super) fn add<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.push((std::any::type_name::<T>(), Arc::new(value)));
    }

    pub(super) fn append(&mut self, others: &Self) {
        self.0.extend(others.0.iter().cloned());
    }

    pub(super) fn all<T: 'static>(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.0.iter().filter_map(|(_, value)| value.downcast_ref())
    }

    /// The names of their types, without paths.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| name.rsplit("::").next().unwrap_or(name))
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Values that were left in a call, by type: a list that only grows, so that reading takes no lock.
#[derive(Default)]
pub(super) struct Values(OnceLock<Arc<Node>>);

/// The values that somebody has left in a call, for other calls to see them: what a guard found
/// when a client connected, for each event of that connection. A cheap handle.
#[derive(Clone, Default)]
pub struct Inherited(Option<Arc<Node>>);

impl Inherited {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn get<T: 'static>(&self) -> Option<&T> {
        last_of::<T>(self.0.as_deref()?)?.downcast_ref()
    }

    pub(super) fn get_shared<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(last_of::<T>(self.0.as_deref()?)?).downcast().ok()
    }
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inherited")
    }
}

struct Node {
    type_id: TypeId,
    value: Arc<dyn Any + Send + Sync>,
    next: Values,
}

impl Values {
    pub(super) fn add<T: Send + Sync + 'static>(&self, value: T) {
        let (type_id, value) = (TypeId::of::<T>(), Arc::new(value));
        let mut node = Arc::new(Node { type_id, value, next: Self::default() });
        let mut here = self;
        while let Err(taken) = here.0.set(node) {
            node = taken;
            match here.0.get() {
                Some(known) => here = &known.next,
                None => return,
            }
        }
    }

    /// The value of this type that came last.
    pub(super) fn get<T: 'static>(&self) -> Option<&T> {
        last_of::<T>(self.0.get()?)?.downcast_ref()
    }

    pub(super) fn get_shared<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(last_of::<T>(self.0.get()?)?).downcast().ok()
    }

    /// All of them, for others to see; those that are added later, too, unless there is none now.
    pub(super) fn share(&self) -> Inherited {
        Inherited(self.0.get().cloned())
    }

    /// The same list, to which further values are added for all who share it.
    pub(super) fn continuing(shared: &Inherited) -> Self {
        Self(shared.0.clone().map(OnceLock::from).unwrap_or_default())
    }
}

/// The value of this type that came last, from this node on.
fn last_of<T: 'static>(first: &Node) -> Option<&Arc<dyn Any + Send + Sync>> {
    let wanted = TypeId::of::<T>();
    let (mut here, mut found) = (Some(first), None);
    while let Some(node) = here {
        if node.type_id == wanted {
            found = Some(&node.value);
        }
        here = node.next.0.get().map(|next| &**next);
    }
    found
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Values")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_type_is_found() {
        let values = Values::default();
        assert_eq!(values.get::<u32>(), None);
        values.add(1_u32);
        values.add("text");
        values.add(2_u32);
        assert_eq!((values.get::<u32>(), values.get::<&str>()), (Some(&2), Some(&"text")));
    }

    #[test]
    fn a_list_that_is_shared_is_continued_for_all_and_an_empty_one_for_nobody() {
        let first = Values::default();
        assert!(first.share().is_empty());
        first.add(1_u32);
        let shared = first.share();
        let second = Values::continuing(&shared);
        second.add(2_u32);
        assert_eq!((shared.get::<u32>(), first.get::<u32>()), (Some(&2), Some(&2)));
        Values::continuing(&Inherited::default()).add(3_u32);
        assert_eq!(shared.get::<u32>(), Some(&2));
    }

    #[test]
    fn values_that_come_at_once_are_all_kept() {
        let values = Values::default();
        std::thread::scope(|scope| {
            scope.spawn(|| values.add(1_u8));
            scope.spawn(|| values.add(2_u16));
            scope.spawn(|| values.add(3_u32));
        });
        let found = (values.get::<u8>(), values.get::<u16>(), values.get::<u32>());
        assert_eq!(found, (Some(&1), Some(&2), Some(&3)));
    }
}
