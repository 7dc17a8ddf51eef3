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
use polyport_bootstrap::{testing::TestApp, wire::EXCEPTION_EVENT};
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
use crate::{Closed, WebSocketApp, socket::close_frame};

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
    kept: VecDeque<Value>,
    closed: Option<Closed>,
    last_id: u64,
}

/// What a client gets next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A frame, as the JSON that it is.
    Frame(Value),
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
            Ok(client_async(request, stream).await?.0)
        };
        within("the handshake", connecting).await.map(Self::of).map_err(Box::new)
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
            Some(frame) => Received::Frame(frame),
            None => self.receive("the next frame").await,
        }
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
                Received::Frame(frame) => self.kept.push_back(frame),
                Received::Closed(closed) => return closed.code,
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
        if let Some(position) = self.kept.iter().position(&wanted) {
            return self.kept.remove(position).unwrap_or_default();
        }
        loop {
            match self.receive(what).await {
                Received::Frame(frame) if wanted(&frame) => return frame,
                Received::Frame(frame) => self.kept.push_back(frame),
                Received::Closed(closed) => {
                    panic!("{what} does not come: {closed:?}; before it came {:?}", self.kept)
                }
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
