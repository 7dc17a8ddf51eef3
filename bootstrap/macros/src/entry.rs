//! `#[polyport::main]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, LitBool, Path, Result, ReturnType, Signature, meta, parse::Parser};

use crate::options;

/// Wraps `async fn main` into the process's `fn main`.
pub(crate) fn expand(arguments: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    check(&function.sig)?;
    let Options { polyport, command_line } = options(arguments)?;
    let run = match command_line {
        true => quote!(run_main),
        false => quote!(run_main_alone),
    };
    Ok(quote! {
        fn main() -> ::std::process::ExitCode {
            #function
            #polyport::__private::#run(::core::env!("CARGO_PKG_NAME"), main())
        }
    })
}

/// The fault alone: without a `main` the compiler would complain of that too.
pub(crate) fn refuse(function: &ItemFn, fault: &Error) -> TokenStream {
    let fault = fault.to_compile_error();
    let main = (function.sig.ident == "main").then(|| {
        quote!(
            fn main() {}
        )
    });
    quote!(#fault #main)
}

/// What stands in the attribute.
struct Options {
    polyport: Path,
    command_line: bool,
}

fn options(arguments: TokenStream) -> Result<Options> {
    let mut given = Options { polyport: options::default_crate(), command_line: true };
    let parser = meta::parser(|meta| {
        if meta.path.is_ident("crate") {
            given.polyport = options::crate_path(&meta)?;
        } else if meta.path.is_ident("command_line") {
            given.command_line = meta.value()?.parse::<LitBool>()?.value;
        } else {
            return Err(meta.error(
                "`#[polyport::main]` takes nothing but `command_line = false` and `crate = path`",
            ));
        }
        Ok(())
    });
    parser.parse2(arguments)?;
    Ok(given)
}

fn check(signature: &Signature) -> Result<()> {
    if signature.ident != "main" {
        return fault(&signature.ident, "`#[polyport::main]` belongs on the program's `main`");
    }
    if signature.asyncness.is_none() {
        return fault(signature.fn_token, "write `async fn main`: polyport brings the runtime");
    }
    if !signature.inputs.is_empty() {
        return fault(
            &signature.inputs,
            "`main` takes no arguments; write `#[polyport::main(command_line = false)]` and read \
             `std::env::args` in it",
        );
    }
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        return fault(&signature.generics, "`main` cannot be generic");
    }
    match signature.output {
        ReturnType::Type(..) => Ok(()),
        ReturnType::Default => fault(
            &signature.ident,
            "`main` must return `polyport::Result<()>`: its error is reported and becomes the \
             exit code",
        ),
    }
}

fn fault(place: impl quote::ToTokens, message: &str) -> Result<()> {
    Err(Error::new_spanned(place, message))
}
