//! The client for tests of an application: `app.websocket("/ws").await`.

mod fault;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::Future,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use polyport_bootstrap::{
    testing::TestApp,
    wire::{ACK_EVENT, EXCEPTION_EVENT},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{Mutex, mpsc},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Bytes, Error, Message, client::IntoClientRequest},
};
use tokio_util::task::AbortOnDropHandle;

pub use self::fault::frame_fault;
use crate::{Closed, WebSocketApp, closed::close_frame};

type Stream = WebSocketStream<TcpStream>;
/// None when the connection has ended, so that the socket is closed.
type Sending = Arc<Mutex<Option<SplitSink<Stream, Message>>>>;

/// How long anything may take in a test.
const LIMIT: Duration = Duration::from_secs(10);

/// Connects clients to an application under test.
pub trait WebSocketTest {
    /// A client of the framework named `default`, connected to `path` (which may have a query).
    ///
    /// # Panics
    /// If the framework is not loaded, or the connection is refused.
    fn websocket(&self, path: &str) -> impl Future<Output = WebSocketClient> + Send;

    /// A client of the framework of this name.
    ///
    /// # Panics
    /// If the framework is not loaded, or the connection is refused.
    fn websocket_on(&self, name: &str, path: &str) -> impl Future<Output = WebSocketClient> + Send;
}

impl WebSocketTest for TestApp {
    fn websocket(&self, path: &str) -> impl Future<Output = WebSocketClient> + Send {
        self.websocket_on(polyport_bootstrap::DEFAULT_NAME, path)
    }

    fn websocket_on(&self, name: &str, path: &str) -> impl Future<Output = WebSocketClient> + Send {
        let app = match self.app_named::<WebSocketApp>(name) {
            Ok(app) => app,
            Err(error) => panic!("no client can connect: {error:?}"),
        };
        let Some(address) = app.address() else { panic!("{app:?} serves at no address") };
        let path = path.to_owned();
        async move { WebSocketClient::connect(address, &path).await }
    }
}

/// A client that fails the test where anything takes longer than ten seconds. In the background it
/// answers pings and close frames, as browsers do, and keeps what comes; dropped, it vanishes
/// without a close frame.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::testing::TestApp;
/// use polyport_websocket::testing::WebSocketTest;
/// use serde_json::json;
///
/// async fn greets(app: &TestApp) {
///     let mut client = app.websocket("/ws").await;
///     let answer = client.call("hello", &json!({ "name": "tom" })).await;
///     assert_eq!(answer["data"], "hello, tom");
///     client.close().await;
/// }
/// ```
pub struct WebSocketClient {
    sending: Sending,
    /// What a task of its own reads, so that pings and close frames are answered at any time.
    received: mpsc::UnboundedReceiver<Received>,
    _reading: AbortOnDropHandle<()>,
    subprotocol: Option<String>,
    kept: VecDeque<Received>,
    closed: Option<Closed>,
    last_id: u64,
}

/// What a client gets next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A frame, as the JSON that it is; a text that is no JSON as a string.
    Frame(Value),
    /// A binary message.
    Binary(Bytes),
    /// The end of the connection.
    Closed(Closed),
}

impl fmt::Debug for WebSocketClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketClient")
            .field("kept", &self.kept)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl WebSocketClient {
    /// Connects to `path` at `address`.
    ///
    /// # Panics
    /// If the connection is refused.
    pub async fn connect(address: SocketAddr, path: &str) -> Self {
        match Self::try_connect(address, path, &[]).await {
            Ok(client) => client,
            Err(error) => panic!("cannot connect to ws://{address}{path}: {error}"),
        }
    }

    /// Connects to `path` at `address` with further headers.
    ///
    /// # Errors
    /// Returns the refusal: [`Error::Http`] holds the response.
    ///
    /// # Panics
    /// If nobody answers.
    pub async fn try_connect(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Box<Error>> {
        let connecting = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut request = format!("ws://{address}{path}").into_client_request()?;
            for (name, value) in headers {
                request.headers_mut().append(*name, value.parse().map_err(http::Error::from)?);
            }
            let (stream, response) = client_async(request, stream).await?;
            let agreed = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
            let agreed = agreed.and_then(|name| name.to_str().ok()).map(str::to_owned);
            Ok(Self { subprotocol: agreed, ..Self::of(stream) })
        };
        within("the handshake", connecting).await.map_err(Box::new)
    }

    /// The subprotocol that the server has agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    fn of(stream: Stream) -> Self {
        let (sending, reading) = stream.split();
        let sending: Sending = Arc::new(Mutex::new(Some(sending)));
        let (keep, received) = mpsc::unbounded_channel();
        let reading = read_all(reading, keep, Arc::clone(&sending));
        Self {
            sending,
            received,
            _reading: AbortOnDropHandle::new(tokio::spawn(reading)),
            subprotocol: None,
            kept: VecDeque::new(),
            closed: None,
            last_id: 0,
        }
    }

    /// Sends an event that needs no answer.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub async fn emit(&mut self, event: &str, data: &(impl Serialize + ?Sized)) {
        self.send_text(&json!({ "event": event, "data": data }).to_string()).await;
    }

    /// Sends an event with a new id and waits for the frame that answers it: the event's own, or
    /// `exception`. Frames that come before it are kept.
    ///
    /// # Panics
    /// If the connection ends, or no answer comes.
    pub async fn call(&mut self, event: &str, data: &(impl Serialize + ?Sized)) -> Value {
        self.call_with(event, data, &[]).await
    }

    /// The same with metadata, which stand for headers.
    ///
    /// # Panics
    /// If the connection ends, or no answer comes.
    pub async fn call_with(
        &mut self,
        event: &str,
        data: &(impl Serialize + ?Sized),
        metadata: &[(&str, &str)],
    ) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut frame = json!({ "event": event, "data": data, "id": id });
        if !metadata.is_empty() {
            frame["metadata"] = json!(metadata.iter().copied().collect::<BTreeMap<_, _>>());
        }
        self.send_text(&frame.to_string()).await;
        self.expect(&format!("the answer to {event:?}"), |frame| frame["id"] == id).await
    }

    /// Sends an event with a new id and waits for an answer of many items: the frames up to the one
    /// that ends it, which is the last of them.
    ///
    /// # Panics
    /// If the connection ends, or the answer does not.
    pub async fn items(&mut self, event: &str, data: &(impl Serialize + ?Sized)) -> Vec<Value> {
        let mut frames = vec![self.call(event, data).await];
        let id = self.last_id;
        let is_last = |frame: &Value| frame["done"] == true || frame["event"] == EXCEPTION_EVENT;
        while frames.last().is_some_and(|frame| !is_last(frame)) {
            let what = format!("an item of the answer to {event:?}");
            frames.push(self.expect(&what, |frame| frame["id"] == id).await);
        }
        frames
    }

    /// The first frame of this event, kept or to come. Others are kept.
    ///
    /// # Panics
    /// If the connection ends, or no such frame comes.
    pub async fn expect_event(&mut self, event: &str) -> Value {
        self.expect(&format!("an event {event:?}"), |frame| frame["event"] == event).await
    }

    /// The next frame, kept or to come, or the end of the connection.
    ///
    /// # Panics
    /// If neither comes.
    pub async fn next(&mut self) -> Received {
        match self.kept.pop_front() {
            Some(received) => received,
            None => self.receive("the next frame").await,
        }
    }

    /// The first request of this event ([`Socket::request`](crate::Socket::request)), kept or to
    /// come, which `answer` is acknowledged with; its data. Others are kept.
    ///
    /// # Panics
    /// If the connection ends, or no such request comes.
    pub async fn acknowledge(&mut self, event: &str, answer: &(impl Serialize + ?Sized)) -> Value {
        let what = format!("a request {event:?}");
        let frame = self.expect(&what, |f| f["event"] == event && f["id"].is_string()).await;
        let ack = json!({ "event": ACK_EVENT, "id": frame["id"], "data": answer });
        self.send_text(&ack.to_string()).await;
        frame["data"].clone()
    }

    /// The first binary message, kept or to come. Others are kept.
    ///
    /// # Panics
    /// If the connection ends, or none comes.
    pub async fn expect_binary(&mut self) -> Bytes {
        self.first("a binary message", |received| match received {
            Received::Binary(bytes) => Some(bytes.clone()),
            _ => None,
        })
        .await
    }

    /// Sends a text message as it is.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub async fn send_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends a binary message.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub async fn send_binary(&mut self, bytes: impl Into<Bytes>) {
        self.send(Message::Binary(bytes.into())).await;
    }

    /// Says goodbye with 1000, and waits for the server's answer, whose code it gives.
    ///
    /// # Panics
    /// If no answer comes.
    pub async fn close(&mut self) -> u16 {
        if self.closed.is_none() {
            self.send(Message::Close(Some(close_frame(1000, "")))).await;
        }
        self.close_code().await
    }

    /// Waits until the connection ends, and gives the code of the server's close frame: 1005 where
    /// it has none, 1006 where there is no frame. Frames that come before it are kept.
    ///
    /// # Panics
    /// If the connection does not end.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            match self.receive("the end of the connection").await {
                Received::Closed(closed) => return closed.code,
                other => self.kept.push_back(other),
            }
        }
    }

    async fn send(&mut self, message: Message) {
        let sending = async {
            match self.sending.lock().await.as_mut() {
                Some(sending) => sending.send(message).await,
                None => Err(Error::AlreadyClosed),
            }
        };
        if let Err(error) = within("sending", sending).await {
            panic!("cannot send: {error}; the connection: {self:?}");
        }
    }

    async fn expect(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.first(what, |received| match received {
            Received::Frame(frame) if wanted(frame) => Some(frame.clone()),
            _ => None,
        })
        .await
    }

    /// The first that is wanted, kept or to come.
    async fn first<T>(&mut self, what: &str, wanted: impl Fn(&Received) -> Option<T>) -> T {
        let mut kept = self.kept.iter().enumerate();
        if let Some((position, found)) = kept.find_map(|(at, one)| Some((at, wanted(one)?))) {
            self.kept.remove(position);
            return found;
        }
        loop {
            let received = self.receive(what).await;
            match (wanted(&received), received) {
                (Some(found), _) => return found,
                (None, Received::Closed(closed)) => {
                    panic!("{what} does not come: {closed:?}; before it came {:?}", self.kept)
                }
                (None, other) => self.kept.push_back(other),
            }
        }
    }

    async fn receive(&mut self, what: &str) -> Received {
        if let Some(closed) = &self.closed {
            return Received::Closed(closed.clone());
        }
        let received = match timeout(LIMIT, self.received.recv()).await {
            Ok(received) => received.unwrap_or_else(|| Received::Closed(Closed::lost())),
            Err(_) => panic!("{what} does not come in {LIMIT:?}; before it came {:?}", self.kept),
        };
        if let Received::Closed(closed) = &received {
            self.closed = Some(closed.clone());
        }
        received
    }
}

async fn read_all(
    mut reading: SplitStream<Stream>,
    keep: mpsc::UnboundedSender<Received>,
    sending: Sending,
) {
    let mut closed = Closed::lost();
    // tungstenite answers a close frame when the next message is read.
    while let Some(Ok(message)) = reading.next().await {
        match message {
            Message::Text(text) => {
                let frame = serde_json::from_str(&text);
                let frame = frame.unwrap_or_else(|_| Value::String(text.to_string()));
                // Nobody listens any more where the client was dropped.
                let _ = keep.send(Received::Frame(frame));
            }
            Message::Binary(bytes) => drop(keep.send(Received::Binary(bytes))),
            Message::Close(frame) => closed = frame.into(),
            _ => {}
        }
    }
    let _ = keep.send(Received::Closed(closed));
    drop(sending.lock().await.take());
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} takes longer than {LIMIT:?}"),
    }
}
