//! `#[derive(Input)]`.

mod case;
mod serde;
mod source;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, FieldsNamed, LitStr, Path, Result,
    TypeParam, WherePredicate, parse_quote,
};

use self::{serde::Names, source::Source};
use crate::options;

/// Writes `impl Bind` for a struct whose fields say where they come from. A hidden twin of the
/// struct derives what serde knows of it.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let polyport = polyport(input)?;
    let fields = named_fields(input)?;
    serde::refuse_other_shapes(&input.attrs)?;
    let table = table(input, fields, &polyport)?;
    let twin = twin(input, fields, &polyport);
    let name = &input.ident;
    let (generics, arguments, _) = input.generics.split_for_impl();
    let mut bounded = input.generics.clone();
    let predicates = &mut bounded.make_where_clause().predicates;
    predicates.extend(bounds(input, &polyport));
    let bounds = &bounded.where_clause;
    Ok(quote! {
        const _: () = {
            #twin

            #[automatically_derived]
            impl #generics #polyport::__private::InputFields for #name #arguments #bounds {
                const FIELDS: &'static [#polyport::__private::InputField] = &[#(#table),*];

                fn read<'de, __D>(deserializer: __D) -> ::core::result::Result<Self, __D::Error>
                where
                    __D: #polyport::__private::serde::Deserializer<'de>,
                {
                    __Twin::deserialize(deserializer)
                }
            }

            #[automatically_derived]
            impl #generics #polyport::operation::Bind for #name #arguments #bounds {
                fn bind(
                    unbound: &#polyport::operation::Unbound<'_>,
                ) -> ::core::result::Result<Self, #polyport::Fault> {
                    #polyport::__private::bind_fields(unbound)
                }
            }
        };
    })
}

/// `#[input(crate = path)]`.
fn polyport(input: &DeriveInput) -> Result<Path> {
    let mut polyport = options::default_crate();
    for attribute in input.attrs.iter().filter(|given| given.path().is_ident("input")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("the only option is `crate = path`"));
            }
            polyport = options::crate_path(&meta)?;
            Ok(())
        })?;
    }
    Ok(polyport)
}

fn named_fields(input: &DeriveInput) -> Result<&FieldsNamed> {
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err(Error::new_spanned(lifetime, "an input owns what it holds"));
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields),
            other => Err(Error::new_spanned(
                if other.is_empty() {
                    input.ident.to_token_stream()
                } else {
                    other.to_token_stream()
                },
                "an input is a struct with named fields: their names say what to look for",
            )),
        },
        _ => Err(Error::new_spanned(
            &input.ident,
            "an input is a struct with named fields: derive `serde::Deserialize` for others",
        )),
    }
}

/// Where each field comes from; all that is wrong with them is told at once.
fn table(input: &DeriveInput, fields: &FieldsNamed, polyport: &Path) -> Result<Vec<TokenStream>> {
    let case = serde::case_of_all(&input.attrs)?;
    let mut rows = Vec::new();
    let mut faults: Option<Error> = None;
    for field in &fields.named {
        match row(field, case, polyport) {
            Ok(row) => rows.extend(row),
            Err(fault) => match &mut faults {
                Some(faults) => faults.combine(fault),
                none => *none = Some(fault),
            },
        }
    }
    faults.map_or(Ok(rows), Err)
}

fn row(field: &Field, case: Option<case::Case>, polyport: &Path) -> Result<Option<TokenStream>> {
    serde::refuse_flatten(field)?;
    let sources = Source::of(field)?;
    if serde::is_skipped(field)? {
        return Ok(None);
    }
    let names = Names::of(field, case)?;
    let sources = sources.iter().map(|source| source.expression(&names, polyport));
    let (rust, names) = (&names.rust, names.all());
    Ok(Some(quote! {
        #polyport::__private::InputField {
            rust: #rust,
            names: &[#(#names),*],
            from: &[#(#sources),*],
        }
    }))
}

/// The struct that serde sees.
fn twin(input: &DeriveInput, fields: &FieldsNamed, polyport: &Path) -> TokenStream {
    let name = &input.ident;
    let remote = name.to_string();
    let serde = quote!(#polyport::__private::serde);
    let serde_path = LitStr::new(&serde.to_string().replace(' ', ""), name.span());
    let generics = &input.generics;
    let bounds = &input.generics.where_clause;
    // Ours, or else serde wants the twin of a struct with `#[serde(default)]` to be `Default`.
    let bound = parameters(input, polyport);
    let bound = quote!(#(#bound),*).to_string();
    let attributes = for_serde(&input.attrs);
    let fields = fields.named.iter().map(|Field { attrs, ident, ty, .. }| {
        let attributes = for_serde(attrs);
        quote!(#(#attributes)* #ident: #ty)
    });
    quote! {
        #[allow(dead_code)]
        #[derive(#serde::Deserialize)]
        #[serde(crate = #serde_path, remote = #remote, bound(deserialize = #bound))]
        #(#attributes)*
        struct __Twin #generics #bounds { #(#fields),* }
    }
}

fn for_serde(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("serde"))
}

/// What the struct has to be, where it has type parameters.
fn bounds(input: &DeriveInput, polyport: &Path) -> Vec<WherePredicate> {
    let name = &input.ident;
    let (_, arguments, _) = input.generics.split_for_impl();
    let mut bounds = parameters(input, polyport);
    if !bounds.is_empty() {
        bounds.push(parse_quote!(#name #arguments: #polyport::__private::Rules));
    }
    bounds
}

/// What its type parameters have to be.
fn parameters(input: &DeriveInput, polyport: &Path) -> Vec<WherePredicate> {
    let owned = quote!(#polyport::__private::serde::de::DeserializeOwned);
    let bound = |parameter: &TypeParam| {
        let parameter = &parameter.ident;
        parse_quote!(#parameter: #owned + ::core::marker::Send + 'static)
    };
    input.generics.type_params().map(bound).collect()
}
