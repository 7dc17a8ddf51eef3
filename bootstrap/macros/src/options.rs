//! Attribute arguments that both macros read.

use syn::{LitStr, Path, Result, meta::ParseNestedMeta, parse_quote};

/// The path of polyport, where nobody says otherwise.
pub(crate) fn default_crate() -> Path {
    parse_quote!(::polyport)
}

/// The value of `crate = path`.
pub(crate) fn crate_path(meta: &ParseNestedMeta<'_>) -> Result<Path> {
    meta.value()?.call(Path::parse_mod_style)
}

/// The value of `name = "…"`.
pub(crate) fn name(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    not_empty(meta.value()?.parse()?, "a name")
}

/// Refuses `""`.
pub(crate) fn not_empty(text: LitStr, what: &str) -> Result<LitStr> {
    if text.value().is_empty() {
        return Err(syn::Error::new(text.span(), format!("{what} cannot be empty")));
    }
    Ok(text)
}
