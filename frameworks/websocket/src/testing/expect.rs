//! What a client waits for.

use polyport_bootstrap::wire::ACK_EVENT;
use polyport_listener::testing::within;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Bytes;

use super::{Received, WebSocketClient};
use crate::Closed;

impl WebSocketClient {
    /// The data of the first event of this name, kept or to come. Others before it are kept.
    ///
    /// # Panics
    /// If the connection ends, no such event comes, or its data is no `T`.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn expect_event<T: DeserializeOwned>(&mut self, event: &str) -> T {
        let mut frame = self.expect_frame(event).await;
        let data = frame["data"].take();
        serde_json::from_value(data).unwrap_or_else(|error| panic!("{error} in {event:?}"))
    }

    /// The first frame of this event, kept or to come, with all that it has (`id`, `done`). Others
    /// before it are kept.
    ///
    /// # Panics
    /// If the connection ends, or no such frame comes.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn expect_frame(&mut self, event: &str) -> Value {
        self.expect(&format!("an event {event:?}"), |frame| frame["event"] == event).await
    }

    /// The next frame, kept or to come, or the end of the connection.
    ///
    /// # Panics
    /// If neither comes.
    ///
    /// # Cancel safety
    /// Nothing is lost.
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
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn expect_binary(&mut self) -> Bytes {
        self.first("a binary message", |received| match received {
            Received::Binary(bytes) => Some(bytes.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until the connection ends, and gives code and reason of the server's close frame:
    /// 1005 where it has none, 1006 where there is no frame (RFC 6455, section 7.1.5). What comes
    /// before it is kept.
    ///
    /// # Panics
    /// If the connection does not end.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn expect_close(&mut self) -> (u16, String) {
        loop {
            match self.receive("the end of the connection").await {
                Received::Closed(Closed { code, reason }) => return (code, reason),
                other => self.kept.push_back(other),
            }
        }
    }

    pub(super) async fn expect(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
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
        let received = match within(what, self.received.recv()).await {
            Ok(received) => received.unwrap_or_else(|| Received::Closed(Closed::lost())),
            Err(late) => panic!("{late}; before it came {:?}", self.kept),
        };
        if let Received::Closed(closed) = &received {
            self.closed = Some(closed.clone());
        }
        received
    }
}
