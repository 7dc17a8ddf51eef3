//! What `#[serde(…)]` says of names.

use syn::{
    Attribute, Error, Expr, ExprLit, Field, Lit, LitStr, Meta, Result, Token, ext::IdentExt as _,
    punctuated::Punctuated, spanned::Spanned,
};

use super::case::Case;

/// By what names a field is known.
pub(super) struct Names {
    pub(super) rust: String,
    serde: String,
    aliases: Vec<String>,
}

impl Names {
    pub(super) fn of(field: &Field, case: Option<Case>) -> Result<Self> {
        let ident = field.ident.as_ref();
        let rust = ident.map(|name| name.unraw().to_string()).unwrap_or_default();
        let said = said(&field.attrs)?;
        let renamed = said.iter().find(|said| said.path().is_ident("rename"));
        let serde = match renamed.and_then(for_reading) {
            Some(name) => name.value(),
            None => case.map_or_else(|| rust.clone(), |case| case.apply(&rust)),
        };
        let aliases = said.iter().filter(|said| said.path().is_ident("alias"));
        let aliases = aliases.filter_map(for_reading).map(|alias| alias.value()).collect();
        Ok(Self { rust, serde, aliases })
    }

    /// The name and its aliases.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.serde.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

/// The convention for all fields.
pub(super) fn case_of_all(attributes: &[Attribute]) -> Result<Option<Case>> {
    let said = said(attributes)?;
    let all = said.iter().find(|said| said.path().is_ident("rename_all"));
    all.and_then(for_reading).map(|text| Case::parse(&text)).transpose()
}

/// Whether serde is told to leave the field out.
pub(super) fn is_skipped(field: &Field) -> Result<bool> {
    let is =
        |said: &Meta| said.path().is_ident("skip") || said.path().is_ident("skip_deserializing");
    Ok(said(&field.attrs)?.iter().any(is))
}

/// Refuses what makes a field's place unknown.
pub(super) fn refuse_flatten(field: &Field) -> Result<()> {
    match said(&field.attrs)?.iter().find(|said| said.path().is_ident("flatten")) {
        None => Ok(()),
        Some(flatten) => Err(Error::new(
            flatten.span(),
            "nobody can say where the fields of a flattened struct come from: write them here",
        )),
    }
}

/// Refuses what serde would do with the whole struct instead of reading its fields.
pub(super) fn refuse_other_shapes(attributes: &[Attribute]) -> Result<()> {
    let shapes = ["transparent", "from", "try_from", "remote", "tag", "untagged"];
    match said(attributes)?.iter().find(|said| shapes.iter().any(|name| said.path().is_ident(name)))
    {
        None => Ok(()),
        Some(shape) => Err(Error::new(
            shape.span(),
            "an input is read field by field: derive `serde::Deserialize` for a type that is not",
        )),
    }
}

/// `name = "…"`, or the `deserialize` of `name(serialize = "…", deserialize = "…")`.
fn for_reading(said: &Meta) -> Option<LitStr> {
    let text = |value: &Expr| match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.clone()),
        _ => None,
    };
    match said {
        Meta::NameValue(said) => text(&said.value),
        Meta::List(list) => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            let parts = parts.ok()?;
            for_reading(parts.iter().find(|part| part.path().is_ident("deserialize"))?)
        }
        Meta::Path(_) => None,
    }
}

/// Everything that stands in `#[serde(…)]`.
fn said(attributes: &[Attribute]) -> Result<Vec<Meta>> {
    let mut all = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        all.extend(attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?);
    }
    Ok(all)
}
