//! A client on its way in.

use std::{
    future::{Future, IntoFuture},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
};

use http::{HeaderMap, HeaderName, HeaderValue, header::SEC_WEBSOCKET_PROTOCOL};
use polyport_bootstrap::{framework::reachable, testing::or_panic, wire::EnvelopeStyle};
use polyport_listener::{
    Door,
    testing::{Speaks, within},
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Error, client::IntoClientRequest, handshake::client::Request},
};

use super::{WebSocketClient, WebSocketRefusal};
use crate::{WebSocketApp, hub::Hub, unread::Unread};

/// A client on its way in: add headers, then await it for the connection, or for its
/// [refusal](Self::refused).
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::testing::TestApp;
/// use polyport_websocket::testing::WebSocketTest;
///
/// async fn wants_a_token(app: &TestApp) {
///     assert_eq!(app.websocket("/ws").refused().await.status(), 401);
///     let client = app.websocket("/ws").bearer("t0k3n").subprotocol("chat.v1").await;
///     assert_eq!(client.subprotocol(), Some("chat.v1"));
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing connects before it is awaited"]
pub struct WebSocketConnect {
    door: Door,
    /// Of the framework, where that is in this process.
    hub: Option<Arc<Hub>>,
    envelope: EnvelopeStyle,
    path: String,
    headers: HeaderMap,
}

impl WebSocketConnect {
    /// A client of the server at this address, of whichever process, whose answers are in the
    /// envelope `plain`.
    pub fn to(address: SocketAddr, path: &str) -> Self {
        let (door, path) = (Door::at(address), path.to_owned());
        let (envelope, headers) = (EnvelopeStyle::default(), HeaderMap::new());
        Self { door, hub: None, envelope, path, headers }
    }

    /// A client of the framework that this is the handle of: in a hook, say.
    ///
    /// # Panics
    /// If the framework has not found its listener yet.
    #[track_caller]
    pub fn of(app: &WebSocketApp, path: &str) -> Self {
        let Some(door) = app.door().cloned() else { panic!("{app:?} has no listener yet") };
        let own = if path.is_empty() || path.starts_with('?') { app.path() } else { "" };
        let path = format!("{own}{path}");
        let (hub, envelope) = (Some(Arc::clone(app.hub())), app.envelope());
        Self { door, hub, envelope, path, headers: HeaderMap::new() }
    }

    /// Adds a header.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
                self
            }
            _ => panic!("{name:?}: {value:?} is no header"),
        }
    }

    /// Shows a token: `Authorization: Bearer …` (RFC 6750).
    ///
    /// # Panics
    /// If it cannot be part of a header.
    #[track_caller]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Offers a subprotocol (RFC 6455, section 1.9), after those that were offered before.
    ///
    /// # Panics
    /// If it cannot be part of a header.
    #[track_caller]
    pub fn subprotocol(mut self, name: &str) -> Self {
        // On one line, since tungstenite knows no other what it has offered.
        let before = self.headers.remove(SEC_WEBSOCKET_PROTOCOL);
        let before = before.as_ref().and_then(|offered| offered.to_str().ok());
        let offered = before.map_or_else(|| name.to_owned(), |before| format!("{before}, {name}"));
        self.header(SEC_WEBSOCKET_PROTOCOL.as_str(), &offered)
    }

    /// Connects, and gives the refusal as a value.
    ///
    /// # Errors
    /// Returns the refusal.
    ///
    /// # Panics
    /// If nobody answers, or what answers speaks no WebSocket.
    #[track_caller]
    pub fn try_connect(self) -> impl Future<Output = Result<WebSocketClient, WebSocketRefusal>> {
        or_panic(self.answer())
    }

    async fn answer(self) -> Result<Result<WebSocketClient, WebSocketRefusal>, String> {
        let place = format!("cannot connect to {}", self.path);
        match within("the handshake", self.handshake()).await {
            Ok(Ok(client)) => Ok(Ok(client)),
            Ok(Err(Error::Http(response))) => Ok(Err(WebSocketRefusal::new(*response))),
            Ok(Err(error)) => Err(format!("{place}: {error}")),
            Err(late) => Err(format!("{place}: {late}")),
        }
    }

    /// Connects, and gives the refusal that has to come.
    ///
    /// # Panics
    /// If it is not refused, or nobody answers.
    #[track_caller]
    pub fn refused(self) -> impl Future<Output = WebSocketRefusal> {
        or_panic(async {
            let path = self.path.clone();
            match self.answer().await? {
                Ok(_) => Err(format!("the connection to {path} is not refused")),
                Err(refusal) => Ok(refusal),
            }
        })
    }

    async fn handshake(self) -> Result<WebSocketClient, Error> {
        let (request, unread) = (self.request()?, Unread::default());
        let _expected =
            self.hub.as_ref().and_then(|hub| hub.newcomers.expect(request.headers(), &unread));
        let io = self.door.connect(Speaks::Http1).await?;
        let (stream, response) = client_async(request, io).await?;
        let agreed = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
        let agreed = agreed.and_then(|name| name.to_str().ok()).map(str::to_owned);
        Ok(WebSocketClient::new(stream, unread, agreed, self.envelope))
    }

    fn request(&self) -> Result<Request, Error> {
        let address = self.door.local_addr().map(|address| reachable(address).to_string());
        let host = address.as_deref().unwrap_or("localhost");
        let mut request = format!("ws://{host}{}", self.path).into_client_request()?;
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        Ok(request)
    }
}

impl IntoFuture for WebSocketConnect {
    type Output = WebSocketClient;
    type IntoFuture = Pin<Box<dyn Future<Output = WebSocketClient> + Send>>;

    #[track_caller]
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(or_panic(async {
            let path = self.path.clone();
            let connected = self.answer().await?;
            connected.map_err(|refusal| format!("cannot connect to {path}: {refusal:?}"))
        }))
    }
}
