//! A stream of server-sent events.

use std::{collections::VecDeque, future::Future};

use http::HeaderMap;
use polyport_bootstrap::testing::or_panic;
use serde::de::DeserializeOwned;

use super::{
    event::{EventReader, ReceivedEvent},
    stream::HttpStream,
};

/// A reply of server-sent events. A test fails where none comes in ten seconds. Dropped, it ends the
/// connection.
///
/// # Examples
/// ```no_run
/// use polyport_bootstrap::testing::TestApp;
/// use polyport_http::testing::HttpTest;
///
/// async fn counts(app: &TestApp) {
///     let mut events = app.http().get("/ticks").events().await;
///     assert_eq!(events.expect_event::<u32>("tick").await, 0);
///     assert_eq!(events.next().await.expect("goes on").id.as_deref(), Some("1"));
/// }
/// ```
#[derive(Debug)]
pub struct HttpEvents {
    stream: HttpStream,
    reader: EventReader,
    /// Read and not yet taken.
    kept: VecDeque<ReceivedEvent>,
    over: bool,
}

impl HttpEvents {
    pub(super) async fn of(stream: HttpStream) -> Result<Self, String> {
        let is_events = stream.header("content-type").is_some_and(|kind| {
            kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream")
        });
        if !is_events || stream.status() != 200 {
            let reply = stream.whole().await;
            return Err(format!("it is no stream of events: {reply:?}"));
        }
        Ok(Self { stream, reader: EventReader::default(), kept: VecDeque::new(), over: false })
    }

    /// The headers of the reply.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.stream.headers()
    }

    /// The next event, kept or to come; none at the end.
    ///
    /// # Panics
    /// Panics where neither comes, and where the connection breaks.
    ///
    /// # Cancel safety
    /// No event is lost.
    #[allow(clippy::should_implement_trait, reason = "it is awaited")]
    #[track_caller]
    pub fn next(&mut self) -> impl Future<Output = Option<ReceivedEvent>> {
        or_panic(self.try_next())
    }

    async fn try_next(&mut self) -> Result<Option<ReceivedEvent>, String> {
        while self.kept.is_empty() && self.more().await? {}
        Ok(self.kept.pop_front())
    }

    /// The data of the first event of this name, kept or to come, as JSON. Others before it are
    /// kept, as by the WebSocket client.
    ///
    /// # Panics
    /// Panics where the stream ends, no such event comes, or its data is no `T`.
    ///
    /// # Cancel safety
    /// No event is lost.
    #[track_caller]
    pub fn expect_event<T: DeserializeOwned>(&mut self, name: &str) -> impl Future<Output = T> {
        or_panic(self.event(name))
    }

    async fn event<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, String> {
        loop {
            let at = self.kept.iter().position(|event| event.event == name);
            if let Some(event) = at.and_then(|at| self.kept.remove(at)) {
                return event.read();
            }
            if !self.more().await? {
                let had = &self.kept;
                return Err(format!("the stream ends without an event {name:?}; it had {had:?}"));
            }
        }
    }

    /// Reads on; false at the end.
    async fn more(&mut self) -> Result<bool, String> {
        if !self.over {
            match self.stream.next().await? {
                Some(bytes) => self.kept.extend(self.reader.read(&bytes)),
                None => self.over = true,
            }
        }
        Ok(!self.over)
    }
}
