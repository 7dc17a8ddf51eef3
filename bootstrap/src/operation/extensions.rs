//! What only one protocol has of a call, by type.

use std::{
    any::{Any, TypeId, type_name},
    fmt,
    sync::Arc,
};

/// What only the call's protocol has, by type: the socket, the delivery.
///
/// A call looks first at its own, then at what came with its request, and at last at what all calls
/// of its connection share. Most calls have one or two of their own, so they are a list, and what
/// is shared is not copied for each of them.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::Extensions;
///
/// #[derive(Debug, PartialEq)]
/// struct Delivery(u64);
///
/// let mut extensions = Extensions::new();
/// extensions.insert(Delivery(7));
/// assert_eq!(extensions.get(), Some(&Delivery(7)));
/// assert_eq!(extensions.get::<String>(), None);
/// ```
#[derive(Default)]
pub struct Extensions {
    /// Most calls have no more than this one.
    first: Option<Extension>,
    more: Vec<Extension>,
    request: http::Extensions,
    connection: Option<Arc<dyn Shared>>,
}

struct Extension {
    type_name: &'static str,
    type_id: TypeId,
    value: Box<dyn Any + Send + Sync>,
}

/// What the calls of one connection have in common, by type.
pub trait Shared: fmt::Debug + Send + Sync + 'static {
    /// The value of this type, if there is one.
    fn find(&self, wanted: TypeId) -> Option<&(dyn Any + Send + Sync)>;
}

impl Extensions {
    /// None at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those that came with a request, and those of its connection.
    #[must_use]
    pub fn of(request: http::Extensions, connection: Option<Arc<dyn Shared>>) -> Self {
        Self { request, connection, ..Self::default() }
    }

    /// Adds one. It hides what is shared, and takes the place of one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        let (type_id, value) = (TypeId::of::<T>(), Box::new(value));
        let extension = Extension { type_name: type_name::<T>(), type_id, value };
        if self.first.as_ref().is_none_or(|first| first.type_id == type_id) {
            self.first = Some(extension);
            return;
        }
        match self.more.iter_mut().find(|own| own.type_id == type_id) {
            Some(known) => *known = extension,
            None => self.more.push(extension),
        }
    }

    /// The one of this type.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let wanted = TypeId::of::<T>();
        let own = self.first.iter().chain(&self.more).find(|own| own.type_id == wanted);
        if let Some(own) = own {
            return own.value.downcast_ref();
        }
        self.request.get().or_else(|| self.connection.as_ref()?.find(wanted)?.downcast_ref())
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.first.iter().chain(&self.more).map(|own| own.type_name);
        f.debug_list().entries(own).entries(&self.connection).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Connection(u32);

    impl Shared for Connection {
        fn find(&self, wanted: TypeId) -> Option<&(dyn Any + Send + Sync)> {
            (wanted == TypeId::of::<u32>()).then_some(&self.0)
        }
    }

    #[test]
    fn the_calls_own_hide_those_of_the_request_and_these_those_of_the_connection() {
        let connection = || Some(Arc::new(Connection(1)) as Arc<dyn Shared>);
        let shared = Extensions::of(http::Extensions::new(), connection());
        assert_eq!((shared.get(), shared.get::<u8>()), (Some(&1_u32), None));

        let mut request = http::Extensions::new();
        request.insert(2_u32);
        let mut all = Extensions::of(request, connection());
        assert_eq!(all.get(), Some(&2_u32));
        all.insert(3_u32);
        assert_eq!(all.get(), Some(&3_u32));
    }

    #[test]
    fn a_later_one_takes_the_place_of_one_of_its_type() {
        let mut all = Extensions::new();
        for number in [1_u32, 2] {
            all.insert(number);
            all.insert(u64::from(number) * 10);
            all.insert(number.to_string());
        }
        assert_eq!(
            (all.get(), all.get(), all.get()),
            (Some(&2_u32), Some(&20_u64), Some(&"2".to_owned()))
        );
        assert_eq!(all.more.len(), 2);
    }
}
