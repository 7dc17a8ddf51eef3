//! Why a type refuses what it is shown, in serde's terms.

use std::fmt;

use serde::de;

#[derive(Debug)]
pub(super) enum Refusal {
    /// A struct lacks this field.
    Missing(&'static str),
    /// A struct has no such field.
    Unknown(String),
    /// Anything else.
    Message(String),
    /// There was enough work for one fault.
    Over,
    /// It has been noted where it arose.
    Noted,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "missing field `{field}`"),
            Self::Unknown(field) => write!(f, "unknown field `{field}`"),
            Self::Message(message) => f.write_str(message),
            Self::Over | Self::Noted => f.write_str("refused"),
        }
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Message(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::Unknown(field.to_owned())
    }
}
