//! What stands on the struct: `#[provide(…)]`.

use proc_macro2::TokenStream;
use syn::{
    Attribute, Error, Ident, LitStr, Meta, Path, Result, meta::ParseNestedMeta, parse::Parser,
};

use super::field::SOURCES;
use crate::options;

/// The options of the whole struct.
pub(super) struct Options {
    pub(super) polyport: Path,
    pub(super) eager: bool,
    pub(super) scope: Option<Ident>,
    pub(super) init: Option<Ident>,
    pub(super) dispose: Option<Ident>,
}

impl Options {
    fn new() -> Self {
        Self {
            polyport: options::default_crate(),
            eager: false,
            scope: None,
            init: None,
            dispose: None,
        }
    }

    pub(super) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::new();
        for attribute in attributes {
            if let Some(name) = SOURCES.iter().find(|name| attribute.path().is_ident(name)) {
                let message = format!("`#[{name}]` belongs on a field");
                return Err(Error::new_spanned(attribute, message));
            }
            if attribute.path().is_ident("provide") {
                options.read(attribute)?;
            }
        }
        options.check()?;
        Ok(options)
    }

    /// What stands on a constructor.
    pub(super) fn of_constructor(arguments: TokenStream) -> Result<Self> {
        let mut options = Self::new();
        let parser = syn::meta::parser(|meta| options.option(&meta));
        parser.parse2(arguments)?;
        options.check()?;
        match &options.init {
            None => Ok(options),
            Some(init) => {
                Err(Error::new(init.span(), "a constructor does itself what `init` would do"))
            }
        }
    }

    fn read(&mut self, attribute: &Attribute) -> Result<()> {
        let Meta::List(_) = attribute.meta else {
            return Err(Error::new_spanned(
                attribute,
                "say what: `#[provide(eager)]`, for example",
            ));
        };
        attribute.parse_nested_meta(|meta| self.option(&meta))
    }

    /// Refuses what contradicts itself.
    fn check(&self) -> Result<()> {
        let Some(scope) = self.scope.as_ref().filter(|scope| *scope != "Singleton") else {
            return Ok(());
        };
        if self.eager {
            let message = "only a singleton can be `eager`: this is built when it is taken";
            return Err(Error::new(scope.span(), message));
        }
        match &self.dispose {
            Some(dispose) if scope == "Transient" => Err(Error::new(
                dispose.span(),
                "nobody disposes of a transient value: give back what it holds in `Drop`, or let \
                 it be request-scoped",
            )),
            _ => Ok(()),
        }
    }

    fn option(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("eager") {
            self.eager = true;
        } else if meta.path.is_ident("scope") {
            self.scope = Some(scope(meta)?);
        } else if meta.path.is_ident("init") {
            self.init = Some(method(meta)?);
        } else if meta.path.is_ident("dispose") {
            self.dispose = Some(method(meta)?);
        } else if meta.path.is_ident("crate") {
            self.polyport = options::crate_path(meta)?;
        } else {
            return Err(meta.error(
                "unknown option; there are `eager`, `scope = \"…\"`, `init = method`, \
                 `dispose = method` and `crate = path`",
            ));
        }
        Ok(())
    }
}

/// The variant of the scope that is named.
fn scope(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    let message = "a scope is \"singleton\", \"request\" (one for each call) or \
                   \"transient\" (one for each that takes it)";
    let value: LitStr =
        meta.value()?.parse().map_err(|error: Error| Error::new(error.span(), message))?;
    let name = value.value();
    let variant = match name.as_str() {
        "singleton" => "Singleton",
        "request" => "Request",
        "transient" => "Transient",
        _ => return Err(Error::new(value.span(), message)),
    };
    Ok(Ident::new(variant, value.span()))
}

fn method(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    let value = meta.value()?;
    let expected = "name an async method of this struct, without quotes: `dispose = close`";
    value.parse().map_err(|error: Error| Error::new(error.span(), expected))
}
