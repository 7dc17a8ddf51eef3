//! The client, and what it sends.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::Future,
    sync::Arc,
};

use futures_util::{SinkExt, StreamExt};
use polyport_bootstrap::{
    Fault,
    testing::or_panic,
    wire::{EXCEPTION_EVENT, EnvelopeStyle},
};
use polyport_listener::testing::within;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
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
    #[track_caller]
    pub fn emit(
        &mut self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> impl Future<Output = ()> {
        let frame = json!({ "event": event, "data": data });
        or_panic(self.send(Message::text(frame.to_string())))
    }

    /// Sends an event with a new id and waits for its answer, taken out of the framework's
    /// envelope.
    ///
    /// # Errors
    /// Returns the fault that the answer is.
    ///
    /// # Panics
    /// If the connection ends, no answer comes, or it is no `T`.
    #[track_caller]
    pub fn request<T: DeserializeOwned>(
        &mut self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> impl Future<Output = Result<T, Fault>> {
        let data = json!(data);
        or_panic(async move {
            let frame = self.answer(event, data, &[]).await?;
            let text = match self.unwrapped(&frame) {
                Ok(text) => text,
                Err(fault) => return Ok(Err(fault)),
            };
            let value = serde_json::from_str(text.get());
            value.map(Ok).map_err(|error| format!("{error} in {frame}"))
        })
    }

    fn unwrapped(&self, frame: &Value) -> Result<Box<RawValue>, Fault> {
        if let Some(fault) = frame_fault(frame) {
            return Err(fault);
        }
        let answer = frame["data"].to_string();
        let value = self.envelope.read(answer.as_bytes(), None);
        value.map(ToOwned::to_owned).map_err(|received| Fault::from_received(*received))
    }

    /// Sends an event with a new id and waits for the frame that answers it: the event's own, or
    /// `exception`. [`request`](Self::request) gives what is in it.
    ///
    /// # Panics
    /// If the connection ends, or no answer comes.
    #[track_caller]
    pub fn call(
        &mut self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> impl Future<Output = Value> {
        let data = json!(data);
        or_panic(self.answer(event, data, &[]))
    }

    /// The same with metadata, which stand for headers.
    ///
    /// # Panics
    /// If the connection ends, or no answer comes.
    #[track_caller]
    pub fn call_with(
        &mut self,
        event: &str,
        data: &(impl Serialize + ?Sized),
        metadata: &[(&str, &str)],
    ) -> impl Future<Output = Value> {
        let data = json!(data);
        or_panic(self.answer(event, data, metadata))
    }

    async fn answer(
        &mut self,
        event: &str,
        data: Value,
        metadata: &[(&str, &str)],
    ) -> Result<Value, String> {
        self.last_id += 1;
        let id = self.last_id;
        let mut frame = json!({ "event": event, "data": data, "id": id });
        if !metadata.is_empty() {
            frame["metadata"] = json!(metadata.iter().copied().collect::<BTreeMap<_, _>>());
        }
        self.send(Message::text(frame.to_string())).await?;
        self.expect(&format!("the answer to {event:?}"), |frame| frame["id"] == id).await
    }

    /// Sends an event with a new id and waits for an answer of many items: the frames up to the one
    /// that ends it, which is the last of them.
    ///
    /// # Panics
    /// If the connection ends, or the answer does not.
    #[track_caller]
    pub fn items(
        &mut self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> impl Future<Output = Vec<Value>> {
        let data = json!(data);
        or_panic(self.answers(event, data))
    }

    async fn answers(&mut self, event: &str, data: Value) -> Result<Vec<Value>, String> {
        let mut frames = vec![self.answer(event, data, &[]).await?];
        let id = self.last_id;
        let is_last = |frame: &Value| frame["done"] == true || frame["event"] == EXCEPTION_EVENT;
        while frames.last().is_some_and(|frame| !is_last(frame)) {
            let what = format!("an item of the answer to {event:?}");
            frames.push(self.expect(&what, |frame| frame["id"] == id).await?);
        }
        Ok(frames)
    }

    /// Sends a text message as it is.
    ///
    /// # Panics
    /// If it cannot be sent.
    #[track_caller]
    pub fn send_text(&mut self, text: &str) -> impl Future<Output = ()> {
        or_panic(self.send(Message::text(text)))
    }

    /// Sends a binary message.
    ///
    /// # Panics
    /// If it cannot be sent.
    #[track_caller]
    pub fn send_binary(&mut self, bytes: impl Into<Bytes>) -> impl Future<Output = ()> {
        or_panic(self.send(Message::Binary(bytes.into())))
    }

    /// Says goodbye with 1000, and waits for the server's answer, whose code it gives.
    ///
    /// # Panics
    /// If no answer comes.
    #[track_caller]
    pub fn close(&mut self) -> impl Future<Output = u16> {
        self.close_with(1000, "")
    }

    /// The same with another code, applications' own being 4000 to 4999 (RFC 6455, section 7.4), and
    /// with a reason.
    ///
    /// # Panics
    /// If no answer comes, and if the code may not be sent or the reason is longer than 123 bytes.
    #[track_caller]
    pub fn close_with(&mut self, code: u16, reason: &str) -> impl Future<Output = u16> {
        or_panic(async move {
            let frame = close_frame(code, reason);
            if u16::from(frame.code) != code || frame.reason != reason {
                return Err(format!("no close frame may have {code} and {reason:?}"));
            }
            if self.closed.is_none() {
                self.send(Message::Close(Some(frame))).await?;
            }
            self.end().await.map(|closed| closed.code)
        })
    }

    pub(super) async fn send(&mut self, message: Message) -> Result<(), String> {
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
        match problem {
            Some(problem) => Err(format!("cannot send: {problem}; the connection: {self:?}")),
            None => Ok(()),
        }
    }
}
