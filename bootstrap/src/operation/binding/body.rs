//! A body, taken apart as far as it can be without a type.

use std::borrow::Cow;

use super::{
    BodyFormat, FilePart, RawInput, multipart,
    named::{Given, Named},
};
use crate::operation::Fault;

/// A body as binding reads it.
#[derive(Debug)]
pub(super) enum Body<'a> {
    Nothing,
    Json(Cow<'a, [u8]>),
    Form(&'a [u8]),
    Parts(Vec<Part>),
}

/// A part of a multipart body.
#[derive(Debug)]
pub(super) enum Part {
    File(FilePart),
    Text { name: String, bytes: bytes::Bytes },
}

impl<'a> Body<'a> {
    pub(super) fn of(input: &'a RawInput) -> Result<Self, Fault> {
        if input.body.is_empty() {
            return Ok(Self::Nothing);
        }
        Ok(match &input.format {
            BodyFormat::Json => Self::Json(Cow::Borrowed(&input.body)),
            BodyFormat::Form => Self::Form(&input.body),
            BodyFormat::Multipart { boundary } => {
                Self::Parts(multipart::parts(&input.body, boundary)?)
            }
            BodyFormat::Added(format) => Self::Json(format.to_json(&input.body)?.into()),
            BodyFormat::Unknown(format) => return Err(format.fault()),
        })
    }

    pub(super) fn json(&self) -> Option<&[u8]> {
        match self {
            Self::Json(json) => Some(json),
            _ => None,
        }
    }

    /// Adds the fields of a body that is not JSON, unless they are among the first `fixed`.
    pub(super) fn add_to<'b>(&'b self, named: &mut Named<'b>, fixed: usize) {
        match self {
            Self::Form(form) => named.add_encoded(fixed, form),
            Self::Parts(parts) => parts.iter().for_each(|part| {
                let (name, given) = part.given();
                named.add(fixed, Cow::Borrowed(name), given);
            }),
            Self::Nothing | Self::Json(_) => {}
        }
    }
}

impl Part {
    fn given(&self) -> (&str, Given<'_>) {
        match self {
            Self::File(file) => (&file.name, Given::File(file)),
            Self::Text { name, bytes } => (name, Given::bytes(bytes)),
        }
    }
}

/// Whether JSON text is an object, if it is anything.
pub(super) fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}
