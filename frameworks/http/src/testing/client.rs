//! The client.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderValue, Method, header::HOST};
use polyport_bootstrap::framework::reachable;
use polyport_listener::Door;

use super::{jar::Jar, request::HttpRequest, sent::add_header};
use crate::HttpApp;

/// An HTTP/1.1 client for tests: one connection for each request. It keeps the cookies that it is
/// given, as browsers do (those that are `Secure` too), unless a request has a header `cookie` of its
/// own, and follows no redirect unless it is told to. Clones share the cookies.
#[derive(Debug, Clone)]
pub struct HttpClient {
    pub(super) door: Door,
    pub(super) cookies: Jar,
    headers: HeaderMap,
}

macro_rules! methods {
    ($($name:ident => $method:ident;)*) => {
        $(
            #[doc = concat!("A ", stringify!($method), " request; await it for the reply.")]
            pub fn $name(&self, path: &str) -> HttpRequest {
                self.request(Method::$method, path)
            }
        )*
    };
}

impl HttpClient {
    /// A client of the server at this address, of whichever process.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self::by(Door::at(address))
    }

    /// A client of the framework that this is the handle of: in a hook, say.
    #[must_use]
    pub fn of(app: &HttpApp) -> Self {
        Self::by(app.door().clone())
    }

    fn by(door: Door) -> Self {
        Self { door, cookies: Jar::default(), headers: HeaderMap::new() }
    }

    /// Sends a header with every request; those of a request take its place.
    ///
    /// # Panics
    /// Panics where it is no header.
    #[must_use]
    #[track_caller]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Err(error) = add_header(&mut self.headers, name, value) {
            panic!("{error:?}");
        }
        self
    }

    methods! {
        get => GET;
        post => POST;
        put => PUT;
        patch => PATCH;
        delete => DELETE;
        head => HEAD;
        options => OPTIONS;
    }

    /// A request of any method for a path, which begins with a slash and may have a query; await it
    /// for the reply.
    pub fn request(&self, method: Method, path: &str) -> HttpRequest {
        HttpRequest::new(self.clone(), method, path)
    }

    /// The value of a cookie that it has been given, or [set](Self::set_cookie), for whatever path.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.get(name)
    }

    /// Sends a cookie with every request from now on.
    ///
    /// # Panics
    /// Panics where that is no cookie (RFC 6265, section 4.1.1): the name is no token, or the value
    /// has a `;` or a control character in it.
    #[track_caller]
    pub fn set_cookie(&self, name: &str, value: &str) {
        if let Err(error) = self.cookies.set(name, value) {
            panic!("{error:?}");
        }
    }

    /// What every request has unless it says otherwise.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        let host = self.door.local_addr().map(|address| reachable(address).to_string());
        let host = host.and_then(|host| HeaderValue::try_from(host).ok());
        headers.entry(HOST).or_insert(host.unwrap_or(HeaderValue::from_static("localhost")));
        headers
    }
}
