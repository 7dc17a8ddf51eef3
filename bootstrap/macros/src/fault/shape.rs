//! The type as it was written: its variants, their fields, and what each says.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Fields, LitStr, Member, Path, Result};

use super::{
    attribute::{Kind, Said, kinds},
    message::Message,
};
use crate::options;

/// What the caller of a defect reads, where nobody says otherwise.
const INTERNAL: &str = "internal error";

/// The type.
pub(super) struct Type {
    pub(super) polyport: Path,
    pub(super) cases: Vec<Case>,
    /// Whether `Display` and `Error` are left to this derive.
    pub(super) writes_error: bool,
}

/// A variant, or the one shape of a struct.
pub(super) struct Case {
    /// `Type::Variant`, or `Type`.
    pub(super) path: TokenStream,
    pub(super) name: Ident,
    pub(super) fields: Vec<Field>,
    pub(super) meaning: Meaning,
}

/// A field.
pub(super) struct Field {
    pub(super) member: Member,
    pub(super) kind: syn::Type,
    pub(super) is_source: bool,
}

/// What a case is as a fault.
pub(super) enum Meaning {
    /// The fault that the one field becomes.
    Transparent,
    Fault(Box<Meant>),
}

/// A fault of its own.
pub(super) struct Meant {
    pub(super) kind: Kind,
    pub(super) reason: LitStr,
    pub(super) code: Option<LitStr>,
    pub(super) status: Option<syn::LitInt>,
    /// None where it is what the error says of itself.
    pub(super) message: Option<Message>,
}

impl Type {
    pub(super) fn parse(input: &DeriveInput) -> Result<Self> {
        let (own, said) = (&input.ident, Said::parse(&input.attrs)?);
        let polyport = said.polyport.clone().unwrap_or_else(options::default_crate);
        let cases = match &input.data {
            Data::Struct(data) => vec![Case::new(quote!(#own), own, &data.fields, said)?],
            Data::Enum(data) if data.variants.is_empty() => {
                return Err(Error::new_spanned(own, "there is no variant, so no fault"));
            }
            Data::Enum(data) => {
                if let Some(span) = said.of_fault() {
                    return Err(Error::new(span, "each variant says for itself what it is"));
                }
                all(data.variants.iter().map(|variant| {
                    let name = &variant.ident;
                    let said = Said::parse(&variant.attrs)?;
                    Case::new(quote!(#own::#name), name, &variant.fields, said)
                }))?
            }
            Data::Union(_) => {
                return Err(Error::new_spanned(own, "a union cannot be a fault"));
            }
        };
        let writes_error = !has_text_elsewhere(input) && cases.iter().any(Case::says_something);
        let this = Self { polyport, cases, writes_error };
        this.complete()
    }

    /// Where this derive writes what the errors say of themselves, each has to say something.
    fn complete(mut self) -> Result<Self> {
        for case in &mut self.cases {
            let Meaning::Fault(meant) = &mut case.meaning else { continue };
            if meant.kind.is_internal() && meant.message.is_none() {
                meant.message = Some(Message::parse(LitStr::new(INTERNAL, case.name.span()))?);
            }
            if self.writes_error && meant.message.is_none() {
                return Err(Error::new(
                    case.name.span(),
                    "say what the caller reads, as the others do: `message = \"…\"`",
                ));
            }
        }
        Ok(self)
    }
}

impl Case {
    fn new(path: TokenStream, name: &Ident, fields: &Fields, said: Said) -> Result<Self> {
        let members = fields.members().zip(fields);
        let fields: Vec<Field> = members.map(|(member, field)| Field::new(member, field)).collect();
        if let Some(second) = fields.iter().filter(|field| field.is_source).nth(1) {
            return Err(Error::new_spanned(&second.kind, "an error has one source"));
        }
        let name = name.clone();
        let meaning = Meaning::new(&name, &fields, said)?;
        Ok(Self { path, name, fields, meaning })
    }

    /// Whether it says what only `Display` and `Error` can use.
    fn says_something(&self) -> bool {
        let has_message = matches!(&self.meaning, Meaning::Fault(meant) if meant.message.is_some());
        has_message || self.fields.iter().any(|field| field.is_source)
    }
}

impl Field {
    fn new(member: Member, field: &syn::Field) -> Self {
        let is_source = field.attrs.iter().any(|attribute| attribute.path().is_ident("source"));
        Self { member, kind: field.ty.clone(), is_source }
    }
}

impl Meaning {
    fn new(name: &Ident, fields: &[Field], said: Said) -> Result<Self> {
        if let Some(word) = said.transparent {
            return match fields {
                [_] => Ok(Self::Transparent),
                _ => Err(Error::new(word.span(), "what is transparent has one field: the fault")),
            };
        }
        let Some(kind) = said.kind else {
            let usage = "say which kind of fault this is: `#[fault(not_found)]`";
            return Err(Error::new(name.span(), format!("{usage}; {}", kinds())));
        };
        if let Some(message) = &said.message {
            message.check(fields)?;
        }
        let reason =
            said.reason.unwrap_or_else(|| LitStr::new(&screaming(&name.to_string()), name.span()));
        let (code, status, message) = (said.code, said.status, said.message);
        Ok(Self::Fault(Box::new(Meant { kind, reason, code, status, message })))
    }
}

/// All results, or all that is wrong.
fn all<T>(results: impl Iterator<Item = Result<T>>) -> Result<Vec<T>> {
    let mut values = Vec::new();
    let mut faults: Option<Error> = None;
    for result in results {
        match (result, &mut faults) {
            (Ok(value), _) => values.push(value),
            (Err(fault), Some(faults)) => faults.combine(fault),
            (Err(fault), None) => faults = Some(fault),
        }
    }
    faults.map_or(Ok(values), Err)
}

/// Whether `#[error("…")]` of thiserror says what the errors say of themselves.
fn has_text_elsewhere(input: &DeriveInput) -> bool {
    let has = |attributes: &[Attribute]| attributes.iter().any(|a| a.path().is_ident("error"));
    let variants = match &input.data {
        Data::Enum(data) => data.variants.iter().any(|variant| has(&variant.attrs)),
        _ => false,
    };
    has(&input.attrs) || variants
}

/// `UserNotFound` → `USER_NOT_FOUND`, `HTTPError2` → `HTTP_ERROR2`.
fn screaming(name: &str) -> String {
    let name = name.trim_start_matches("r#");
    let letters: Vec<char> = name.chars().collect();
    let mut screaming = String::new();
    for (place, letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|before| letters.get(before));
        let ends_word = before.is_some_and(|before| !before.is_uppercase() && *before != '_');
        let starts_word = before.is_some_and(|before| before.is_uppercase())
            && letters.get(place + 1).is_some_and(|after| after.is_lowercase());
        if letter.is_uppercase() && (ends_word || starts_word) {
            screaming.push('_');
        }
        screaming.extend(letter.to_uppercase());
    }
    screaming
}

#[cfg(test)]
mod tests {
    use super::screaming;

    #[test]
    fn the_reason_is_the_variants_name_in_capitals() {
        for (name, reason) in [
            ("UserNotFound", "USER_NOT_FOUND"),
            ("HTTPError2", "HTTP_ERROR2"),
            ("Store", "STORE"),
            ("A", "A"),
            ("X1Y", "X1_Y"),
            ("Snake_Case", "SNAKE_CASE"),
        ] {
            assert_eq!(screaming(name), reason);
        }
    }
}
