//! `#[derive(Fault)]`.

mod attribute;
mod message;
mod shape;
mod write;

use proc_macro2::TokenStream;
use syn::{DeriveInput, Error, Result};

use self::shape::Type;

/// Writes `impl From<T> for Fault`; and `Display` and `Error` where the messages say what those
/// need.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let message = "a fault outlives what its error borrows: own the value";
        return Err(Error::new_spanned(lifetime, message));
    }
    let kind = Type::parse(input)?;
    let from = write::from(input, &kind);
    let error = kind.writes_error.then(|| write::error(input, &kind));
    Ok(quote::quote!(#from #error))
}
