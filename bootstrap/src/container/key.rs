//! What a provider is found by: a type, and a name where there are several of it.

use std::{
    any::{TypeId, type_name},
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// What a provider is found by: a type, and a name where several values have that type.
///
/// `Display` leaves the paths out: `dyn UserRepo`, `Cache<dyn Store>`, `Pool "replica"`.
///
/// # Examples
/// ```
/// use polyport_bootstrap::container::Key;
///
/// let key = Key::of::<Vec<String>>().named("words");
/// assert_eq!(key.to_string(), "Vec<String> \"words\"");
/// assert_ne!(key, Key::of::<Vec<String>>());
/// ```
#[derive(Clone)]
pub struct Key {
    type_id: TypeId,
    type_name: &'static str,
    name: Option<Arc<str>>,
}

impl Key {
    /// The unnamed value of type `T`, which may be a trait object.
    #[must_use]
    pub fn of<T: ?Sized + 'static>() -> Self {
        Self { type_id: TypeId::of::<T>(), type_name: type_name::<T>(), name: None }
    }

    /// The value of the same type that is called `name`.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The type's identity.
    #[must_use]
    pub fn type_id(&self) -> TypeId {
        self.type_id
    }

    /// The type's full path, as the compiler writes it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// The name, where the value has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn shared_name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.type_id == other.type_id && self.name == other.name
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.type_id.hash(state);
        self.name.hash(state);
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_paths(self.type_name))?;
        match &self.name {
            Some(name) => write!(f, " {name:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Keeps the last segment of every path in a type's name, and everything between the paths.
pub(crate) fn without_paths(type_name: &str) -> String {
    let mut short = String::with_capacity(type_name.len());
    let mut segment = 0;
    let mut characters = type_name.chars().peekable();
    while let Some(character) = characters.next() {
        if character == ':' && characters.next_if_eq(&':').is_some() {
            short.truncate(segment);
            continue;
        }
        short.push(character);
        if !(character.is_alphanumeric() || matches!(character, '_' | '{' | '}' | '#')) {
            segment = short.len();
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    trait Repo {}
    struct Cache<T: ?Sized>(std::marker::PhantomData<T>);

    #[test]
    fn display_keeps_generics_and_drops_paths() {
        assert_eq!(Key::of::<dyn Repo>().to_string(), "dyn Repo");
        assert_eq!(
            Key::of::<dyn Repo + Send + Sync>().to_string(),
            "dyn Repo + Send + Sync",
            "auto traits are part of the type",
        );
        assert_eq!(Key::of::<Cache<dyn Repo>>().to_string(), "Cache<dyn Repo>");
        assert_eq!(
            Key::of::<(Arc<Cache<u8>>, [Option<String>; 2])>().named("a").to_string(),
            "(Arc<Cache<u8>>, [Option<String>; 2]) \"a\"",
        );
    }

    #[test]
    fn a_name_makes_another_key() {
        assert_ne!(Key::of::<u8>(), Key::of::<u8>().named("a"));
        assert_eq!(Key::of::<u8>().named("a"), Key::of::<u8>().named(String::from("a")));
        assert_ne!(Key::of::<u8>().named("a"), Key::of::<u16>().named("a"));
    }
}
