//! What stands on the struct: `#[provide(…)]`.

use syn::{Attribute, Error, Ident, Meta, Path, Result, meta::ParseNestedMeta};

use super::field::SOURCES;
use crate::options;

/// The options of the whole struct.
pub(super) struct Options {
    pub(super) polyport: Path,
    pub(super) eager: bool,
    pub(super) init: Option<Ident>,
    pub(super) dispose: Option<Ident>,
}

impl Options {
    pub(super) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut options =
            Self { polyport: options::default_crate(), eager: false, init: None, dispose: None };
        for attribute in attributes {
            if let Some(name) = SOURCES.iter().find(|name| attribute.path().is_ident(name)) {
                let message = format!("`#[{name}]` belongs on a field");
                return Err(Error::new_spanned(attribute, message));
            }
            if attribute.path().is_ident("provide") {
                options.read(attribute)?;
            }
        }
        Ok(options)
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

    fn option(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("eager") {
            self.eager = true;
        } else if meta.path.is_ident("init") {
            self.init = Some(method(meta)?);
        } else if meta.path.is_ident("dispose") {
            self.dispose = Some(method(meta)?);
        } else if meta.path.is_ident("crate") {
            self.polyport = options::crate_path(meta)?;
        } else {
            return Err(meta.error(
                "unknown option; there are `eager`, `init = method`, `dispose = method` and \
                 `crate = path`",
            ));
        }
        Ok(())
    }
}

fn method(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    let value = meta.value()?;
    let expected = "name an async method of this struct, without quotes: `dispose = close`";
    value.parse().map_err(|error: Error| Error::new(error.span(), expected))
}
