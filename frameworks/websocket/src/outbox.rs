//! What waits to be written to a client.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use tokio_tungstenite::tungstenite::{Utf8Bytes, protocol::CloseFrame};

use crate::calls::Call;

/// How many bytes may wait before no further event is handled: a client decides how large its
/// answers are, by the `id` that they carry back, and need not read them.
const MOST_BYTES: usize = 256 * 1024;

/// The bounded queue between everybody who sends to a client and the one who writes. Nobody who
/// sends ever waits: a client that is too slow for the queue is given up.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    writer: AtomicWaker,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outgoing>,
    /// The length of all that is in the queue.
    bytes: usize,
    ping: bool,
    ending: Option<Ending>,
    shut: bool,
}

/// A message to the client.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) text: Utf8Bytes,
    /// The event that it answers, which is in flight until this is written.
    pub(crate) call: Option<Call>,
}

/// Why the server ends a connection.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// The application wants it, after what it has sent before.
    Close(CloseFrame),
    /// The client does not read as fast as it is sent to.
    TooSlow,
    /// The process stops.
    GoingAway,
}

/// What is to be written next.
#[derive(Debug)]
pub(crate) enum Next {
    Text(Outgoing),
    Ping,
    End(Ending),
}

impl Outbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), writer: AtomicWaker::new(), capacity }
    }

    /// Queues a message; false where the connection is at its end, or is now for this one message
    /// too many.
    pub(crate) fn push(&self, text: Utf8Bytes) -> bool {
        let mut state = self.state();
        if state.is_ending() {
            return false;
        }
        if state.queue.len() >= self.capacity {
            state.ending = Some(Ending::TooSlow);
            let unsent = state.take();
            drop(state);
            drop(unsent);
            self.writer.wake();
            return false;
        }
        state.push(Outgoing { text, call: None });
        let first = state.queue.len() == 1;
        drop(state);
        if first {
            self.writer.wake();
        }
        true
    }

    /// Queues an answer, for which there was [`room`](Self::room). Called by the connection's own
    /// task, which polls the writer afterwards.
    pub(crate) fn answer(&self, text: Utf8Bytes, call: Option<Call>) {
        let mut state = self.state();
        if !state.is_ending() {
            state.push(Outgoing { text, call });
        }
    }

    /// Has a ping sent before everything else.
    pub(crate) fn ping(&self) {
        self.state().ping = true;
        self.writer.wake();
    }

    /// Ends the connection. The first word counts, but that the process stops stands above all.
    pub(crate) fn end(&self, ending: Ending) {
        let mut state = self.state();
        if state.ending.is_none() || matches!(ending, Ending::GoingAway) {
            state.ending = Some(ending);
        }
        drop(state);
        self.writer.wake();
    }

    /// Takes nothing more, and gives what is not written.
    pub(crate) fn shut(&self) -> VecDeque<Outgoing> {
        let mut state = self.state();
        state.shut = true;
        state.take()
    }

    /// Resolves when an answer may be queued. Polled by the connection's own task, before the
    /// writer.
    pub(crate) async fn room(&self) {
        poll_fn(|_| {
            let state = self.state();
            if !state.is_full(self.capacity) || state.is_ending() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Resolves when an item of a stream may be queued; false where the connection is at its end.
    /// Streams leave half of the queue to answers and to what rooms push, so that a client that
    /// reads its stream slowly is not given up for it. Polled by the connection's own task, before
    /// the writer.
    pub(crate) async fn room_for_item(&self) -> bool {
        poll_fn(|_| {
            let state = self.state();
            if state.is_ending() {
                Poll::Ready(false)
            } else if state.is_crowded(self.capacity) {
                Poll::Pending
            } else {
                Poll::Ready(true)
            }
        })
        .await
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().queue.is_empty()
    }

    /// What is to be written next.
    pub(crate) async fn next(&self) -> Next {
        poll_fn(|cx| {
            self.writer.register(cx.waker());
            self.poll_next(cx)
        })
        .await
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.state();
        if let Some(ending) = state.ending.clone().filter(Ending::is_urgent) {
            return Poll::Ready(Next::End(ending));
        }
        if std::mem::take(&mut state.ping) {
            return Poll::Ready(Next::Ping);
        }
        let was_crowded = state.is_crowded(self.capacity);
        if let Some(outgoing) = state.pop() {
            if was_crowded {
                cx.waker().wake_by_ref();
            }
            return Poll::Ready(Next::Text(outgoing));
        }
        state.ending.clone().map_or(Poll::Pending, |ending| Poll::Ready(Next::End(ending)))
    }

    /// Resolves when what is being written is not to be waited for.
    pub(crate) async fn interrupted(&self) {
        poll_fn(|cx| {
            self.writer.register(cx.waker());
            match &self.state().ending {
                Some(ending) if ending.is_urgent() => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, outgoing: Outgoing) {
        self.bytes += outgoing.text.len();
        self.queue.push_back(outgoing);
    }

    fn pop(&mut self) -> Option<Outgoing> {
        let outgoing = self.queue.pop_front()?;
        self.bytes -= outgoing.text.len();
        Some(outgoing)
    }

    fn take(&mut self) -> VecDeque<Outgoing> {
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }

    fn is_full(&self, capacity: usize) -> bool {
        self.queue.len() >= capacity || self.bytes >= MOST_BYTES
    }

    fn is_crowded(&self, capacity: usize) -> bool {
        self.queue.len() >= (capacity / 2).max(1) || self.bytes >= MOST_BYTES
    }

    fn is_ending(&self) -> bool {
        self.shut || self.ending.is_some()
    }
}

impl Ending {
    /// Whether it does not wait for what is queued.
    fn is_urgent(&self) -> bool {
        !matches!(self, Self::Close(_))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn next(outbox: &Outbox) -> Option<Next> {
        outbox.next().now_or_never()
    }

    fn close() -> Ending {
        Ending::Close(CloseFrame { code: 1000.into(), reason: "".into() })
    }

    #[test]
    fn a_close_waits_for_what_was_sent_before_and_takes_nothing_after() {
        let outbox = Outbox::new(2);
        assert!(outbox.push("a".into()));
        outbox.end(close());
        assert!(!outbox.push("b".into()));
        assert!(matches!(next(&outbox), Some(Next::Text(out)) if out.text == "a"));
        assert!(matches!(next(&outbox), Some(Next::End(Ending::Close(_)))));
    }

    #[test]
    fn one_message_too_many_gives_the_client_up() {
        let outbox = Outbox::new(2);
        assert!(outbox.push("a".into()) && outbox.push("b".into()));
        assert!(outbox.room().now_or_never().is_none());
        assert!(outbox.interrupted().now_or_never().is_none());
        assert!(!outbox.push("c".into()));
        assert!(outbox.interrupted().now_or_never().is_some());
        assert!(matches!(next(&outbox), Some(Next::End(Ending::TooSlow))));
        outbox.end(close());
        assert!(matches!(next(&outbox), Some(Next::End(Ending::TooSlow))));
        assert!(outbox.shut().is_empty());
    }

    #[test]
    fn large_answers_leave_no_room_and_messages_still_fit() {
        let outbox = Outbox::new(4);
        outbox.answer("x".repeat(MOST_BYTES).into(), None);
        assert!(outbox.room().now_or_never().is_none());
        assert!(outbox.push("a".into()), "only their number counts");
        assert!(matches!(next(&outbox), Some(Next::Text(_))));
        assert!(outbox.room().now_or_never().is_some());
    }

    #[test]
    fn a_stream_leaves_half_of_the_queue_to_others() {
        let outbox = Outbox::new(4);
        let room = || outbox.room_for_item().now_or_never();
        assert_eq!(room(), Some(true));
        outbox.answer("a".into(), None);
        outbox.answer("b".into(), None);
        assert_eq!(room(), None);
        assert!(outbox.push("c".into()) && outbox.room().now_or_never().is_some());
        assert!(next(&outbox).is_some() && next(&outbox).is_some());
        assert_eq!(room(), Some(true));
        outbox.end(close());
        assert_eq!(room(), Some(false));
    }

    #[test]
    fn a_ping_comes_first_and_the_stop_of_the_process_before_all() {
        let outbox = Outbox::new(2);
        assert!(next(&outbox).is_none());
        outbox.push("a".into());
        outbox.ping();
        assert!(matches!(next(&outbox), Some(Next::Ping)));
        outbox.end(close());
        outbox.end(Ending::GoingAway);
        assert!(matches!(next(&outbox), Some(Next::End(Ending::GoingAway))));
        assert_eq!(outbox.shut().len(), 1);
    }
}
