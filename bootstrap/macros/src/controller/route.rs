//! The attributes that say where a method is served.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, Expr, Ident, LitStr, Path, Result, Token, Type,
    parse::{Parse, ParseStream},
};

/// The methods of HTTP that have an attribute.
const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];

/// One way in which a method is served.
pub(crate) struct Route {
    kind: Kind,
    place: LitStr,
    arguments: Arguments,
}

enum Kind {
    Http(Ident),
    WebSocket,
    Grpc,
    Amqp,
}

/// What stands behind the place.
#[derive(Default)]
struct Arguments {
    /// The framework's name, where it is not the default one.
    on: Option<LitStr>,
    /// HTTP: the status of success.
    status: Option<Expr>,
    /// gRPC: the messages, where the types do not say them.
    request: Option<Type>,
    response: Option<Type>,
    /// gRPC: the value is a stream.
    stream: Option<Ident>,
}

impl Route {
    /// The route that an attribute says, if it says one. `prefix` stands before paths of HTTP.
    pub(crate) fn of(attribute: &Attribute, prefix: Option<&LitStr>) -> Result<Option<Self>> {
        let Some(kind) = Kind::of(attribute.path()) else { return Ok(None) };
        let Parsed { place, arguments } = attribute.parse_args().map_err(|error| {
            let usage = kind.usage();
            Error::new(error.span(), format!("{error}; write it as `{usage}`"))
        })?;
        arguments.check(&kind)?;
        let place = match (&kind, prefix) {
            (Kind::Http(_), Some(prefix)) => below(prefix, &place),
            _ => place,
        };
        Ok(Some(Self { kind, place, arguments }))
    }

    /// Registers `operation` there.
    pub(crate) fn register(&self, polyport: &Path) -> TokenStream {
        let Self { kind, place, arguments } = self;
        let (module, method, on) = match kind {
            Kind::Http(_) => (quote!(http::HttpModule), quote!(http), quote!(http_on)),
            Kind::WebSocket => {
                (quote!(websocket::WebSocketModule), quote!(websocket), quote!(websocket_on))
            }
            Kind::Grpc => (quote!(grpc::GrpcModule), quote!(grpc), quote!(grpc_on)),
            Kind::Amqp => (quote!(amqp::AmqpModule), quote!(amqp), quote!(amqp_on)),
        };
        let (method, on) = match &arguments.on {
            Some(name) => (on, Some(quote!(#name,))),
            None => (method, None),
        };
        let add = self.add(polyport);
        quote_spanned! {place.span()=>
            #polyport::#module::#method(&mut *module, #on |routes| #add);
        }
    }

    fn add(&self, polyport: &Path) -> TokenStream {
        let Self { kind, place, arguments } = self;
        match kind {
            Kind::Http(method) => {
                let status = arguments.status.iter();
                quote! {
                    routes.#method(#place, ::core::clone::Clone::clone(&operation))
                        #(.status(#status))*
                }
            }
            Kind::WebSocket => quote!(routes.on(#place, ::core::clone::Clone::clone(&operation))),
            Kind::Amqp => quote!(routes.consume(#place, ::core::clone::Clone::clone(&operation))),
            Kind::Grpc => self.add_grpc(polyport),
        }
    }

    fn add_grpc(&self, polyport: &Path) -> TokenStream {
        let Self { place, arguments, .. } = self;
        let messages = match (&arguments.request, &arguments.response) {
            (Some(request), Some(response)) => Some(quote!(::<#request, #response>)),
            _ => None,
        };
        let method = match (&arguments.stream, &messages) {
            (None, Some(_)) => quote!(unary),
            (_, None) => quote!(method),
            (Some(_), Some(_)) => quote!(server_streaming),
        };
        quote! {{
            #[allow(unused_imports)]
            use #polyport::grpc::GrpcOperations as _;
            routes.#method #messages(#place, ::core::clone::Clone::clone(&operation))
        }}
    }
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let ident = path.get_ident()?;
        match ident.to_string().as_str() {
            "websocket" => Some(Self::WebSocket),
            "grpc" => Some(Self::Grpc),
            "amqp" => Some(Self::Amqp),
            name if METHODS.contains(&name) => Some(Self::Http(ident.clone())),
            _ => None,
        }
    }

    fn usage(&self) -> String {
        match self {
            Self::Http(method) => format!("#[{method}(\"/path\")]"),
            Self::WebSocket => "#[websocket(\"event\")]".to_owned(),
            Self::Grpc => "#[grpc(\"package.Service/Method\")]".to_owned(),
            Self::Amqp => "#[amqp(\"queue\")]".to_owned(),
        }
    }
}

struct Parsed {
    place: LitStr,
    arguments: Arguments,
}

impl Parse for Parsed {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let place = input.parse()?;
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            arguments.take(input)?;
        }
        Ok(Self { place, arguments })
    }
}

impl Arguments {
    fn take(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name: Ident = input.parse()?;
        if name == "stream" {
            self.stream = Some(name);
            return Ok(());
        }
        input.parse::<Token![=]>()?;
        match name.to_string().as_str() {
            "on" => self.on = Some(input.parse()?),
            "status" => self.status = Some(input.parse()?),
            "request" => self.request = Some(input.parse()?),
            "response" => self.response = Some(input.parse()?),
            _ => {
                return Err(Error::new_spanned(
                    name,
                    "there is `on = \"framework\"`; for HTTP `status = StatusCode::CREATED`; for gRPC `request = \
                     Message`, `response = Message` and `stream`",
                ));
            }
        }
        Ok(())
    }

    fn check(&self, kind: &Kind) -> Result<()> {
        let misplaced = |what: &dyn quote::ToTokens, only: &str| {
            Err(Error::new_spanned(what, format!("this is for {only} only")))
        };
        let (is_http, is_grpc) = (matches!(kind, Kind::Http(_)), matches!(kind, Kind::Grpc));
        match self {
            Self { status: Some(status), .. } if !is_http => misplaced(status, "HTTP"),
            Self { request: Some(message), .. } | Self { response: Some(message), .. }
                if !is_grpc =>
            {
                misplaced(message, "gRPC")
            }
            Self { stream: Some(stream), .. } if !is_grpc => misplaced(stream, "gRPC"),
            Self { request: Some(one), response: None, .. }
            | Self { request: None, response: Some(one), .. } => Err(Error::new_spanned(
                one,
                "name both messages, or none: `request = …, response = …`",
            )),
            _ => Ok(()),
        }
    }
}

/// `/users` and `/{id}` is `/users/{id}`; `/users` and `/` is `/users`.
fn below(prefix: &LitStr, path: &LitStr) -> LitStr {
    let joined = join(&prefix.value(), &path.value());
    LitStr::new(&joined, path.span())
}

fn join(prefix: &str, path: &str) -> String {
    let prefix = prefix.trim_end_matches('/');
    match path {
        "" | "/" if prefix.is_empty() => "/".to_owned(),
        "" | "/" => prefix.to_owned(),
        path => format!("{prefix}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_below_their_controller() {
        assert_eq!(join("/users", "/{id}"), "/users/{id}");
        assert_eq!(join("/users/", "/"), "/users");
        assert_eq!(join("", "/{id}"), "/{id}");
        assert_eq!(join("/", ""), "/");
    }
}
