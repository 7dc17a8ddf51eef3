//! A value that nothing prints.

use std::{cell::Cell, fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de::Visitor};

/// The name by which our own deserializer knows a secret when it meets one.
pub(super) const NAME: &str = "$polyport::Secret";

thread_local! {
    /// The secrets that were read on this thread, less those that whoever read them knew of.
    static UNSEEN: Cell<u32> = const { Cell::new(0) };
}

/// What `read` returns, and whether it met a secret that our own deserializer did not see.
pub(super) fn found_unseen<T>(read: impl FnOnce() -> T) -> (T, bool) {
    let before = UNSEEN.get();
    let answer = read();
    (answer, UNSEEN.replace(before) != before)
}

/// Says that the place of the secret that is read next is known.
pub(super) fn is_seen() {
    UNSEEN.set(UNSEEN.get().wrapping_sub(1));
}

/// A value that nothing prints: `Debug` and `Display` show `***`, it is never serialised, and
/// where a section's type has one, what the configuration holds there is masked in every error,
/// explanation and dump, whatever its key is called.
///
/// Two secrets are equal where their values are; for text, bytes and whatever else is seen as
/// bytes, the comparison takes the same time wherever they differ.
///
/// # Examples
/// ```
/// use polyport_bootstrap::config::Secret;
///
/// let pin: Secret<String> = "4711".into();
/// assert_eq!(format!("{pin} {pin:?}"), "*** ***");
/// assert_eq!(pin.expose(), "4711");
/// assert_eq!(pin, Secret::new("4711".to_owned()));
/// ```
#[derive(Clone, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Makes a secret of `value`.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for whoever needs it. Do not log it.
    #[must_use]
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Gives the value away.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// In a time that tells nothing but the lengths.
impl<T: AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (self.0.as_ref(), other.0.as_ref());
        let differences = one.iter().zip(other).fold(0, |all, (one, other)| all | (one ^ other));
        // Otherwise the compiler may stop at the first difference.
        one.len() == other.len() && std::hint::black_box(differences) == 0
    }
}

impl<T: AsRef<[u8]>> Eq for Secret<T> {}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, SecretVisitor(PhantomData))
    }
}

struct SecretVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SecretVisitor<T> {
    type Value = Secret<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Secret<T>, D::Error> {
        UNSEEN.set(UNSEEN.get().wrapping_add(1));
        T::deserialize(inner).map(Secret)
    }
}

/// By the rules for what it holds.
impl<T: garde::Validate> garde::Validate for Secret<T> {
    type Context = T::Context;

    fn validate_into(
        &self,
        context: &Self::Context,
        parent: &mut dyn FnMut() -> garde::Path,
        report: &mut garde::Report,
    ) {
        self.0.validate_into(context, parent, report);
    }
}

impl<T: garde::rules::length::simple::Simple> garde::rules::length::simple::Simple for Secret<T> {
    fn validate_length(&self, min: usize, max: usize) -> Result<(), garde::Error> {
        self.0.validate_length(min, max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_equal_where_their_values_are() {
        let secret = |text: &str| Secret::new(text.to_owned());
        assert_eq!(secret("abc"), secret("abc"));
        for other in ["", "ab", "abd", "xbc", "abcd"] {
            assert_ne!(secret("abc"), secret(other));
        }
    }

    #[test]
    fn other_formats_read_it_as_what_it_holds() {
        let secret: Secret<String> = serde_json::from_str("\"abc\"").unwrap();
        assert_eq!(secret.into_inner(), "abc");
    }
}
