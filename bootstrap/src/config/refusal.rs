//! Why a type refuses a value, in serde's terms.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

/// Why a value was refused, and at which key.
#[derive(Debug)]
pub(super) struct Refusal {
    /// From the root of the configuration; `None` until the first table or array on the way up
    /// knows it.
    pub(super) path: Option<Vec<String>>,
    pub(super) reason: Reason,
}

#[derive(Debug)]
pub(super) enum Reason {
    /// Something else was expected: of another type, or with another value.
    Expected(String),
    /// An array of another length was expected.
    Length(usize, String),
    Variant(&'static [&'static str]),
    UnknownKey(&'static [&'static str]),
    MissingKey(&'static str),
    /// Whatever the type itself has to say; it may quote any part of what it was given.
    Message(String),
}

impl Refusal {
    fn new(reason: Reason) -> Self {
        Self { path: None, reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value is refused")
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Reason::Message(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Reason::Expected(expected.to_string()))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Reason::Expected(expected.to_string()))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(Reason::Length(length, expected.to_string()))
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Self::new(Reason::Variant(known))
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownKey(known))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Reason::MissingKey(field))
    }
}
