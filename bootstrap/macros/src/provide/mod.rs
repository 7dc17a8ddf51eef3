//! `#[derive(Provide)]`.

mod constructor;
mod container;
mod field;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Path, Result, punctuated::Punctuated};

pub(crate) use self::constructor::expand as expand_constructor;
use self::{
    container::Options,
    field::{Field, FieldNames},
};

/// Writes `impl Provide` for a struct.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let options = Options::parse(&input.attrs)?;
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let message = "a provider cannot borrow: it may live as long as the process; own the \
                       value, or share it (`Arc<…>`)";
        return Err(Error::new_spanned(lifetime, message));
    }
    let names = FieldNames {
        polyport: options.polyport.clone(),
        resolver: Ident::new("resolver", Span::mixed_site()),
        dependencies: Ident::new("dependencies", Span::mixed_site()),
    };
    let fields = fields(input)?;
    let dependencies = dependencies(&names, &fields);
    let construct = construct(&names, &options, &fields);
    let extras = options.items();
    let (polyport, name) = (&options.polyport, &input.ident);
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics #polyport::container::Provide for #name #arguments #bounds {
            #dependencies
            #construct
            #extras
        }
    })
}

/// All fields, or all that is wrong with them.
fn fields(input: &DeriveInput) -> Result<Vec<Field>> {
    let declared = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => fields.named.clone(),
            Fields::Unit => Punctuated::new(),
            Fields::Unnamed(fields) if fields.unnamed.is_empty() => Punctuated::new(),
            Fields::Unnamed(fields) => {
                return Err(Error::new_spanned(
                    fields,
                    "name the fields (`struct Name { … }`): each says where its value comes from",
                ));
            }
        },
        Data::Enum(_) | Data::Union(_) => {
            return Err(Error::new_spanned(
                &input.ident,
                "only a struct can derive `Provide`; build this with an async function and give \
                 it to `provide_with`",
            ));
        }
    };
    let mut fields = Vec::new();
    let mut faults: Option<Error> = None;
    for field in declared {
        match Field::parse(field) {
            Ok(field) => fields.push(field),
            Err(fault) => match &mut faults {
                Some(faults) => faults.combine(fault),
                None => faults = Some(fault),
            },
        }
    }
    faults.map_or(Ok(fields), Err)
}

fn dependencies(names: &FieldNames, fields: &[Field]) -> TokenStream {
    let FieldNames { polyport, dependencies, .. } = names;
    let each = fields.iter().map(|field| field.dependencies(names));
    quote! {
        #[allow(unused_mut)]
        fn dependencies() -> ::std::vec::Vec<#polyport::container::Dependency> {
            let mut #dependencies = ::std::vec::Vec::new();
            #(#each)*
            #dependencies
        }
    }
}

fn construct(names: &FieldNames, options: &Options, fields: &[Field]) -> TokenStream {
    let FieldNames { polyport, resolver, .. } = names;
    let (fill, value) =
        (Ident::new("fill", Span::mixed_site()), Ident::new("value", Span::mixed_site()));
    let each = fields.iter().map(|field| field.value(names));
    let init = options.init.as_ref().map(|init| quote!(#value.#init().await?;));
    let immediate = options.init.is_none();
    quote! {
        const IMMEDIATE: bool = #immediate;

        #[allow(unused_mut, unused_variables)]
        async fn construct(
            #resolver: #polyport::container::Resolver<'_>,
        ) -> #polyport::Result<Self> {
            // A closure, so that no expression of a field can wait.
            let #fill = || -> #polyport::Result<Self> {
                ::std::result::Result::Ok(Self { #(#each,)* })
            };
            let mut #value = #fill()?;
            #init
            ::std::result::Result::Ok(#value)
        }
    }
}

impl Options {
    /// The items of the trait that are not as it has them.
    fn items(&self) -> TokenStream {
        let polyport: &Path = &self.polyport;
        let eager = self.eager.then(|| {
            quote!(
                const EAGER: bool = true;
            )
        });
        let scope = self.scope.as_ref().map(|scope| {
            quote! {
                const SCOPE: #polyport::container::Scope = #polyport::container::Scope::#scope;
            }
        });
        let dispose = match &self.dispose {
            Some(dispose) => quote! {
                async fn dispose(self: ::std::sync::Arc<Self>) -> #polyport::Result<()> {
                    Self::#dispose(&self).await?;
                    ::std::result::Result::Ok(())
                }
            },
            None => quote!(
                const DISPOSES: bool = false;
            ),
        };
        quote!(#eager #scope #dispose)
    }
}
