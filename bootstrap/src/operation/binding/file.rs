//! Files in a multipart body.

use std::{cell::RefCell, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// A file of a `multipart/form-data` body (RFC 7578), as the field of an input.
///
/// Its bytes are not copied on the way into the input. Where a client may leave it out, write
/// `Option<FilePart>`; where it may send several under one name, `Vec<FilePart>`.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::FilePart;
///
/// #[derive(serde::Deserialize, garde::Validate)]
/// struct Upload {
///     #[garde(length(max = 80))]
///     title: String,
///     #[garde(skip)]
///     picture: FilePart,
/// }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FilePart {
    /// The name of the form's field.
    pub name: String,
    /// The file's name as the client gave it. It is no path to be trusted.
    pub file_name: Option<String>,
    /// The media type that the client gave.
    pub content_type: Option<String>,
    /// What is in it.
    pub bytes: Bytes,
}

impl fmt::Debug for FilePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePart")
            .field("name", &self.name)
            .field("file_name", &self.file_name)
            .field("content_type", &self.content_type)
            .field("length", &self.bytes.len())
            .finish()
    }
}

/// By this name a file asks for itself.
pub(super) const NAME: &str = "$polyport::FilePart";

thread_local! {
    /// What is handed over: serde itself can only pass on copies of bytes.
    static HANDED_OVER: RefCell<Option<FilePart>> = const { RefCell::new(None) };
}

/// Gives a file to the visitor of a [`FilePart`].
pub(super) fn hand_over<'de, V: Visitor<'de>, E: Error>(
    part: FilePart,
    visitor: V,
) -> Result<V::Value, E> {
    HANDED_OVER.set(Some(part));
    let value = visitor.visit_unit();
    HANDED_OVER.take();
    value
}

impl<'de> Deserialize<'de> for FilePart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, TakesFile)
    }
}

struct TakesFile;

impl<'de> Visitor<'de> for TakesFile {
    type Value = FilePart;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file of a multipart body")
    }

    fn visit_unit<E: Error>(self) -> Result<FilePart, E> {
        HANDED_OVER.take().ok_or_else(|| E::custom("expected a file of a multipart body"))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<FilePart, D::Error> {
        value.deserialize_any(NoFile)
    }
}

/// Refuses whatever is no file, by what it is.
struct NoFile;

impl<'de> Visitor<'de> for NoFile {
    type Value = FilePart;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TakesFile.expecting(f)
    }
}
