//! A stream of server-sent events.

use std::collections::VecDeque;

use http::HeaderMap;
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
    pub(super) async fn of(stream: HttpStream) -> Self {
        let is_events = stream.header("content-type").is_some_and(|kind| {
            kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream")
        });
        if !is_events || stream.status() != 200 {
            let reply = stream.whole().await;
            panic!("it is no stream of events: {reply:?}");
        }
        Self { stream, reader: EventReader::default(), kept: VecDeque::new(), over: false }
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
    pub async fn next(&mut self) -> Option<ReceivedEvent> {
        while self.kept.is_empty() && self.more().await {}
        self.kept.pop_front()
    }

    /// The data of the first event of this name, kept or to come, as JSON. Others before it are
    /// kept, as by the WebSocket client.
    ///
    /// # Panics
    /// Panics where the stream ends, no such event comes, or its data is no `T`.
    ///
    /// # Cancel safety
    /// No event is lost.
    pub async fn expect_event<T: DeserializeOwned>(&mut self, name: &str) -> T {
        loop {
            let at = self.kept.iter().position(|event| event.event == name);
            if let Some(event) = at.and_then(|at| self.kept.remove(at)) {
                return event.json();
            }
            if !self.more().await {
                panic!("the stream ends without an event {name:?}; it had {:?}", self.kept);
            }
        }
    }

    /// Reads on; false at the end.
    async fn more(&mut self) -> bool {
        if !self.over {
            match self.stream.chunk().await {
                Some(bytes) => self.kept.extend(self.reader.read(&bytes)),
                None => self.over = true,
            }
        }
        !self.over
    }
}
