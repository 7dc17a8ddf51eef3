use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::Serialize;

use crate::{Error, panics};

/// What an operation returned, before anything of it is written: interceptors and aspects can look
/// at it by its type, and the protocol writes it straight to its place at the very end.
pub struct Value(Box<dyn Held>);

/// A value and how it is written as JSON, where it can be.
struct Of<T> {
    value: T,
    write: fn(&T, &mut Vec<u8>) -> serde_json::Result<()>,
}

trait Held: Send {
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()>;
    fn value(&self) -> &dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
    fn type_name(&self) -> &'static str;
}

impl<T: Send + 'static> Held for Of<T> {
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        (self.write)(&self.value, out)
    }

    fn value(&self) -> &dyn Any {
        &self.value
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }
}

impl Value {
    /// A value that can be written as JSON.
    pub fn json<T: Serialize + Send + 'static>(value: T) -> Self {
        Self(Box::new(Of { value, write: |value, out| serde_json::to_writer(out, value) }))
    }

    /// A value that only the protocol that it is for can write: one of protobuf, say.
    pub fn opaque<T: Send + 'static>(value: T) -> Self {
        let write = |_: &T, _: &mut Vec<u8>| {
            let name = std::any::type_name::<T>();
            Err(serde::ser::Error::custom(format_args!("{name} cannot be written as JSON")))
        };
        Self(Box::new(Of { value, write }))
    }

    /// Appends it as JSON.
    ///
    /// # Errors
    /// Returns an error where its `Serialize` fails, or where it cannot be JSON; `out` then holds
    /// half of it.
    pub fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        // Outside of the call that made it, a panic would take more along than this one answer.
        let written = catch_unwind(AssertUnwindSafe(|| self.0.write_json(out)));
        written.unwrap_or_else(|panic| {
            let text = panics::text(&*panic);
            Err(serde::ser::Error::custom(format_args!("{} panicked: {text}", self.0.type_name())))
        })
    }

    /// It as a `T`, if it is one.
    #[must_use]
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        self.0.value().downcast_ref()
    }

    /// Whether the operation has no value at all: `()`.
    #[must_use]
    pub fn is_unit(&self) -> bool {
        self.0.value().is::<()>()
    }

    /// Takes it as a `T`.
    ///
    /// # Errors
    /// Returns an error that names both types where it is none: an interceptor has put another
    /// value in its place.
    pub fn downcast<T: Send + 'static>(self) -> Result<T, Error> {
        let found = self.0.type_name();
        match self.0.into_any().downcast::<Of<T>>() {
            Ok(of) => Ok(of.value),
            Err(_) => Err(Error::other(format!(
                "the reply is a {found} where a {} is wanted",
                std::any::type_name::<T>()
            ))
            .advise("interceptors and aspects replace a value by one of the same type")),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.0.type_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_seen_and_taken_by_its_type() {
        let value = Value::json(vec![1, 2]);
        let mut out = b"> ".to_vec();
        value.write_json(&mut out).expect("JSON");
        assert_eq!(out, b"> [1,2]");
        assert_eq!(value.downcast_ref::<Vec<i32>>(), Some(&vec![1, 2]));
        assert!(value.downcast_ref::<String>().is_none() && !value.is_unit());
        assert_eq!(value.downcast::<Vec<i32>>().expect("the same type"), [1, 2]);
    }

    #[test]
    fn another_type_is_an_error_that_names_both() {
        let error = Value::json(1_u8).downcast::<String>().expect_err("is no text");
        assert!(error.to_string().contains("u8") && error.to_string().contains("String"));
        let mut out = Vec::new();
        let error = Value::opaque(1_u8).write_json(&mut out).expect_err("is no JSON");
        assert!(error.to_string().contains("u8"), "{error}");
    }
}
