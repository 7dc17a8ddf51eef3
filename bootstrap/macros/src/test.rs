//! `#[polyport::test]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Error, FnArg, Ident, ItemFn, LitBool, LitInt, LitStr, Path, Result, Signature, Token, Type,
    Visibility,
    parse::{ParseStream, Parser},
};

use crate::options;

/// As many as a program has at least: what blocks one of them keeps no deadline from being noticed.
const WORKERS: usize = 2;

/// Wraps `async fn name(app: TestApp)` into a test.
pub(crate) fn expand(arguments: TokenStream, mut function: ItemFn) -> Result<TokenStream> {
    let options = (|input: ParseStream<'_>| Options::parse(input)).parse2(arguments)?;
    let borrows = check(&function.sig)?;
    let (workers, start_paused) = options.runtime()?;
    let Options { polyport, bootstrap, in_memory, .. } = options;
    let attributes = std::mem::take(&mut function.attrs);
    let visibility = std::mem::replace(&mut function.vis, Visibility::Inherited);
    let (name, output) = (&function.sig.ident, &function.sig.output);
    let app = if borrows { quote!(&app) } else { quote!(app) };
    let in_memory = in_memory.map(|word| quote!(.#word()));
    Ok(quote! {
        #(#attributes)*
        #[::core::prelude::v1::test]
        #visibility fn #name() #output {
            #function
            #polyport::__private::run_test(
                #polyport::__private::TestRuntime {
                    workers: #workers,
                    start_paused: #start_paused,
                },
                || #polyport::testing::TestBootstrap::from(#bootstrap()) #in_memory,
                async |app: #polyport::testing::TestApp| #name(#app).await,
            )
        }
    })
}

/// What stands in the attribute.
struct Options {
    polyport: Path,
    bootstrap: Path,
    in_memory: Option<Ident>,
    flavor: Option<LitStr>,
    worker_threads: Option<LitInt>,
    start_paused: Option<LitBool>,
}

impl Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Err(Error::new(
                Span::call_site(),
                "say what is tested: `#[polyport::test(my_app::bootstrap)]`, a function that \
                 returns a `Bootstrap` or a `TestBootstrap`",
            ));
        }
        let mut options = Self {
            polyport: options::default_crate(),
            bootstrap: input.call(Path::parse_mod_style)?,
            in_memory: None,
            flavor: None,
            worker_threads: None,
            start_paused: None,
        };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if !input.is_empty() {
                options.parse_one(input)?;
            }
        }
        Ok(options)
    }

    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        if input.peek(Token![crate]) {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            self.polyport = input.call(Path::parse_mod_style)?;
            return Ok(());
        }
        let word: Ident = input.parse()?;
        if word == "in_memory" {
            self.in_memory = Some(word);
            return Ok(());
        }
        let value = || -> Result<()> { input.parse::<Token![=]>().map(drop) };
        if word == "flavor" {
            value()?;
            self.flavor = Some(input.parse()?);
        } else if word == "worker_threads" {
            value()?;
            self.worker_threads = Some(input.parse()?);
        } else if word == "start_paused" {
            value()?;
            self.start_paused = Some(input.parse()?);
        } else {
            return Err(Error::new(
                word.span(),
                "`#[polyport::test]` knows `in_memory`, `flavor = \"…\"`, `worker_threads = n`, \
                 `start_paused = true` and `crate = path`",
            ));
        }
        Ok(())
    }

    /// How many workers there are, none being the test's own thread alone, and whether the clock
    /// stands still: tokio's can do so on one thread only.
    fn runtime(&self) -> Result<(TokenStream, bool)> {
        let paused = self.start_paused.as_ref().filter(|paused| paused.value);
        let workers = match (&self.flavor, &self.worker_threads) {
            (Some(flavor), workers) => match (flavor.value().as_str(), workers) {
                ("current_thread", None) => None,
                ("current_thread", Some(workers)) => {
                    return Err(Error::new(workers.span(), "one thread has no workers"));
                }
                ("multi_thread", workers) => Some(number(workers.as_ref())?),
                _ => {
                    let message = "a flavor is \"multi_thread\" or \"current_thread\"";
                    return Err(Error::new(flavor.span(), message));
                }
            },
            (None, None) if paused.is_some() => None,
            (None, workers) => Some(number(workers.as_ref())?),
        };
        if let (Some(paused), Some(_)) = (paused, workers) {
            let message = "the clock can stand still on one thread only: leave out the workers";
            return Err(Error::new(paused.span(), message));
        }
        let workers = match workers {
            Some(workers) => quote!(::core::option::Option::Some(#workers)),
            None => quote!(::core::option::Option::None),
        };
        Ok((workers, paused.is_some()))
    }
}

fn number(workers: Option<&LitInt>) -> Result<usize> {
    let Some(workers) = workers else { return Ok(WORKERS) };
    match workers.base10_parse()? {
        0 => Err(Error::new(workers.span(), "there is at least one worker")),
        count => Ok(count),
    }
}

/// Whether the function borrows the application.
fn check(signature: &Signature) -> Result<bool> {
    if signature.asyncness.is_none() {
        return fault(signature.fn_token, "write `async fn`: polyport brings the runtime");
    }
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        return fault(&signature.generics, "a test cannot be generic");
    }
    let mut inputs = signature.inputs.iter();
    match (inputs.next(), inputs.next()) {
        (Some(FnArg::Typed(argument)), None) => Ok(matches!(&*argument.ty, Type::Reference(_))),
        (None, _) => fault(
            &signature.ident,
            "the test takes the application: `app: TestApp` or `app: &TestApp`",
        ),
        _ => fault(
            &signature.inputs,
            "the test takes the application and nothing else: `app: TestApp` or `app: &TestApp`",
        ),
    }
}

fn fault(place: impl ToTokens, message: &str) -> Result<bool> {
    Err(Error::new_spanned(place, message))
}
