//! The client, and what it sends.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
};

use futures_util::{SinkExt, StreamExt};
use polyport_bootstrap::{
    Fault,
    wire::{EXCEPTION_EVENT, EnvelopeStyle},
};
use polyport_listener::testing::within;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_util::task::AbortOnDropHandle;

use super::{
    frame_fault,
    reading::{Received, Sending, Stream, read_all},
};
use crate::{Closed, closed::close_frame, unread::Unread};

/// A client that fails the test where anything takes longer than ten seconds. In the background it
/// answers pings and close frames, as browsers do, and keeps what comes; dropped, it vanishes
/// without a close frame.
///
/// What is expected is looked for among what has come and was not asked for yet, then waited for;
/// what comes before it is kept, in its order, for whoever asks for that. So the order in which two
/// events are expected does not matter; where it is what is tested, [`next`](Self::next) gives one
/// after the other.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::testing::TestApp;
/// use polyport_websocket::testing::WebSocketTest;
/// use serde_json::json;
///
/// async fn greets(app: &TestApp) {
///     let mut client = app.websocket("/ws").await;
///     let greeting: Result<String, _> = client.request("hello", &json!({ "name": "tom" })).await;
///     assert_eq!(greeting.unwrap(), "hello, tom");
///     assert_eq!(client.expect_event::<String>("joined").await, "tom");
///     client.close().await;
/// }
/// ```
pub struct WebSocketClient {
    sending: Sending,
    unread: Unread,
    /// What a task of its own reads, so that pings and close frames are answered at any time.
    pub(super) received: mpsc::UnboundedReceiver<Received>,
    _reading: AbortOnDropHandle<()>,
    subprotocol: Option<String>,
    envelope: EnvelopeStyle,
    pub(super) kept: VecDeque<Received>,
    pub(super) closed: Option<Closed>,
    last_id: u64,
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
    pub(super) fn new(
        stream: Stream,
        unread: Unread,
        subprotocol: Option<String>,
        envelope: EnvelopeStyle,
    ) -> Self {
        let (sending, reading) = stream.split();
        let sending: Sending = Arc::new(Mutex::new(Some(sending)));
        let (keep, received) = mpsc::unbounded_channel();
        let reading = read_all(reading, keep, Arc::clone(&sending));
        Self {
            sending,
            unread,
            received,
            _reading: AbortOnDropHandle::new(tokio::spawn(reading)),
            subprotocol,
            envelope,
            kept: VecDeque::new(),
            closed: None,
            last_id: 0,
        }
    }

    /// The subprotocol that the server has agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Sends an event that needs no answer.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub async fn emit(&mut self, event: &str, data: &(impl Serialize + ?Sized)) {
        self.send_text(&json!({ "event": event, "data": data }).to_string()).await;
    }

    /// Sends an event with a new id and waits for its answer, taken out of the framework's
    /// envelope.
    ///
    /// # Errors
    /// Returns the fault that the answer is.
    ///
    /// # Panics
    /// If the connection ends, no answer comes, or it is no `T`.
    pub async fn request<T: DeserializeOwned>(
        &mut self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<T, Fault> {
        let frame = self.call(event, data).await;
        if let Some(fault) = frame_fault(&frame) {
            return Err(fault);
        }
        let answer = frame["data"].to_string();
        let value = self.envelope.read(answer.as_bytes(), None);
        let value = value.map_err(|received| Fault::from_received(*received))?;
        Ok(serde_json::from_str(value.get()).unwrap_or_else(|error| panic!("{error} in {frame}")))
    }

    /// Sends an event with a new id and waits for the frame that answers it: the event's own, or
    /// `exception`. [`request`](Self::request) gives what is in it.
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
        self.expect_close().await.0
    }

    async fn send(&mut self, message: Message) {
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            self.unread.add(&message.clone().into_data());
        }
        let sending = async {
            match self.sending.lock().await.as_mut() {
                Some(sending) => sending.send(message).await,
                None => Err(Error::AlreadyClosed),
            }
        };
        let problem = match within("sending", sending).await {
            Ok(sent) => sent.err().map(|error| error.to_string()),
            Err(late) => Some(late),
        };
        if let Some(problem) = problem {
            panic!("cannot send: {problem}; the connection: {self:?}");
        }
    }
}
