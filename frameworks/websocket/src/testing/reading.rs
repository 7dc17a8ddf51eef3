//! What a client reads in the background.

use std::sync::Arc;

use futures_util::{
    StreamExt,
    stream::{SplitSink, SplitStream},
};
use polyport_listener::testing::BoxClientIo;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Bytes, Message},
};

use crate::Closed;

pub(super) type Stream = WebSocketStream<BoxClientIo>;
/// None when the connection has ended, so that the socket is closed.
pub(super) type Sending = Arc<Mutex<Option<SplitSink<Stream, Message>>>>;

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

/// Keeps what comes, to its end.
pub(super) async fn read_all(
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
