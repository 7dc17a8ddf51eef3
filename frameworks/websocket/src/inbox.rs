//! What a connection has read and not handled yet.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use polyport_bootstrap::framework::Mark;

use crate::{calls::Call, payload::Payload};

/// How many events may wait for the one that is being handled.
const MOST_EVENTS: usize = 16;
/// How many bytes may wait before no further event is read.
const MOST_BYTES: usize = 64 * 1024;

/// How many times as much may wait while the handling waits for the client itself: its ack comes
/// behind what it has sent before.
const WHILE_ASKED: usize = 16;

/// A message that was read.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) message: Payload,
    /// None where the process takes no new events: it is to be refused.
    pub(crate) call: Option<Call>,
    /// Whether it waits for no other.
    pub(crate) independent: bool,
    /// Tells a test that it is not handled.
    #[allow(dead_code, reason = "it tells so until it is dropped")]
    pub(crate) unhandled: Mark,
}

/// The short queue between a connection's reading and its handling. While it is full nothing is
/// read, so that the client feels it.
///
/// All ends are polled by one task, the reading one first: a push needs no waking, and only a pop
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
    fn is_full(&self, times: usize) -> bool {
        self.queue.len() >= times * MOST_EVENTS || self.bytes >= times * MOST_BYTES
    }

    fn pop(&mut self, independent: bool) -> Option<Event> {
        let position = self.queue.iter().position(|event| event.independent == independent)?;
        let event = self.queue.remove(position)?;
        self.bytes -= event.message.len();
        Some(event)
    }
}

impl Inbox {
    /// Resolves when a further event may be read; more may be while the client is `asked`
    /// something.
    pub(crate) fn room(&self, asked: impl Fn() -> bool) -> impl Future<Output = ()> {
        poll_fn(move |_| if self.is_full(&asked) { Poll::Pending } else { Poll::Ready(()) })
    }

    pub(crate) fn is_full(&self, asked: impl Fn() -> bool) -> bool {
        let state = self.state();
        state.is_full(1) && (state.is_full(WHILE_ASKED) || !asked())
    }

    pub(crate) fn push(&self, event: Event) {
        let mut state = self.state();
        state.bytes += event.message.len();
        reserve_one(&mut state.queue);
        state.queue.push_back(event);
    }

    /// Says that nothing more will come.
    pub(crate) fn close(&self) {
        self.state().closed = true;
    }

    /// The next event that is handled in its order; none when all are taken and nothing more will
    /// come.
    pub(crate) async fn next(&self) -> Option<Event> {
        poll_fn(|cx| self.poll_next(cx, false)).await
    }

    /// The next event that is independent, or not.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>, independent: bool) -> Poll<Option<Event>> {
        let mut state = self.state();
        let was_full = state.is_full(1);
        let Some(event) = state.pop(independent) else {
            return if state.closed { Poll::Ready(None) } else { Poll::Pending };
        };
        if was_full {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Some(event))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one message is all that most connections ever need; a queue would begin with four.
pub(crate) fn reserve_one<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() == 0 {
        queue.reserve_exact(1);
    }
}
