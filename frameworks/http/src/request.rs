//! What only HTTP says of a call.

use std::{net::SocketAddr, sync::Arc};

use http::{HeaderMap, Method, Uri, Version, uri::Scheme};
use polyport_bootstrap::{
    Error,
    operation::{Context, Fault, FromContext, InputSlot, NoPayload, OperationInfo},
};
use polyport_listener::{Encrypted, Forwarded, PeerAddr};

use crate::{PROTOCOL, cookies::NewCookies, site::Site};

/// Where a request has been routed to.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The pattern of the path; empty where nothing is served there.
    pub(crate) route: String,
    pub(crate) site: Arc<Site>,
}

/// The head of a request without its URI and its headers, an extension of every call.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) place: Arc<Place>,
    /// What the answer is going to set.
    pub(crate) new_cookies: NewCookies,
}

/// Whether the client has sent the request by TLS, as far as that is known: to the proxy that says
/// so and is trusted, else to this process.
pub(crate) fn is_secure(context: &Context) -> bool {
    let said = context.extension::<Forwarded>().and_then(Forwarded::scheme);
    let own = || context.input.uri.scheme();
    match said {
        Some(scheme) => *scheme == Scheme::HTTPS,
        None => context.extension::<Encrypted>().is_some() || own() == Some(&Scheme::HTTPS),
    }
}

/// The request as HTTP knows it, as an argument of an operation; guards and middleware get it by
/// [`of`](Self::of). An operation that takes it exists on HTTP only: anywhere else it is a wiring
/// error at start.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::Fault;
/// use polyport_http::HttpRequest;
///
/// async fn whoami(request: HttpRequest) -> Result<String, Fault> {
///     let peer = request.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
///     Ok(format!("{} {} from {peer}", request.method(), request.uri()))
/// }
/// # drop(whoami);
/// ```
#[derive(Debug, Clone)]
pub struct HttpRequest(Context);

impl HttpRequest {
    /// The request of a call, if it came by HTTP.
    #[must_use]
    pub fn of(context: &Context) -> Option<Self> {
        context.extension::<Head>().map(|_| Self(context.clone()))
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.head().method
    }

    /// The URI as the client wrote it: mostly path and query.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0.input.uri
    }

    /// The version of HTTP.
    #[must_use]
    pub fn version(&self) -> Version {
        self.head().version
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.0.metadata
    }

    /// The address of whoever is connected: the client, or a proxy before it.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.extension::<PeerAddr>().map(|peer| peer.0)
    }

    /// The path of the route that has matched, with its parameters' names: `/users/{id}`. None
    /// where nothing is served at the path.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        let route = &self.head().place.route;
        (!route.is_empty()).then_some(route)
    }

    #[allow(clippy::expect_used, reason = "nobody makes a request of a call without its head")]
    fn head(&self) -> &Head {
        self.0.extension().expect("the head is there")
    }
}

impl FromContext for HttpRequest {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let missing = || Error::other("the call did not come by HTTP").into();
        Self::of(context).ok_or_else(missing)
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, "HttpRequest");
    }
}
