//! Errors at the argument that is wrong, and not at the function.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::{Path, Type, spanned::Spanned};

/// Code that compiles only if every argument is an extractor, at most one of them takes the input,
/// and the function returns what an operation does. It does nothing.
pub(crate) fn checks(polyport: &Path, arguments: &[&Type], value: &Type) -> TokenStream {
    let each = arguments.iter().map(|argument| {
        quote_spanned! {argument.span()=>
            const _: fn() = || {
                fn is_an_extractor<T: #polyport::operation::FromContext>() {}
                is_an_extractor::<#argument>();
            };
        }
    });
    let returned = quote_spanned! {value.span()=>
        const _: fn() = || {
            fn is_an_outcome<T: #polyport::operation::Outcome>() {}
            is_an_outcome::<#value>();
        };
    };
    let each: TokenStream = each.collect();
    quote_spanned!(value.span()=> #each #returned)
}
