//! The code.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Generics, TypeParamBound, parse_quote, spanned::Spanned};

use super::{
    message::{Message, binding},
    shape::{Case, Field, Meaning, Meant, Type},
};

/// `impl From<T> for Fault`.
pub(super) fn from(input: &DeriveInput, this: &Type) -> TokenStream {
    let (name, polyport) = (&input.ident, &this.polyport);
    let arms = this.cases.iter().map(|case| match &case.meaning {
        Meaning::Transparent => inner(case),
        Meaning::Fault(meant) => fault(case, meant, this),
    });
    let keep = quote_spanned!(at(name)=> fault.caused_by(error));
    let generics = kept(input);
    let (generics, arguments, bounds) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #generics ::std::convert::From<#name #arguments> for #polyport::Fault #bounds {
            #[allow(unreachable_patterns, unreachable_code, unused_variables)]
            fn from(error: #name #arguments) -> Self {
                let fault: #polyport::Fault = match &error { #(#arms)* };
                #keep
            }
        }
    }
}

/// `impl Display` and `impl Error`.
pub(super) fn error(input: &DeriveInput, this: &Type) -> TokenStream {
    let name = &input.ident;
    let texts = this.cases.iter().map(text);
    let sources = this.cases.iter().filter_map(|case| source(case, this));
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        let shown: [TypeParamBound; 2] =
            [parse_quote!(::std::fmt::Display), parse_quote!(::std::fmt::Debug)];
        parameter.bounds.extend(shown);
    }
    let (generics, arguments, bounds) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #generics ::std::fmt::Display for #name #arguments #bounds {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self { #(#texts)* }
            }
        }

        #[automatically_derived]
        impl #generics ::std::error::Error for #name #arguments #bounds {
            #[allow(unreachable_patterns)]
            fn source(
                &self,
            ) -> ::std::option::Option<&(dyn ::std::error::Error + 'static)> {
                match self {
                    #(#sources)*
                    _ => ::std::option::Option::None,
                }
            }
        }
    }
}

/// Where faults in this are shown; names there are ours.
fn at(tokens: &impl Spanned) -> Span {
    tokens.span().resolved_at(Span::call_site())
}

/// The type's generics, where the whole can be kept as a source.
fn kept(input: &DeriveInput) -> Generics {
    let name = &input.ident;
    let mut generics = input.generics.clone();
    if generics.type_params().next().is_some() {
        let (_, arguments, _) = input.generics.split_for_impl();
        generics.make_where_clause().predicates.push(parse_quote! {
            #name #arguments:
                ::std::error::Error + ::std::marker::Send + ::std::marker::Sync + 'static
        });
    }
    generics
}

fn inner(case: &Case) -> TokenStream {
    let path = &case.path;
    let fields = case.fields.iter().map(|Field { member, kind, .. }| {
        let fault = quote_spanned!(at(kind)=> ::std::convert::Into::into(inner));
        quote!(#path { #member: inner } => #fault,)
    });
    quote! {
        #path { .. } => return match error {
            #(#fields)*
            _ => ::std::unreachable!(),
        },
    }
}

fn fault(case: &Case, meant: &Meant, this: &Type) -> TokenStream {
    let (path, polyport) = (&case.path, &this.polyport);
    let Meant { kind, reason, code, status, message } = meant;
    let kind = &kind.variant;
    let (bindings, message) = match message {
        Some(message) => match message.plain() {
            Some(text) => (Vec::new(), quote!(#text)),
            None if this.writes_error => (Vec::new(), own_text()),
            None => {
                let format = message.format();
                (bindings(message), quote!(::std::format!(#format)))
            }
        },
        None => (Vec::new(), own_text()),
    };
    let code = code.iter().map(|code| quote!(.with_code(#code)));
    let status = status.iter().map(|status| quote!(.with_status(#status)));
    quote! {
        #path { #(#bindings,)* .. } => {
            #polyport::Fault::new(#polyport::FaultKind::#kind, #reason, #message)
                #(#code)* #(#status)*
        }
    }
}

fn own_text() -> TokenStream {
    quote!(::std::string::ToString::to_string(&error))
}

/// What the error says of itself.
fn text(case: &Case) -> TokenStream {
    let path = &case.path;
    match &case.meaning {
        Meaning::Transparent => {
            let members = case.fields.iter().map(|field| &field.member);
            quote! {
                #path { #(#members: inner)* } => ::std::fmt::Display::fmt(inner, formatter),
            }
        }
        Meaning::Fault(meant) => {
            let (bindings, format) = match &meant.message {
                Some(message) => (bindings(message), message.format()),
                None => (Vec::new(), quote!("")),
            };
            quote! {
                #path { #(#bindings,)* .. } => ::std::write!(formatter, #format),
            }
        }
    }
}

fn source(case: &Case, this: &Type) -> Option<TokenStream> {
    let (path, polyport) = (&case.path, &this.polyport);
    let Field { member, kind, .. } = case.fields.iter().find(|field| field.is_source)?;
    let source = quote_spanned!(at(kind)=> inner.as_source());
    Some(quote! {
        #path { #member: inner, .. } => {
            use #polyport::operation::AsSource as _;
            ::std::option::Option::Some(#source)
        }
    })
}

fn bindings(message: &Message) -> Vec<TokenStream> {
    let mut members: Vec<_> = message.members().collect();
    members.sort_by_key(|member| binding(member));
    members.dedup_by_key(|member| binding(member));
    let bound = members.into_iter().map(|member| {
        let binding = binding(member);
        quote!(#member: #binding)
    });
    bound.collect()
}
