//! `#[from(path, header = "x-user")]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Error, Field, Ident, LitStr, Path, Result, Token, ext::IdentExt as _, parse::Parse,
    parse::ParseStream, punctuated::Punctuated,
};

use super::{case, serde::Names};
use crate::options;

/// One place that a field can come from.
pub(super) struct Source {
    kind: Kind,
    name: Option<LitStr>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Path,
    Query,
    Header,
    Cookie,
    Body,
}

impl Kind {
    fn parse(word: &Ident) -> Result<Self> {
        Ok(match word.to_string().as_str() {
            "path" => Self::Path,
            "query" => Self::Query,
            "header" => Self::Header,
            "cookie" => Self::Cookie,
            "body" => Self::Body,
            other => {
                return Err(Error::new(
                    word.span(),
                    format!(
                        "nothing comes from `{other}`: write `path`, `query`, `header`, `cookie` \
                         or `body`, each with `= \"its name\"` where that is another than the \
                         field's"
                    ),
                ));
            }
        })
    }
}

impl Parse for Source {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let kind = Kind::parse(&input.call(Ident::parse_any)?)?;
        let mut name = None;
        if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            name = Some(options::not_empty(input.parse()?, "a name")?);
        }
        let source = Self { kind, name };
        source.check()?;
        Ok(source)
    }
}

impl Source {
    /// The sources of a field, in their order.
    pub(super) fn of(field: &Field) -> Result<Vec<Self>> {
        let mut attributes = field.attrs.iter().filter(|given| given.path().is_ident("from"));
        let sources = match (attributes.next(), attributes.next()) {
            (None, _) => [Kind::Path, Kind::Query, Kind::Body].map(Self::unnamed).into(),
            (Some(one), None) => Self::parse_all(one)?,
            (Some(_), Some(second)) => {
                let message = "name all places in one attribute: `#[from(path, query)]`";
                return Err(Error::new_spanned(second, message));
            }
        };
        Ok(sources)
    }

    fn parse_all(attribute: &Attribute) -> Result<Vec<Self>> {
        let usage = "say where the field comes from: `#[from(path, header = \"x-user\")]`";
        let list = attribute.meta.require_list();
        let list = list.map_err(|_| Error::new_spanned(attribute, usage))?;
        let sources = list.parse_args_with(Punctuated::<Self, Token![,]>::parse_terminated)?;
        if sources.is_empty() {
            return Err(Error::new_spanned(attribute, usage));
        }
        Ok(sources.into_iter().collect())
    }

    fn unnamed(kind: Kind) -> Self {
        Self { kind, name: None }
    }

    /// Refuses the names of headers and cookies that no call can have.
    fn check(&self) -> Result<()> {
        let Some(name) = &self.name else { return Ok(()) };
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match self.kind {
            Kind::Header | Kind::Cookie if !name.value().bytes().all(is_token) => {
                Err(Error::new(name.span(), "no header and no cookie can have this name"))
            }
            _ => Ok(()),
        }
    }

    /// The expression that the kernel reads.
    pub(super) fn expression(&self, names: &Names, polyport: &Path) -> TokenStream {
        let kind = match self.kind {
            Kind::Path => quote!(Path),
            Kind::Query => quote!(Query),
            Kind::Header => quote!(Header),
            Kind::Cookie => quote!(Cookie),
            Kind::Body => quote!(Body),
        };
        let given = match (&self.name, self.kind) {
            (Some(name), Kind::Header) => vec![name.value().to_ascii_lowercase()],
            (Some(name), _) => vec![name.value()],
            (None, Kind::Header) => names.all().map(case::header).collect(),
            (None, _) => names.all().map(str::to_owned).collect(),
        };
        quote!(#polyport::__private::InputSource::#kind(&[#(#given),*]))
    }
}
