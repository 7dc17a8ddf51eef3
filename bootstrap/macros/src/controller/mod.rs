//! `#[controller]`.

mod route;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Error, FnArg, ImplItem, ImplItemFn, ItemImpl, LitStr, Path, Result, Token, Type,
    ext::IdentExt as _,
    parse::{Parse, ParseStream, Parser},
};

use self::route::Route;
use crate::operation::{Options, Signature, argument_name, checks};

/// Adds to an `impl` block how its methods are served.
pub(crate) fn expand(arguments: TokenStream, mut block: ItemImpl) -> Result<TokenStream> {
    let Arguments { prefix, options } = Arguments::parse.parse2(arguments)?;
    if let Some((_, path, _)) = &block.trait_ {
        return Err(Error::new_spanned(path, "a controller is an `impl` block of its own"));
    }
    let (polyport, controller) = (options.polyport.clone(), &*block.self_ty);
    let (generics, _, bounds) = block.generics.split_for_impl();
    let (mut served, mut faults) = (Vec::new(), Vec::new());
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        match serve(&polyport, controller, prefix.as_ref(), method) {
            Ok(code) => served.extend(code),
            Err(fault) => faults.push(fault),
        }
    }
    let faults = faults.iter().map(Error::to_compile_error);
    let common = common(&options);
    Ok(quote! {
        #block

        #(#faults)*

        #[automatically_derived]
        impl #generics #polyport::Controller for #controller #bounds {
            fn register(module: &mut #polyport::ModuleBuilder<'_>) {
                #[allow(unused_variables)]
                let common = #common;
                #(#served)*
                let _ = module;
            }
        }
    })
}

/// `#[controller("/users", attr = …, pipeline = …)]`.
struct Arguments {
    prefix: Option<LitStr>,
    options: Options,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let prefix = match input.peek(LitStr) {
            true => Some(input.parse()?),
            false => None,
        };
        if prefix.is_some() && !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        let options = Options::parse(input.parse()?)?;
        if let Some(name) = &options.name {
            return Err(Error::new_spanned(name, "operations have names, controllers have none"));
        }
        Ok(Self { prefix, options })
    }
}

/// What all operations of the controller have in common.
fn common(options: &Options) -> TokenStream {
    let Options { polyport, attributes, pipelines, .. } = options;
    quote! {
        #polyport::operation::ControllerDeclaration::default()
            #(.attr(#attributes))*
            #(.pipeline(#pipelines))*
    }
}

/// Takes the attributes of routes from a method, and writes how it is served; nothing where it has
/// no route.
fn serve(
    polyport: &Path,
    controller: &Type,
    prefix: Option<&LitStr>,
    method: &mut ImplItemFn,
) -> Result<Option<TokenStream>> {
    let (mut routes, mut options) = (Vec::new(), Options::default());
    options.polyport = polyport.clone();
    let attributes = std::mem::take(&mut method.attrs);
    for attribute in attributes {
        if let Some(route) = Route::of(&attribute, prefix)? {
            routes.push(route);
        } else if is_operation(&attribute) {
            attribute.parse_nested_meta(|meta| options.take(&meta))?;
        } else {
            method.attrs.push(attribute);
        }
    }
    if routes.is_empty() {
        return Ok(None);
    }
    check_receiver(method)?;
    let name = options.name.take().unwrap_or_else(|| default_name(controller, method));
    options.name = Some(name);
    let declared = declared(polyport, controller, method, &options)?;
    let registered = routes.iter().map(|route| route.register(polyport));
    let conditions = method.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    Ok(Some(quote! {
        #(#conditions)*
        {
            #declared
            #(#registered)*
        }
    }))
}

fn is_operation(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "operation")
}

fn check_receiver(method: &ImplItemFn) -> Result<()> {
    match method.sig.inputs.first() {
        Some(FnArg::Receiver(receiver))
            if receiver.reference.is_some() && receiver.mutability.is_none() =>
        {
            Ok(())
        }
        _ => Err(Error::new_spanned(
            &method.sig.ident,
            "a method that is served takes `&self`: the controller is shared by all calls",
        )),
    }
}

/// `UserController::get_user`.
fn default_name(controller: &Type, method: &ImplItemFn) -> LitStr {
    let of = match controller {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.unraw().to_string()),
        _ => None,
    };
    let method_name = method.sig.ident.unraw();
    let name = match of {
        Some(of) => format!("{of}::{method_name}"),
        None => method_name.to_string(),
    };
    LitStr::new(&name, method.sig.ident.span())
}

/// `let operation = …`: a function that injects the controller and calls its method.
fn declared(
    polyport: &Path,
    controller: &Type,
    method: &ImplItemFn,
    options: &Options,
) -> Result<TokenStream> {
    let signature = Signature::of_arguments(&method.sig)?;
    let types: Vec<_> = signature.arguments.iter().map(|argument| &*argument.ty).collect();
    if types.len() > 11 {
        return Err(Error::new_spanned(
            types[11],
            "a controller's method takes at most 11 arguments beside `&self`",
        ));
    }
    let names: Vec<_> = (0..types.len()).map(argument_name).collect();
    let checks = checks(polyport, &types, signature.value);
    let injected: Type = syn::parse_quote!(#polyport::operation::Inject<#controller>);
    let mut all = vec![&injected];
    all.extend(&types);
    let (method_name, value) = (&method.sig.ident, signature.value);
    let operation = quote! {
        |controller: #injected #(, #names: #types)*| async move {
            let outcome: #value = controller.#method_name(#(#names),*).await;
            outcome
        }
    };
    let operation = options.declare(operation, &all, value);
    Ok(quote! {
        #checks
        let operation = #polyport::operation::OperationExt::<(#(#all,)*)>::of_controller(
            #operation, &common,
        );
    })
}
