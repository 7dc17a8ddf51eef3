//! From what a protocol carries to an operation's typed, validated input.
//!
//! A call is bound in one pass, straight from its bytes into the type. A call that is refused is
//! read again (`collect`), to tell all that is wrong with it at once, field by field.

mod body;
mod codec;
mod collect;
mod extractors;
mod fault;
mod file;
mod headers;
mod merge;
mod multipart;
mod named;
mod params;
mod parts;
mod percent;
mod raw;
mod sourced;
mod values;

#[cfg(test)]
mod tests;

use garde::Validate;
use serde::{
    Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};

#[doc(hidden)]
pub use self::sourced::{InputField, InputFields, InputSource, Rules, bind_fields};
use self::{body::Body as BodyParts, collect::collect, merge::Merged};
pub use self::{
    codec::{AddedFormat, BodyFormat, Codec, Codecs, UnknownFormat},
    extractors::{Body, Cookie, Header, Path, Query},
    file::FilePart,
    headers::cookies,
    params::{ParamNames, PathParams},
    raw::{RawInput, Unbound},
};
use super::Fault;

/// The input of an operation that takes none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoInput;

/// A type that the input of a call can be bound to: whatever is `Deserialize` and `Validate`, or
/// derives `Input`, where fields say where they come from.
///
/// The fields of a plain type are read from the route's parameters, then the query, then the body
/// (JSON, form, multipart, or what a module's [`Codec`] reads); where a name stands in several, the
/// first of these wins. Parameters, queries and forms are text, which is parsed as the field's type
/// asks; `#[serde(flatten)]` and untagged types ask for none and see text. A `Vec` takes every value
/// of a name; for anything else, a name that is given more than once is a fault. So is what is no
/// percent-encoded UTF-8. A body that is no object (a list, say) is the input as a whole, and so is
/// one that a [typed codec](crate::ModuleBuilder::typed_codec) reads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be bound from a call",
    note = "derive `serde::Deserialize` and `garde::Validate` for it, or `Input` and \
            `garde::Validate`"
)]
pub trait Bind: Sized + Send + 'static {
    /// Binds and validates.
    ///
    /// # Errors
    /// Returns an [`InvalidArgument`](super::FaultKind::InvalidArgument) fault whose details list
    /// every faulty field, as the client writes it, and what is wrong with it:
    /// `[{"field":"tags[1].userId","message":"is required"}]`. Of more than 64, and of very large
    /// inputs, it tells the first.
    fn bind(unbound: &Unbound<'_>) -> Result<Self, Fault>;
}

impl Bind for NoInput {
    fn bind(_: &Unbound<'_>) -> Result<Self, Fault> {
        Ok(Self)
    }
}

impl<T> Bind for T
where
    T: DeserializeOwned + Validate<Context = ()> + Send + 'static,
{
    fn bind(unbound: &Unbound<'_>) -> Result<Self, Fault> {
        let input = unbound.input;
        if input.is_json_alone()
            && let Ok(value) = serde_json::from_slice::<T>(&input.body)
            && value.validate().is_ok()
        {
            return Ok(value);
        }
        if let BodyFormat::Added(format) = &input.format
            && let Some(decoded) = format.decode::<T>(&input.body)
        {
            return decoded.and_then(validated);
        }
        let body = BodyParts::of(input)?;
        let fields = merge::fields(input, &body);
        read(|| Merged { fields: &fields, json: body.json() }, &Readable::of(input, &body))
    }
}

/// Applies the validation rules of an input that serde did not read; the faults name its fields as
/// Rust does.
///
/// # Errors
/// Returns an [`InvalidArgument`](super::FaultKind::InvalidArgument) fault that names every field
/// that breaks a rule.
pub fn validated<T: Validate<Context = ()>>(value: T) -> Result<T, Fault> {
    match value.validate() {
        Ok(()) => Ok(value),
        Err(report) => Err(fault::invalid(collect::of_report(&report))),
    }
}

/// What is read, as far as finding all its faults has to know.
struct Readable<'a> {
    json: Option<&'a [u8]>,
    bytes: usize,
    /// The fields of an input that names them.
    fields: &'static [InputField],
}

impl<'a> Readable<'a> {
    fn of(input: &RawInput, body: &'a BodyParts<'_>) -> Self {
        let query = input.query_text().map_or(0, str::len);
        Self { json: body.json(), bytes: query + input.body.len(), fields: &[] }
    }

    /// What is wrong with the JSON, whatever is asked of it.
    fn malformed(&self) -> Option<Fault> {
        let error = serde_json::from_slice::<IgnoredAny>(self.json?).err()?;
        Some(fault::whole(format!("the body is malformed JSON: {error}")))
    }
}

/// Reads and validates what `source` gives; where that fails, all faults are looked for.
fn read<'de, T, D>(source: impl Fn() -> D, readable: &Readable<'_>) -> Result<T, Fault>
where
    T: DeserializeOwned + Validate<Context = ()>,
    D: Deserializer<'de>,
{
    let refused = match T::deserialize(source()) {
        Ok(value) => match value.validate() {
            Ok(()) => return Ok(value),
            Err(report) => fault::invalid(collect::of_report(&report)),
        },
        Err(error) => fault::whole(error.to_string()),
    };
    if let Some(malformed) = readable.malformed() {
        return Err(malformed);
    }
    match collect::<T, D>(source, readable.bytes).validated(readable.fields) {
        faults if faults.is_empty() => Err(refused),
        faults => Err(fault::invalid(faults)),
    }
}
