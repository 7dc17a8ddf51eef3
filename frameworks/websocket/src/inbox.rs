//! What a connection has read and not handled yet.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::calls::Call;

/// How many events may wait for the one that is being handled.
const MOST_EVENTS: usize = 16;
/// How many bytes may wait before no further event is read.
const MOST_BYTES: usize = 64 * 1024;

/// A message of the client.
#[derive(Debug)]
pub(crate) enum Inbound {
    Text(Utf8Bytes),
    Binary,
}

/// A message that was read.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) message: Inbound,
    /// None where the process takes no new events: it is to be refused.
    pub(crate) call: Option<Call>,
}

/// The short queue between a connection's reading and its handling. While it is full nothing is
/// read, so that the client feels it.
///
/// Both ends are polled by one task, the reading one first: a push needs no waking, and only a pop
/// that makes room has the task polled again.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Event>,
    bytes: usize,
    closed: bool,
}

impl State {
    fn is_full(&self) -> bool {
        self.queue.len() >= MOST_EVENTS || self.bytes >= MOST_BYTES
    }
}

impl Inbox {
    /// Resolves when a further event may be read.
    pub(crate) async fn room(&self) {
        poll_fn(|_| if self.is_full() { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.state().is_full()
    }

    pub(crate) fn push(&self, event: Event) {
        let mut state = self.state();
        state.bytes += event.message.len();
        state.queue.push_back(event);
    }

    /// Says that nothing more will come.
    pub(crate) fn close(&self) {
        self.state().closed = true;
    }

    /// The next event; none when all are taken and nothing more will come.
    pub(crate) async fn next(&self) -> Option<Event> {
        poll_fn(|cx| {
            let mut state = self.state();
            let was_full = state.is_full();
            let Some(event) = state.queue.pop_front() else {
                return if state.closed { Poll::Ready(None) } else { Poll::Pending };
            };
            state.bytes -= event.message.len();
            if was_full {
                cx.waker().wake_by_ref();
            }
            Poll::Ready(Some(event))
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbound {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary => 0,
        }
    }
}
