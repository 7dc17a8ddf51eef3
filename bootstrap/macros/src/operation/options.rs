//! `#[operation(name = "…", attr = …, pipeline = …)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Expr, LitStr, Path, Result, Type,
    meta::{ParseNestedMeta, parser},
    parse::Parser,
    spanned::Spanned,
};

use crate::options;

/// What is said of an operation or a controller.
pub(crate) struct Options {
    pub(crate) polyport: Path,
    pub(crate) name: Option<LitStr>,
    pub(crate) attributes: Vec<Expr>,
    pub(crate) pipelines: Vec<Expr>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            polyport: options::default_crate(),
            name: None,
            attributes: Vec::new(),
            pipelines: Vec::new(),
        }
    }
}

impl Options {
    pub(crate) fn parse(arguments: TokenStream) -> Result<Self> {
        let mut options = Self::default();
        parser(|meta| options.take(&meta)).parse2(arguments)?;
        Ok(options)
    }

    pub(crate) fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("name") {
            self.name = Some(options::name(meta)?);
        } else if meta.path.is_ident("attr") {
            self.attributes.push(meta.value()?.parse()?);
        } else if meta.path.is_ident("pipeline") {
            self.pipelines.push(meta.value()?.parse()?);
        } else if meta.path.is_ident("crate") {
            self.polyport = options::crate_path(meta)?;
        } else {
            return Err(meta.error(
                "there is `name = \"…\"`, `attr = value`, `pipeline = |p| …` and `crate = path`",
            ));
        }
        Ok(())
    }

    /// `operation` with everything that is said of it, and with the schemas of its types.
    pub(crate) fn declare(
        &self,
        operation: TokenStream,
        arguments: &[&Type],
        value: &Type,
    ) -> TokenStream {
        let polyport = &self.polyport;
        let schemas = schemas(polyport, arguments, value);
        let mut declared = quote! {
            #polyport::operation::OperationExt::<(#(#arguments,)*)>::with_schemas(
                #operation, #schemas
            )
        };
        let extension = quote!(#polyport::operation::OperationExt::<(#(#arguments,)*)>);
        if let Some(name) = &self.name {
            declared = quote!(#extension::named(#declared, #name));
        }
        for attribute in &self.attributes {
            declared = quote_spanned!(attribute.span()=> #extension::attr(#declared, #attribute));
        }
        for pipeline in &self.pipelines {
            declared = quote_spanned!(pipeline.span()=> #extension::pipeline(#declared, #pipeline));
        }
        declared
    }
}

/// The schemas of input and value, as far as their types have one.
fn schemas(polyport: &Path, arguments: &[&Type], value: &Type) -> TokenStream {
    quote! {{
        #[allow(unused_imports)]
        use #polyport::operation::WithoutSchema as _;
        #polyport::operation::Schemas::new(
            #polyport::operation::SchemaOf::<
                <<(#(#arguments,)*) as #polyport::operation::Extract>::Payload
                    as #polyport::operation::Payload>::Input,
            >::new()
            .maker(),
            #polyport::operation::SchemaOf::<
                <#value as #polyport::operation::Outcome>::Value,
            >::new()
            .maker(),
        )
    }}
}
