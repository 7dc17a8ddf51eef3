//! `#[polyport::provide]` on an async function.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Error, FnArg, GenericArgument, Item, ItemFn, PathArguments, Result, ReturnType, Signature, Type,
};

use super::{
    container::Options,
    dependencies,
    field::{Field, FieldNames},
};

/// Keeps the function, and writes `impl Provide` for what it returns.
pub(crate) fn expand(arguments: TokenStream, item: Item) -> Result<TokenStream> {
    let Item::Fn(mut function) = item else {
        return fault(
            &item,
            "`#[polyport::provide]` belongs on an async function; on a struct write \
             `#[derive(Provide)]`",
        );
    };
    let options = Options::of_constructor(arguments)?;
    check(&function.sig)?;
    let provided = provided(&function.sig)?.clone();
    let names = FieldNames {
        polyport: options.polyport.clone(),
        resolver: Ident::new("resolver", Span::mixed_site()),
        dependencies: Ident::new("dependencies", Span::mixed_site()),
    };
    let fields = fields(&mut function)?;
    let dependencies = dependencies(&names, &fields);
    let values = fields.iter().map(|field| field.expression(&names));
    let extras = options.items();
    let FieldNames { polyport, resolver, .. } = &names;
    let name = &function.sig.ident;
    let value = Ident::new("value", Span::mixed_site());
    Ok(quote! {
        #function

        #[automatically_derived]
        impl #polyport::container::Provide for #provided {
            #dependencies

            #[allow(unused_variables)]
            async fn construct(
                #resolver: #polyport::container::Resolver<'_>,
            ) -> #polyport::Result<Self> {
                let #value: Self = #name(#(#values),*).await?;
                ::std::result::Result::Ok(#value)
            }

            #extras
        }
    })
}

fn check(signature: &Signature) -> Result<()> {
    if let Some(receiver) = signature.receiver() {
        return fault(receiver, "a constructor has no `self`: move it out of the `impl` block");
    }
    if signature.asyncness.is_none() {
        return fault(signature.fn_token, "a constructor is async: write `async fn`");
    }
    if !signature.generics.params.is_empty() {
        return fault(&signature.generics, "a constructor cannot be generic: it provides one type");
    }
    Ok(())
}

/// The `T` of `Result<T>`.
fn provided(signature: &Signature) -> Result<&Type> {
    let message = "a constructor returns `Result<T>`, where `T` is the type that it provides";
    let ReturnType::Type(_, returned) = &signature.output else {
        return fault(&signature.ident, message);
    };
    let Type::Path(path) = &**returned else {
        return fault(returned, message);
    };
    let last = path.path.segments.last().filter(|last| last.ident == "Result");
    let Some(PathArguments::AngleBracketed(arguments)) = last.map(|last| &last.arguments) else {
        return fault(returned, message);
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(provided)) => Ok(provided),
        _ => fault(returned, message),
    }
}

/// Where each argument comes from; takes the attributes that say so off the function.
fn fields(function: &mut ItemFn) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    let mut faults: Option<Error> = None;
    for (place, argument) in function.sig.inputs.iter_mut().enumerate() {
        let FnArg::Typed(argument) = argument else { continue };
        let name = Ident::new(&format!("argument_{place}"), Span::mixed_site());
        match Field::of_argument(name, argument) {
            Ok(field) => fields.push(field),
            Err(fault) => match &mut faults {
                Some(faults) => faults.combine(fault),
                None => faults = Some(fault),
            },
        }
    }
    faults.map_or(Ok(fields), Err)
}

fn fault<T>(place: impl ToTokens, message: &str) -> Result<T> {
    Err(Error::new_spanned(place, message))
}
