//! What waits to be written to a client.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use polyport_bootstrap::framework::{Mark, Witness};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::{calls::Call, inbox::reserve_one, payload::Payload, settings::SlowConsumer, told};

/// How many bytes may wait before no further event is handled: a client decides how large its
/// answers are, by the `id` that they carry back, and need not read them.
const MOST_BYTES: usize = 256 * 1024;

/// The bounded queue between everybody who sends to a client and the one who writes. Nobody who
/// sends ever waits: a client that is too slow for the queue is given up, or loses the oldest of
/// what it was pushed.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    writer: AtomicWaker,
    capacity: usize,
    slow_consumer: SlowConsumer,
    witness: Witness,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outgoing>,
    /// How many of them are no pushes.
    kept: usize,
    /// The length of these, or of all where pushes are never dropped.
    bytes: usize,
    dropped: u64,
    ping: bool,
    /// Boxed, so that connections that go on have no room for it.
    ending: Option<Box<Ending>>,
    shut: bool,
}

/// A message to the client.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) payload: Payload,
    /// The event that it answers, which is in flight until this is written.
    pub(crate) call: Option<Call>,
    /// Nobody has asked for it, and nobody waits for an answer to it.
    pushed: bool,
    /// A test waits until it is written.
    pub(crate) mark: Mark,
}

/// What has become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queued {
    Yes,
    /// It is queued, and an older push, or itself, was dropped for it.
    Dropped {
        first: bool,
    },
    /// The connection is at its end, or is now.
    Refused,
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
    Message(Outgoing),
    Ping,
    End(Ending),
}

impl Outbox {
    pub(crate) fn new(capacity: usize, slow_consumer: SlowConsumer) -> Self {
        let (state, writer) = (Mutex::default(), AtomicWaker::new());
        Self { state, writer, capacity, slow_consumer, witness: Witness::here() }
    }

    /// Queues a message that nobody has asked for.
    pub(crate) fn push(&self, payload: Payload) -> Queued {
        let mark = told::push(&self.witness, &payload);
        self.queue(Outgoing { payload, call: None, pushed: true, mark })
    }

    /// Queues a message that is waited for; false where the connection is at its end, or is now.
    /// How many there can be is limited elsewhere.
    pub(crate) fn request(&self, payload: Payload) -> bool {
        let mark = told::push(&self.witness, &payload);
        let queued = self.queue(Outgoing { payload, call: None, pushed: false, mark });
        // For who reads, too: while a request waits, more is read.
        self.writer.wake();
        queued != Queued::Refused
    }

    fn queue(&self, outgoing: Outgoing) -> Queued {
        let mut state = self.state();
        if state.is_ending() {
            return Queued::Refused;
        }
        let was_empty = state.queue.is_empty();
        let queued = if state.queue.len() < self.capacity {
            state.push(outgoing, self.slow_consumer);
            Queued::Yes
        } else if self.slow_consumer == SlowConsumer::Close {
            state.ending = Some(Box::new(Ending::TooSlow));
            let unsent = state.take();
            drop(state);
            drop(unsent);
            self.writer.wake();
            return Queued::Refused;
        } else {
            state.replace(outgoing)
        };
        drop(state);
        if was_empty {
            self.writer.wake();
        }
        queued
    }

    /// Queues an answer, for which there was [`room`](Self::room). Called by the connection's own
    /// task, which polls the writer afterwards.
    pub(crate) fn answer(&self, payload: Payload, call: Option<Call>) -> Queued {
        let mut state = self.state();
        if state.is_ending() {
            return Queued::Refused;
        }
        let mark = told::message(&self.witness, &payload);
        let answer = Outgoing { payload, call, pushed: false, mark };
        if state.queue.len() >= self.capacity && self.slow_consumer == SlowConsumer::DropOldest {
            return state.replace(answer);
        }
        state.push(answer, self.slow_consumer);
        Queued::Yes
    }

    /// How many messages were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.state().dropped
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
            state.ending = Some(Box::new(ending));
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
            if !self.is_full(&state) || state.is_ending() { Poll::Ready(()) } else { Poll::Pending }
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
            } else if self.is_crowded(&state) {
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
        if let Some(ending) = state.ending.as_deref().filter(|ending| ending.is_urgent()) {
            return Poll::Ready(Next::End(ending.clone()));
        }
        if std::mem::take(&mut state.ping) {
            return Poll::Ready(Next::Ping);
        }
        let was_crowded = self.is_crowded(&state);
        if let Some(outgoing) = state.pop(self.slow_consumer) {
            if was_crowded {
                cx.waker().wake_by_ref();
            }
            return Poll::Ready(Next::Message(outgoing));
        }
        match &state.ending {
            Some(ending) => Poll::Ready(Next::End(Ending::clone(ending))),
            None => Poll::Pending,
        }
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

    /// Whether so much waits that no further event is to be handled. Pushes that can be dropped
    /// hold up nobody.
    fn is_full(&self, state: &State) -> bool {
        self.load(state) >= self.capacity || state.bytes >= MOST_BYTES
    }

    fn is_crowded(&self, state: &State) -> bool {
        self.load(state) >= (self.capacity / 2).max(1) || state.bytes >= MOST_BYTES
    }

    fn load(&self, state: &State) -> usize {
        match self.slow_consumer {
            SlowConsumer::Close => state.queue.len(),
            SlowConsumer::DropOldest => state.kept,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, outgoing: Outgoing, slow_consumer: SlowConsumer) {
        let counted = !outgoing.pushed || slow_consumer == SlowConsumer::Close;
        self.kept += usize::from(!outgoing.pushed);
        self.bytes += if counted { outgoing.payload.len() } else { 0 };
        reserve_one(&mut self.queue);
        self.queue.push_back(outgoing);
    }

    /// Queues a message in the place of the oldest push; where there is none, a push is dropped
    /// itself.
    fn replace(&mut self, outgoing: Outgoing) -> Queued {
        let oldest = self.queue.iter().position(|queued| queued.pushed);
        if let Some(oldest) = oldest {
            self.queue.remove(oldest);
        }
        let dropped = oldest.is_some() || outgoing.pushed;
        if oldest.is_some() || !outgoing.pushed {
            self.push(outgoing, SlowConsumer::DropOldest);
        }
        if !dropped {
            return Queued::Yes;
        }
        self.dropped += 1;
        Queued::Dropped { first: self.dropped == 1 }
    }

    fn pop(&mut self, slow_consumer: SlowConsumer) -> Option<Outgoing> {
        let outgoing = self.queue.pop_front()?;
        let counted = !outgoing.pushed || slow_consumer == SlowConsumer::Close;
        self.kept -= usize::from(!outgoing.pushed);
        self.bytes -= if counted { outgoing.payload.len() } else { 0 };
        Some(outgoing)
    }

    fn take(&mut self) -> VecDeque<Outgoing> {
        (self.bytes, self.kept) = (0, 0);
        std::mem::take(&mut self.queue)
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

    fn outbox(capacity: usize) -> Outbox {
        Outbox::new(capacity, SlowConsumer::Close)
    }

    fn text(text: &str) -> Payload {
        Payload::Text(text.to_owned().into())
    }

    fn push(outbox: &Outbox, message: &str) -> bool {
        outbox.push(text(message)) == Queued::Yes
    }

    /// What is still to be written.
    fn written(outbox: &Outbox) -> Vec<String> {
        let unsent = outbox.shut().into_iter();
        unsent.map(|out| String::from_utf8_lossy(out.payload.bytes()).into_owned()).collect()
    }

    fn close() -> Ending {
        Ending::Close(CloseFrame { code: 1000.into(), reason: "".into() })
    }

    #[test]
    fn a_close_waits_for_what_was_sent_before_and_takes_nothing_after() {
        let outbox = outbox(2);
        assert!(push(&outbox, "a"));
        outbox.end(close());
        assert!(!push(&outbox, "b"));
        assert!(matches!(next(&outbox), Some(Next::Message(out)) if out.payload == text("a")));
        assert!(matches!(next(&outbox), Some(Next::End(Ending::Close(_)))));
    }

    #[test]
    fn one_message_too_many_gives_the_client_up() {
        let outbox = outbox(2);
        assert!(push(&outbox, "a") && push(&outbox, "b"));
        assert!(outbox.room().now_or_never().is_none());
        assert!(outbox.interrupted().now_or_never().is_none());
        assert!(!push(&outbox, "c"));
        assert!(outbox.interrupted().now_or_never().is_some());
        assert!(matches!(next(&outbox), Some(Next::End(Ending::TooSlow))));
        outbox.end(close());
        assert!(matches!(next(&outbox), Some(Next::End(Ending::TooSlow))));
        assert!(outbox.shut().is_empty());
    }

    #[test]
    fn large_answers_leave_no_room_and_messages_still_fit() {
        let outbox = outbox(4);
        outbox.answer(text(&"x".repeat(MOST_BYTES)), None);
        assert!(outbox.room().now_or_never().is_none());
        assert!(push(&outbox, "a"), "only their number counts");
        assert!(matches!(next(&outbox), Some(Next::Message(_))));
        assert!(outbox.room().now_or_never().is_some());
    }

    #[test]
    fn a_stream_leaves_half_of_the_queue_to_others() {
        let outbox = outbox(4);
        let room = || outbox.room_for_item().now_or_never();
        assert_eq!(room(), Some(true));
        outbox.answer(text("a"), None);
        outbox.answer(text("b"), None);
        assert_eq!(room(), None);
        assert!(push(&outbox, "c") && outbox.room().now_or_never().is_some());
        assert!(next(&outbox).is_some() && next(&outbox).is_some());
        assert_eq!(room(), Some(true));
        outbox.end(close());
        assert_eq!(room(), Some(false));
    }

    #[test]
    fn a_ping_comes_first_and_the_stop_of_the_process_before_all() {
        let outbox = outbox(2);
        assert!(next(&outbox).is_none());
        push(&outbox, "a");
        outbox.ping();
        assert!(matches!(next(&outbox), Some(Next::Ping)));
        outbox.end(close());
        outbox.end(Ending::GoingAway);
        assert!(matches!(next(&outbox), Some(Next::End(Ending::GoingAway))));
        assert_eq!(outbox.shut().len(), 1);
    }

    #[test]
    fn the_oldest_push_makes_room_and_answers_and_requests_stay() {
        let outbox = Outbox::new(3, SlowConsumer::DropOldest);
        outbox.answer(text("answer"), None);
        assert!(outbox.request(text("request")));
        assert!(push(&outbox, "1"));
        assert_eq!(outbox.push(text("2")), Queued::Dropped { first: true });
        assert_eq!(outbox.push(text("3")), Queued::Dropped { first: false });
        assert_eq!(outbox.answer(text("another"), None), Queued::Dropped { first: false });
        assert_eq!(outbox.push(text("4")), Queued::Dropped { first: false }, "itself");
        assert!(outbox.request(text("late")), "it is waited for");
        assert_eq!(outbox.dropped(), 4);
        assert_eq!(written(&outbox), ["answer", "request", "another", "late"]);
        assert_eq!(outbox.push(text("5")), Queued::Refused);
    }

    #[test]
    fn pushes_that_can_be_dropped_hold_up_no_answer() {
        let outbox = Outbox::new(2, SlowConsumer::DropOldest);
        assert!(push(&outbox, &"x".repeat(MOST_BYTES)) && push(&outbox, "b"));
        assert!(outbox.room().now_or_never().is_some());
        outbox.answer(text("a"), None);
        outbox.answer(text("b"), None);
        assert!(outbox.room().now_or_never().is_none());
        assert!(next(&outbox).is_some() && outbox.room().now_or_never().is_some());
    }
}
