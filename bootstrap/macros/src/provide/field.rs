//! What stands on a field, and the code for it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, Expr, Ident, LitStr, Meta, PatType, Path, Result, Type, parse_quote,
    spanned::Spanned,
};

use crate::options;

/// The attributes that say where a field's value comes from.
pub(super) const SOURCES: [&str; 4] = ["inject", "config", "app", "default"];

/// One field of the struct.
pub(super) struct Field {
    name: Ident,
    kind: Type,
    source: Source,
}

/// Where a field's value comes from.
enum Source {
    Inject(Option<LitStr>),
    /// The name of what a generated client calls through.
    Client(LitStr),
    Config(LitStr),
    App(Option<LitStr>),
    Default(Expr),
}

/// What the generated code calls things.
pub(super) struct FieldNames {
    pub(super) polyport: Path,
    pub(super) resolver: Ident,
    pub(super) dependencies: Ident,
}

impl Field {
    pub(super) fn parse(field: syn::Field) -> Result<Self> {
        let misplaced = field.attrs.iter().find(|a| a.path().is_ident("provide"));
        if let Some(attribute) = misplaced {
            return Err(Error::new_spanned(attribute, "`#[provide(…)]` belongs on the struct"));
        }
        let is_source = |a: &&Attribute| SOURCES.iter().any(|name| a.path().is_ident(name));
        let mut sources = field.attrs.iter().filter(is_source);
        let Some(attribute) = sources.next() else {
            return Err(unexplained(&field));
        };
        if let Some(second) = sources.next() {
            let message = "a field takes its value from one place: keep one of its attributes";
            return Err(Error::new_spanned(second, message));
        }
        let source = Source::parse(attribute, &field.ty)?;
        let name = field.ident.clone().ok_or_else(|| unexplained(&field))?;
        Ok(Self { name, kind: field.ty, source })
    }

    /// An argument of a constructor: what it does not say otherwise, the container provides.
    pub(super) fn of_argument(name: Ident, argument: &mut PatType) -> Result<Self> {
        let is_source = |a: &Attribute| SOURCES.iter().any(|name| a.path().is_ident(name));
        let sources: Vec<Attribute> = argument.attrs.extract_if(.., |a| is_source(a)).collect();
        let source = match sources.as_slice() {
            [] => Source::Inject(None),
            [attribute] => Source::parse(attribute, &argument.ty)?,
            [_, second, ..] => {
                let message = "an argument takes its value from one place: keep one attribute";
                return Err(Error::new_spanned(second, message));
            }
        };
        if let (Source::Default(_), [attribute]) = (&source, sources.as_slice()) {
            let message = "a constructor makes its own state: leave the argument out";
            return Err(Error::new_spanned(attribute, message));
        }
        Ok(Self { name, kind: (*argument.ty).clone(), source })
    }

    /// Adds what the field needs to the list.
    pub(super) fn dependencies(&self, names: &FieldNames) -> TokenStream {
        let FieldNames { polyport, dependencies: out, .. } = names;
        let container = quote!(#polyport::container);
        let kind = &self.kind;
        match &self.source {
            Source::Inject(None) => quote_spanned! {kind.span()=>
                <#kind as #container::Injectable>::dependencies(&mut #out);
            },
            Source::Inject(Some(name)) => quote_spanned! {kind.span()=>
                <#kind as #container::InjectableNamed>::named_dependencies(#name, &mut #out);
            },
            Source::Client(name) => quote_spanned! {kind.span()=>
                #container::client_dependencies(<#kind>::new, #name, &mut #out);
            },
            Source::Config(_) => quote! {
                #out.push(#container::Dependency::required(
                    #container::Key::of::<#polyport::Config>(),
                ));
            },
            Source::App(name) => {
                let name = optional(name.as_ref());
                quote_spanned! {kind.span()=>
                    #out.push(<#kind as #polyport::FromApps>::dependency(#name));
                }
            }
            Source::Default(_) => TokenStream::new(),
        }
    }

    /// `name: value`.
    pub(super) fn value(&self, names: &FieldNames) -> TokenStream {
        let (name, value) = (&self.name, self.expression(names));
        quote!(#name: #value)
    }

    /// The value.
    pub(super) fn expression(&self, names: &FieldNames) -> TokenStream {
        let FieldNames { polyport, resolver, .. } = names;
        let container = quote!(#polyport::container);
        let kind = &self.kind;
        match &self.source {
            Source::Inject(None) => quote_spanned! {kind.span()=>
                <#kind as #container::Injectable>::resolve(&#resolver)?
            },
            Source::Inject(Some(name)) => quote_spanned! {kind.span()=>
                <#kind as #container::InjectableNamed>::resolve_named(#name, &#resolver)?
            },
            Source::Client(name) => quote_spanned! {kind.span()=>
                #container::resolve_client(<#kind>::new, #name, &#resolver)?
            },
            Source::Config(key) => quote_spanned! {kind.span()=>
                #resolver.get::<#polyport::Config>()?.get::<#kind>(#key)?
            },
            Source::App(name) => {
                let name = optional(name.as_ref());
                quote_spanned! {kind.span()=>
                    <#kind as #polyport::FromApps>::resolve(&#resolver, #name)?
                }
            }
            Source::Default(value) => quote!(#value),
        }
    }
}

impl Source {
    fn parse(attribute: &Attribute, kind: &Type) -> Result<Self> {
        if attribute.path().is_ident("inject") {
            injected(attribute)
        } else if attribute.path().is_ident("app") {
            Ok(Self::App(named(attribute, "app")?))
        } else if attribute.path().is_ident("config") {
            Ok(Self::Config(key(attribute)?))
        } else {
            Ok(Self::Default(state(attribute, kind)?))
        }
    }
}

/// `#[inject]`, `#[inject(name = "…")]` or `#[inject(grpc = "…")]`.
fn injected(attribute: &Attribute) -> Result<Source> {
    let mut client = None;
    if let Meta::List(_) = attribute.meta {
        // Whatever else stands there is judged by `named`.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("grpc") {
                client = Some(options::name(&meta));
            }
            Ok(())
        });
    }
    match client {
        Some(name) => name.map(Source::Client),
        None => named(attribute, "inject").map(Source::Inject),
    }
}

/// `#[inject]` or `#[inject(name = "…")]`.
fn named(attribute: &Attribute, word: &str) -> Result<Option<LitStr>> {
    let usage = format!("write `#[{word}]` or `#[{word}(name = \"…\")]`");
    match &attribute.meta {
        Meta::Path(_) => Ok(None),
        Meta::NameValue(_) => Err(Error::new_spanned(attribute, usage)),
        Meta::List(_) => {
            let mut name = None;
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("name") {
                    return Err(meta.error(&usage));
                }
                name = Some(options::name(&meta)?);
                Ok(())
            })?;
            name.map(Some).ok_or_else(|| Error::new_spanned(attribute, usage))
        }
    }
}

/// `#[config("section.key")]`.
fn key(attribute: &Attribute) -> Result<LitStr> {
    let usage = "name the configuration value: `#[config(\"section.key\")]`";
    let Meta::List(_) = attribute.meta else {
        return Err(Error::new_spanned(attribute, usage));
    };
    let key = attribute.parse_args().map_err(|_| Error::new_spanned(attribute, usage))?;
    options::not_empty(key, "a configuration key")
}

/// `#[default]`, `#[default = expression]` or `#[default(expression)]`.
fn state(attribute: &Attribute, kind: &Type) -> Result<Expr> {
    match &attribute.meta {
        Meta::Path(_) => {
            let value = quote_spanned! {kind.span()=>
                <#kind as ::std::default::Default>::default()
            };
            Ok(parse_quote!(#value))
        }
        Meta::NameValue(given) => Ok(given.value.clone()),
        Meta::List(_) => attribute.parse_args(),
    }
}

fn optional(name: Option<&LitStr>) -> TokenStream {
    match name {
        Some(name) => quote!(::std::option::Option::Some(#name)),
        None => quote!(::std::option::Option::None),
    }
}

fn unexplained(field: &syn::Field) -> Error {
    Error::new_spanned(
        field,
        "this field does not say where its value comes from: write `#[inject]` for what the \
         container provides, `#[config(\"section.key\")]` for a configuration value, `#[app]` for \
         a framework's handle, or `#[default]` for state of its own",
    )
}
