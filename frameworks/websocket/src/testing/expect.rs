//! What a client waits for.

use std::future::Future;

use polyport_bootstrap::{testing::or_panic, wire::ACK_EVENT};
use polyport_listener::testing::within;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Bytes, Message};

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
    #[track_caller]
    pub fn expect_event<T: DeserializeOwned>(&mut self, event: &str) -> impl Future<Output = T> {
        or_panic(async move {
            let frame = self.frame(event).await?;
            T::deserialize(&frame["data"]).map_err(|error| format!("{error} in {frame}"))
        })
    }

    /// The first frame of this event, kept or to come, with all that it has (`id`, `done`). Others
    /// before it are kept.
    ///
    /// # Panics
    /// If the connection ends, or no such frame comes.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    #[track_caller]
    pub fn expect_frame(&mut self, event: &str) -> impl Future<Output = Value> {
        or_panic(self.frame(event))
    }

    async fn frame(&mut self, event: &str) -> Result<Value, String> {
        self.expect(&format!("an event {event:?}"), |frame| frame["event"] == event).await
    }

    /// The next frame, kept or to come, or the end of the connection.
    ///
    /// # Panics
    /// If neither comes.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    #[allow(clippy::should_implement_trait, reason = "it is awaited")]
    #[track_caller]
    pub fn next(&mut self) -> impl Future<Output = Received> {
        or_panic(async move {
            match self.kept.pop_front() {
                Some(received) => Ok(received),
                None => self.receive("the next frame").await,
            }
        })
    }

    /// The first request of this event ([`Socket::request`](crate::Socket::request)), kept or to
    /// come, which `answer` is acknowledged with; its data. Others are kept.
    ///
    /// # Panics
    /// If the connection ends, or no such request comes.
    #[track_caller]
    pub fn acknowledge(
        &mut self,
        event: &str,
        answer: &(impl Serialize + ?Sized),
    ) -> impl Future<Output = Value> {
        let answer = json!(answer);
        or_panic(async move {
            let what = format!("a request {event:?}");
            let is_it = |frame: &Value| frame["event"] == event && frame["id"].is_string();
            let mut frame = self.expect(&what, is_it).await?;
            let ack = json!({ "event": ACK_EVENT, "id": frame["id"], "data": answer });
            self.send(Message::text(ack.to_string())).await?;
            Ok::<_, String>(frame["data"].take())
        })
    }

    /// The first binary message, kept or to come. Others are kept.
    ///
    /// # Panics
    /// If the connection ends, or none comes.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    #[track_caller]
    pub fn expect_binary(&mut self) -> impl Future<Output = Bytes> {
        or_panic(self.first("a binary message", |received| match received {
            Received::Binary(bytes) => Some(bytes.clone()),
            _ => None,
        }))
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
    #[track_caller]
    pub fn expect_close(&mut self) -> impl Future<Output = (u16, String)> {
        or_panic(async move { self.end().await.map(|Closed { code, reason }| (code, reason)) })
    }

    pub(super) async fn end(&mut self) -> Result<Closed, String> {
        loop {
            match self.receive("the end of the connection").await? {
                Received::Closed(closed) => return Ok(closed),
                other => self.kept.push_back(other),
            }
        }
    }

    pub(super) async fn expect(
        &mut self,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        self.first(what, |received| match received {
            Received::Frame(frame) if wanted(frame) => Some(frame.clone()),
            _ => None,
        })
        .await
    }

    /// The first that is wanted, kept or to come.
    async fn first<T>(
        &mut self,
        what: &str,
        wanted: impl Fn(&Received) -> Option<T>,
    ) -> Result<T, String> {
        let mut kept = self.kept.iter().enumerate();
        if let Some((position, found)) = kept.find_map(|(at, one)| Some((at, wanted(one)?))) {
            self.kept.remove(position);
            return Ok(found);
        }
        loop {
            let received = self.receive(what).await?;
            match (wanted(&received), received) {
                (Some(found), _) => return Ok(found),
                (None, Received::Closed(closed)) => {
                    let kept = &self.kept;
                    return Err(format!(
                        "{what} does not come: {closed:?}; before it came {kept:?}"
                    ));
                }
                (None, other) => self.kept.push_back(other),
            }
        }
    }

    async fn receive(&mut self, what: &str) -> Result<Received, String> {
        if let Some(closed) = &self.closed {
            return Ok(Received::Closed(closed.clone()));
        }
        let received = match within(what, self.received.recv()).await {
            Ok(received) => received.unwrap_or_else(|| Received::Closed(Closed::lost())),
            Err(late) => return Err(format!("{late}; before it came {:?}", self.kept)),
        };
        if let Received::Closed(closed) = &received {
            self.closed = Some(closed.clone());
        }
        Ok(received)
    }
}
