//! What one connection has to do: counted without locks.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::{sync::Notify, task, time::Instant};

/// What a [`Hold`] stands for. All are counted in one word, each in its own bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Work {
    /// A call whose answer is not written yet.
    Call = 1,
    /// A body that may go on for hours.
    LongLived = 1 << 20,
    /// A piece of a streamed body that hyper has not written yet.
    Piece = 1 << 40,
}

const FIELD: u64 = (1 << 20) - 1;
const LONG_LIVED: u64 = FIELD * Work::LongLived as u64;

/// The work of one connection, and how it is told to stop.
///
/// Everything that decides about stopping is sequentially consistent: either the one who ends a
/// call sees that the listener is stopping and reports it, or the one who stops sees the call
/// ended.
pub(crate) struct Load {
    work: AtomicU64,
    http2: AtomicBool,
    blocked: AtomicBool,
    cut: AtomicBool,
    heard: AtomicBool,
    body: AtomicBool,
    /// How many bodies are not read to their end.
    reading: AtomicU32,
    calls: AtomicU32,
    /// How many calls of HTTP/2 have come in whose handlers have not begun.
    fresh: AtomicU32,
    made: Instant,
    /// When the last call began, in nanoseconds since `made`: atomics hold no [`Instant`].
    began: AtomicU64,
    writes: AtomicU32,
    unwritten: AtomicU32,
    left: AtomicU32,
    stopping: AtomicBool,
    shut: AtomicBool,
    task: AtomicWaker,
    /// Whether `task` has the waker of the connection's task.
    told: AtomicBool,
    changed: Arc<Notify>,
}

impl Load {
    /// `changed` is notified of what matters to those who wait for the listener to stop.
    pub(crate) fn new(changed: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            work: AtomicU64::new(0),
            http2: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            heard: AtomicBool::new(true),
            body: AtomicBool::new(false),
            reading: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            fresh: AtomicU32::new(0),
            made: Instant::now(),
            began: AtomicU64::new(0),
            writes: AtomicU32::new(0),
            unwritten: AtomicU32::new(0),
            left: AtomicU32::new(0),
            stopping: AtomicBool::new(false),
            shut: AtomicBool::new(false),
            task: AtomicWaker::new(),
            told: AtomicBool::new(false),
            changed,
        })
    }

    /// Counts `work` until the hold is dropped.
    pub(crate) fn hold(self: &Arc<Self>, work: Work) -> Hold {
        self.work.fetch_add(work as u64, SeqCst);
        Hold { load: Arc::clone(self), work, is_written: false }
    }

    /// The calls whose answers are not written yet, long-lived ones excepted.
    pub(crate) fn active(&self) -> usize {
        (self.work.load(SeqCst) & FIELD) as usize
    }

    /// Whether there is nothing at all to do for this connection.
    pub(crate) fn is_idle(&self) -> bool {
        self.has_no_work() && !self.blocked.load(SeqCst)
    }

    /// Whether no call is under way, nor anything of one left to be written.
    pub(crate) fn has_no_work(&self) -> bool {
        self.work.load(SeqCst) == 0
    }

    /// Whether only time will tell when this connection ends.
    pub(crate) fn is_long_lived(&self) -> bool {
        self.work.load(SeqCst) & LONG_LIVED != 0
    }

    /// Whether the peer knows of the stop and every answer is written. A stream that its reader
    /// does not keep up with does not matter.
    pub(crate) fn is_drained(&self) -> bool {
        let work = self.work.load(SeqCst);
        let written = work & LONG_LIVED != 0 || !self.blocked.load(SeqCst);
        self.shut.load(SeqCst) && !is_busy(work) && written
    }

    /// Whether the peer keeps an answer from being written. A stream may wait for its reader.
    pub(crate) fn is_unread(&self) -> bool {
        self.blocked.load(SeqCst) && !self.is_long_lived()
    }

    /// Says whether bytes wait for the peer to read.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        if self.blocked.load(SeqCst) != blocked {
            self.blocked.store(blocked, SeqCst);
            self.report();
        }
    }

    /// Remembers that bytes have come in. This and what follows is written by the connection's own
    /// task only, so that nothing has to be exchanged with others.
    pub(crate) fn hears(&self) {
        if !self.heard.load(Relaxed) {
            self.heard.store(true, Relaxed);
        }
    }

    /// Whether bytes have come in since the last call began, or at all where there was none; at
    /// first, whether the peer is expected to begin.
    pub(crate) fn has_heard(&self) -> bool {
        self.heard.load(Relaxed)
    }

    /// The head of a call has come in.
    pub(crate) fn begins(&self, now: Instant) {
        // Enough for 584 years.
        self.began.store(now.saturating_duration_since(self.made).as_nanos() as u64, Relaxed);
        self.calls.store(self.calls.load(Relaxed).wrapping_add(1), Relaxed);
        self.heard.store(false, Relaxed);
    }

    /// When the last call began.
    pub(crate) fn began(&self) -> Instant {
        self.made + Duration::from_nanos(self.began.load(Relaxed))
    }

    /// Remembers whether the last call has a body, of which some may come when it is answered.
    pub(crate) fn reads_body(&self, body: bool) {
        self.body.store(body, Relaxed);
    }

    pub(crate) fn has_body(&self) -> bool {
        self.body.load(Relaxed)
    }

    /// The body of the call under way is going to be read, until what comes back is dropped.
    pub(crate) fn read_body(self: &Arc<Self>) -> Reading {
        self.reading.fetch_add(1, SeqCst);
        Reading { load: Arc::clone(self), task: task::try_id() }
    }

    /// Whether some of a body may not be read yet, though it has come in.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading.load(SeqCst) > 0
    }

    /// Tells one moment without a call from another.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Relaxed)
    }

    /// Counts a call whose handler begins as soon as a thread is free for it, until
    /// [`handles`](Self::handles).
    pub(crate) fn takes(&self) {
        self.fresh.fetch_add(1, Relaxed);
    }

    /// The handler of a call begins, or never will.
    pub(crate) fn handles(&self) {
        self.fresh.fetch_sub(1, Relaxed);
    }

    /// Whether there are calls whose handlers have not begun.
    pub(crate) fn has_fresh_calls(&self) -> bool {
        self.fresh.load(Relaxed) > 0
    }

    /// Remembers that the socket has taken bytes. On HTTP/2, while it takes all, they may be answers
    /// to pings, which are no reason to wait for the peer any longer: what counts then is what
    /// leaves its stream, see [`sent`](Self::sent).
    pub(crate) fn wrote(&self) {
        if !self.http2.load(Relaxed) || self.blocked.load(Relaxed) {
            self.progressed();
        }
    }

    /// Remembers that bytes of a body have left their stream.
    pub(crate) fn sent(&self) {
        if self.http2.load(Relaxed) {
            self.progressed();
        }
    }

    fn progressed(&self) {
        self.writes.store(self.writes.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Changes whenever bytes are written for which the peer has made room.
    pub(crate) fn writes(&self) -> u32 {
        self.writes.load(Relaxed)
    }

    /// Whether something waits for the peer to read, be it the socket or a stream of HTTP/2.
    pub(crate) fn is_waiting(&self) -> bool {
        self.blocked.load(Relaxed) || self.unwritten.load(Relaxed) > 0
    }

    /// The connection is ended without regard to what is left to write.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }

    /// Remembers that the connection speaks HTTP/2.
    pub(crate) fn speaks_http2(&self) {
        // A load first: writing would take the cache line from the other core for every call.
        if !self.http2.load(SeqCst) {
            self.http2.store(true, SeqCst);
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2.load(SeqCst)
    }

    /// Asks the connection's task to shut down gracefully.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, SeqCst);
        self.wake();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    fn wake(&self) {
        self.told.store(false, SeqCst);
        self.task.wake();
    }

    /// `task` is woken when the connection has to be looked at though nothing has come over it. Its
    /// waker stays the same, and is taken away only by being woken.
    pub(crate) fn register(&self, task: &Waker) {
        if !self.told.load(SeqCst) {
            self.told.store(true, SeqCst);
            self.task.register(task);
            // Whoever has woken meanwhile has found nobody.
            if !self.told.load(SeqCst) {
                task.wake_by_ref();
            }
        }
    }

    /// Lets go of the connection's task, which has ended: its waker would keep all of the task's
    /// memory for as long as what it was upgraded to lives.
    pub(crate) fn forget_task(&self) {
        drop(self.task.take());
    }

    /// The peer has been told that no further call is taken.
    pub(crate) fn mark_shut(&self) {
        self.shut.store(true, SeqCst);
        self.changed.notify_waiters();
    }

    /// Counts a call that goes on although its client has left it; none where there are `most`.
    pub(crate) fn leave_behind(self: &Arc<Self>, most: u32) -> Option<Left> {
        let left = Left(Arc::clone(self));
        (self.left.fetch_add(1, Relaxed) < most).then_some(left)
    }

    fn release(&self, work: Work) {
        let before = self.work.fetch_sub(work as u64, SeqCst);
        let now_free = is_busy(before) && !is_busy(before - work as u64);
        if now_free {
            self.report();
        }
    }

    fn report(&self) {
        if self.is_stopping() {
            self.changed.notify_waiters();
        }
    }
}

fn is_busy(work: u64) -> bool {
    work & !LONG_LIVED != 0
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("active", &self.active()).finish_non_exhaustive()
    }
}

/// Some work of a connection, which ends when this is dropped, in whatever way.
#[derive(Debug)]
pub(crate) struct Hold {
    load: Arc<Load>,
    work: Work,
    /// Whether it has become bytes that are to be written.
    is_written: bool,
}

impl Hold {
    pub(crate) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    pub(crate) fn is_long_lived(&self) -> bool {
        self.work == Work::LongLived
    }

    /// What it stands for is bytes now. On HTTP/2 they may wait although the socket takes all, for
    /// the peer to say that it has room (RFC 9113, section 5.2).
    pub(crate) fn into_bytes(mut self) -> Self {
        if self.load.is_http2() && !self.is_long_lived() {
            self.load.unwritten.fetch_add(1, Relaxed);
            self.is_written = true;
        }
        self
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.is_written {
            self.load.unwritten.fetch_sub(1, Relaxed);
        }
        self.load.release(self.work);
    }
}

/// The body of a call over HTTP/1 that is not at its end yet.
#[derive(Debug)]
pub(crate) struct Reading {
    load: Arc<Load>,
    /// That of the connection.
    task: Option<task::Id>,
}

/// Who reads it in another task leaves it to the connection's to see whether the client has left.
impl Drop for Reading {
    fn drop(&mut self) {
        self.load.reading.fetch_sub(1, SeqCst);
        if task::try_id() != self.task {
            self.load.wake();
        }
    }
}

/// A call that goes on although its client has left.
#[derive(Debug)]
pub(crate) struct Left(Arc<Load>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.left.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_work_are_counted_apart() {
        let load = Load::new(Arc::default());
        let call = load.hold(Work::Call);
        let stream = load.hold(Work::LongLived);
        let piece = load.hold(Work::Piece);
        assert_eq!((load.active(), load.is_long_lived()), (1, true));

        load.mark_shut();
        drop(call);
        assert_eq!(load.active(), 0);
        assert!(!load.is_drained(), "a piece is not written yet");

        drop(piece);
        assert!(load.is_drained() && !load.is_idle());

        drop(stream);
        assert!(load.is_idle() && !load.is_long_lived());
    }

    #[test]
    fn a_peer_that_does_not_read_holds_except_for_its_stream() {
        let load = Load::new(Arc::default());
        load.mark_shut();
        load.set_blocked(true);
        assert!(!load.is_drained() && !load.is_idle());

        let stream = load.hold(Work::LongLived);
        assert!(load.is_drained());

        drop(stream);
        load.set_blocked(false);
        assert!(load.is_drained() && load.is_idle());
    }
}
