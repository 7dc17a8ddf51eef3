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
pub(super) struct Values(OnceLock<Box<Node>>);

struct Node {
    type_id: TypeId,
    value: Box<dyn Any + Send + Sync>,
    next: Values,
}

impl Values {
    pub(super) fn add<T: Send + Sync + 'static>(&self, value: T) {
        let (type_id, value) = (TypeId::of::<T>(), Box::new(value));
        let mut node = Box::new(Node { type_id, value, next: Self::default() });
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
        let wanted = TypeId::of::<T>();
        let (mut here, mut found) = (self, None);
        while let Some(node) = here.0.get() {
            if node.type_id == wanted {
                found = node.value.downcast_ref();
            }
            here = &node.next;
        }
        found
    }
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
