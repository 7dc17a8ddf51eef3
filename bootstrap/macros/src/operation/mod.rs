//! `#[operation]`.

mod checks;
mod options;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Error, FnArg, GenericParam, Ident, ItemFn, LitStr, PatType, Result, ReturnType, Type,
    ext::IdentExt as _,
};

pub(crate) use self::{checks::checks, options::Options};

/// The most arguments that an operation can take.
const MOST_ARGUMENTS: usize = 12;

/// Turns a function into a value of its own type that is an operation.
pub(crate) fn expand(arguments: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let mut options = Options::parse(arguments)?;
    let own_name =
        || LitStr::new(&function.sig.ident.unraw().to_string(), function.sig.ident.span());
    options.name.get_or_insert_with(own_name);
    let signature = Signature::of(&function.sig)?;
    let polyport = &options.polyport;
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let documentation = function.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let documentation: Vec<_> = documentation.collect();
    let run = run(function, &documentation);
    let types: Vec<_> = signature.arguments.iter().map(|argument| &*argument.ty).collect();
    let checks = checks(polyport, &types, signature.value);
    let output = signature.value;
    let declared = options.declare(quote!(#name::run), &types, output);
    let fallback = documentation.is_empty().then(|| {
        let text = format!("The operation `{name}`.");
        quote!(#[doc = #text])
    });
    Ok(quote! {
        #(#documentation)*
        #fallback
        #[allow(non_camel_case_types)]
        #[derive(Debug, Clone, Copy)]
        #visibility struct #name;

        impl #name {
            #run
        }

        const _: () = {
            #checks

            #[automatically_derived]
            impl #polyport::operation::Operation<()> for #name {
                type Input = <<(#(#types,)*) as #polyport::operation::Extract>::Payload
                    as #polyport::operation::Payload>::Input;
                type Output = <#output as #polyport::operation::Outcome>::Value;

                fn info(&self) -> #polyport::operation::OperationInfo {
                    #polyport::operation::Operation::<(#(#types,)*)>::info(&#declared)
                }

                fn call<'a>(
                    &'a self,
                    context: &'a #polyport::operation::Context,
                    input: Self::Input,
                ) -> impl ::core::future::Future<
                    Output = ::core::result::Result<Self::Output, #polyport::operation::Fault>,
                > + ::core::marker::Send + 'a {
                    async move {
                        #polyport::operation::Operation::<(#(#types,)*)>::call(
                            &#name::run, context, input,
                        )
                        .await
                    }
                }
            }
        };
    })
}

/// The function itself, as an associated one.
fn run(function: &ItemFn, documentation: &[&syn::Attribute]) -> TokenStream {
    let mut run = function.clone();
    run.sig.ident = format_ident!("run", span = function.sig.ident.span());
    let explained = documentation.is_empty().then(|| quote!(#[doc = "The function itself."]));
    quote! {
        #explained
        #run
    }
}

/// What the macro needs to know of a function.
pub(crate) struct Signature<'a> {
    pub(crate) arguments: Vec<&'a PatType>,
    pub(crate) value: &'a Type,
}

impl<'a> Signature<'a> {
    fn of(signature: &'a syn::Signature) -> Result<Self> {
        if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
            return Err(Error::new_spanned(
                receiver,
                "a method is an operation in a controller: write `#[controller]` above its `impl`",
            ));
        }
        Self::of_arguments(signature)
    }

    /// Of a method, whose receiver is left out.
    pub(crate) fn of_arguments(signature: &'a syn::Signature) -> Result<Self> {
        check_kind(signature)?;
        let typed = |argument: &'a FnArg| match argument {
            FnArg::Typed(argument) => Some(argument),
            FnArg::Receiver(_) => None,
        };
        let arguments: Vec<_> = signature.inputs.iter().filter_map(typed).collect();
        if let Some(extra) = arguments.get(MOST_ARGUMENTS) {
            let message = format!("an operation takes at most {MOST_ARGUMENTS} arguments");
            return Err(Error::new_spanned(extra, message));
        }
        for argument in &arguments {
            if let Type::ImplTrait(_) | Type::Reference(_) = &*argument.ty {
                return Err(Error::new_spanned(
                    &argument.ty,
                    "an operation takes extractors by value: `Inject<T>`, `Input<T>`, `Ctx` …",
                ));
            }
        }
        let ReturnType::Type(_, value) = &signature.output else {
            return Err(Error::new_spanned(
                &signature.ident,
                "an operation returns `Result<T, Fault>`, or a `Result` whose error is \
                 `Into<Fault>`",
            ));
        };
        Ok(Self { arguments, value })
    }
}

fn check_kind(signature: &syn::Signature) -> Result<()> {
    if signature.asyncness.is_none() {
        return Err(Error::new_spanned(signature.fn_token, "an operation is an `async fn`"));
    }
    let generic = signature
        .generics
        .params
        .iter()
        .find(|parameter| matches!(parameter, GenericParam::Type(_) | GenericParam::Const(_)));
    match generic {
        Some(parameter) => Err(Error::new_spanned(
            parameter,
            "an operation has no type parameters: what is served is one function",
        )),
        None => Ok(()),
    }
}

/// The name that generated code gives to an argument, whatever its pattern is.
pub(crate) fn argument_name(position: usize) -> Ident {
    format_ident!("argument_{position}")
}
