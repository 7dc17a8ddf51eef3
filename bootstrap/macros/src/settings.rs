//! `#[derive(Settings)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Lit, LitStr, Meta, MetaNameValue, Path,
    Result, Token, ext::IdentExt as _, punctuated::Punctuated,
};

use crate::options;

/// Writes `impl SettingsSection` for a struct.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let renamed = renamed(input)?;
    let Options { polyport, key } = Options::parse(input)?;
    if !fills_what_is_absent(input)? {
        return Err(Error::new_spanned(
            &input.ident,
            "write `#[serde(default)]` on the struct: what the configuration does not set comes \
             from its `Default`",
        ));
    }
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics #polyport::config::SettingsSection for #name #arguments #bounds {
            const KEY: &'static str = #key;
            #renamed
        }
    })
}

struct Options {
    polyport: Path,
    key: LitStr,
}

impl Options {
    fn parse(input: &DeriveInput) -> Result<Self> {
        let usage = "name the section of the configuration: `#[settings(\"users\")]`";
        let (mut polyport, mut key) = (options::default_crate(), None);
        for attribute in
            input.attrs.iter().filter(|attribute| attribute.path().is_ident("settings"))
        {
            if let Ok(text) = attribute.parse_args::<LitStr>() {
                key = Some(options::not_empty(text, "a section's key")?);
                continue;
            }
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("crate") {
                    return Err(meta.error(usage));
                }
                polyport = options::crate_path(&meta)?;
                Ok(())
            })?;
        }
        let key = key.ok_or_else(|| Error::new_spanned(&input.ident, usage))?;
        Ok(Self { polyport, key })
    }
}

/// Whether the struct says `#[serde(default)]`.
fn fills_what_is_absent(input: &DeriveInput) -> Result<bool> {
    Ok(said_to_serde(&input.attrs)?.iter().any(|said| said.path().is_ident("default")))
}

/// The fields that have another name for serde.
fn renamed(input: &DeriveInput) -> Result<Option<TokenStream>> {
    let Data::Struct(data) = &input.data else {
        let message = "only a struct is a section of the configuration";
        return Err(Error::new_spanned(&input.ident, message));
    };
    let mut pairs = Vec::new();
    for field in &data.fields {
        let said = said_to_serde(&field.attrs)?;
        let rename = said.iter().find(|said| said.path().is_ident("rename"));
        let name = field.ident.as_ref().map(|name| name.unraw().to_string());
        if let (Some(key), Some(name)) = (rename.and_then(name_for_reading), name) {
            pairs.push(quote!((#name, #key)));
        }
    }
    Ok((!pairs.is_empty()).then(|| {
        quote! {
            const RENAMED: &'static [(&'static str, &'static str)] = &[#(#pairs),*];
        }
    }))
}

/// `rename = "…"`, or the `deserialize` of `rename(serialize = "…", deserialize = "…")`.
fn name_for_reading(said: &Meta) -> Option<LitStr> {
    let text = |value: &Expr| match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.clone()),
        _ => None,
    };
    match said {
        Meta::NameValue(said) => text(&said.value),
        Meta::List(list) => {
            let parts =
                list.parse_args_with(Punctuated::<MetaNameValue, Token![,]>::parse_terminated);
            let parts = parts.ok()?;
            text(&parts.iter().find(|part| part.path.is_ident("deserialize"))?.value)
        }
        Meta::Path(_) => None,
    }
}

/// Everything that stands in `#[serde(…)]`.
fn said_to_serde(attributes: &[Attribute]) -> Result<Vec<Meta>> {
    let mut all = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        all.extend(attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?);
    }
    Ok(all)
}
