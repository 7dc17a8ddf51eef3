//! An HTTP client for tests.

use std::{
    fmt,
    future::{Future, IntoFuture},
    net::SocketAddr,
    pin::Pin,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use polyport_bootstrap::{
    Application, DEFAULT_NAME, Error, Fault, Result, testing::TestApp, wire::EnvelopeStyle,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::TcpStream;

use crate::HttpApp;

/// Gives a [`TestApp`] its HTTP clients.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::{Bootstrap, Result, testing::create_bootstrap};
/// use polyport_http::testing::HttpTest;
///
/// async fn serves_users(bootstrap: Bootstrap) -> Result<()> {
///     let app = create_bootstrap(bootstrap).await?;
///     let reply = app.http().get("/users?userId=tom").await;
///     assert_eq!(reply.status(), 200);
///     app.close().await
/// }
/// ```
pub trait HttpTest {
    /// A client of the HTTP framework that has no name of its own.
    ///
    /// # Panics
    /// Panics where no such framework is loaded.
    fn http(&self) -> HttpClient {
        self.http_on(DEFAULT_NAME)
    }

    /// A client of the HTTP framework of this name.
    ///
    /// # Panics
    /// Panics where no such framework is loaded.
    fn http_on(&self, name: &str) -> HttpClient;
}

impl HttpTest for TestApp {
    fn http_on(&self, name: &str) -> HttpClient {
        let address = self.app_named::<HttpApp>(name).map(|app| app.local_addr());
        match address {
            Ok(Some(address)) => HttpClient::new(address),
            Ok(None) => panic!("the HTTP framework {name:?} is not bound"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// An HTTP/1.1 client for tests: one connection for each request.
#[derive(Debug, Clone)]
pub struct HttpClient {
    address: SocketAddr,
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
    /// A client of the server at this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
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

    /// A request of any method for a path, which may have a query; await it for the reply.
    pub fn request(&self, method: Method, path: &str) -> HttpRequest {
        HttpRequest {
            address: self.address,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            fault: None,
        }
    }
}

/// A request on its way: add headers and a body, then await it.
#[must_use = "nothing is sent before it is awaited"]
#[derive(Debug)]
pub struct HttpRequest {
    address: SocketAddr,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    fault: Option<Error>,
}

impl HttpRequest {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
            }
            _ => self.fault = Some(Error::other(format!("{name:?}: {value:?} is no header"))),
        }
        self
    }

    /// Sets the body and its content type.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.remove(header::CONTENT_TYPE);
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sets the body to a value as JSON.
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body("application/json", body),
            Err(error) => {
                self.fault = Some(Error::other("the value is no JSON").caused_by(error));
                self
            }
        }
    }

    /// Sends it, and gives the reply or why there is none. Awaiting the request itself panics
    /// where there is none.
    ///
    /// # Errors
    /// Returns an error where the request is malformed, the server cannot be reached, or the
    /// connection ends before the reply does.
    pub async fn send(self) -> Result<HttpReply> {
        let place = format!("{} http://{}{}", self.method, self.address, self.path);
        self.exchange().await.map_err(|error| error.context(place))
    }

    async fn exchange(self) -> Result<HttpReply> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut request = Request::builder().method(self.method).uri(self.path);
        if let Some(headers) = request.headers_mut() {
            headers.insert(header::HOST, HeaderValue::try_from(self.address.to_string())?);
            headers.extend(self.headers);
        }
        let request = request.body(Full::new(self.body))?;
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        connection.abort();
        Ok(HttpReply(Response::from_parts(head, body)))
    }
}

impl IntoFuture for HttpRequest {
    type Output = HttpReply;
    type IntoFuture = Pin<Box<dyn Future<Output = HttpReply> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.send().await.unwrap_or_else(|error| panic!("{error:?}")) })
    }
}

/// A whole reply.
#[derive(Clone)]
pub struct HttpReply(Response<Bytes>);

impl HttpReply {
    /// The status; it can be compared with a number.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// A header's value, where it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        self.0.body()
    }

    /// The body as text.
    ///
    /// # Panics
    /// Panics where it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The body's value, read from JSON.
    ///
    /// # Panics
    /// Panics where the body is not JSON or no `T`.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(self.bytes()).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

impl HttpReply {
    /// The fault that the reply is, in whichever envelope, with the headers that tell what to do
    /// about it (`Allow`, `Retry-After`, `WWW-Authenticate`); none where the status is not 4xx or
    /// 5xx.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let status = self.status();
        if !status.is_client_error() && !status.is_server_error() {
            return None;
        }
        let style = EnvelopeStyle::of_fault(self.bytes());
        let received = style.read_fault(self.bytes(), Some(status.as_u16()));
        let mut fault = Fault::from_received(received);
        for name in [header::ALLOW, header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
            for value in self.headers().get_all(&name) {
                fault = fault.with_header(name.clone(), value.clone());
            }
        }
        Some(fault)
    }
}

impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReply")
            .field("status", &self.status())
            .field("headers", self.headers())
            .field("body", &String::from_utf8_lossy(self.bytes()))
            .finish()
    }
}
