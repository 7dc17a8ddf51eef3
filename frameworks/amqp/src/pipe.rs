//! The client's end of a pipe to the broker in this process. It can be cut, as a socket can be shut
//! down, and knows when the thread that reads it has nothing left to do.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, ReadHalf, WriteHalf, split};

use crate::pace::Pace;

/// What both halves of a pipe share with who cuts it.
#[derive(Debug)]
pub(crate) struct Line {
    pace: Pace,
    state: Mutex<State>,
    came_round: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How often the thread was asked to come round, the first time by being started.
    asked: u64,
    /// Of these, how many it knew of when it last had read everything.
    heard: u64,
    /// After how many of these it has looked at everything once more.
    done: u64,
    reader: Option<Waker>,
    writer: Option<Waker>,
    is_cut: bool,
    is_over: bool,
}

/// What is read by lapin.
pub(crate) struct PipeReader {
    line: Arc<Line>,
    half: ReadHalf<DuplexStream>,
}

/// What is written by lapin.
pub(crate) struct PipeWriter {
    line: Arc<Line>,
    half: WriteHalf<DuplexStream>,
}

/// Cuts the pipe when it is dropped.
#[derive(Debug)]
pub(crate) struct Cut(Arc<Line>);

/// Both halves of a pipe, and what cuts it.
pub(crate) fn open(pipe: DuplexStream, pace: Pace) -> (PipeReader, PipeWriter, Cut) {
    let state = Mutex::new(State { asked: 1, ..State::default() });
    let line = Arc::new(Line { pace, state, came_round: Condvar::new() });
    line.pace.watch(&line);
    let (reading, writing) = split(pipe);
    (
        PipeReader { line: Arc::clone(&line), half: reading },
        PipeWriter { line: Arc::clone(&line), half: writing },
        Cut(line),
    )
}

impl Line {
    /// Asks the thread to look at everything once more.
    pub(crate) fn ask(&self) {
        let mut state = self.state();
        state.asked += 1;
        state.reader.iter().for_each(Waker::wake_by_ref);
    }

    /// Whether the thread has done what it was asked for last; waits so long for that.
    pub(crate) fn is_done(&self, wait: Duration) -> bool {
        let state = self.state();
        let is_open = |state: &mut State| !state.is_over && state.done < state.asked;
        let waited = self.came_round.wait_timeout_while(state, wait, is_open);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Nobody waits for the thread any more.
    pub(crate) fn give_up(&self) {
        self.state().is_over = true;
        self.came_round.notify_all();
    }

    /// The thread has read everything. It comes round twice: what it has read by now it handles
    /// after this, and writes what that has brought about before it reads again.
    fn come_round(&self, waker: &Waker) {
        let mut state = self.state();
        state.reader = Some(waker.clone());
        if state.is_cut || state.heard < state.asked {
            state.heard = state.asked;
            waker.wake_by_ref();
        } else if state.done < state.heard {
            state.done = state.heard;
            self.came_round.notify_all();
        }
    }

    /// What wakes the thread when it can write on; none where the pipe is cut.
    fn waits_to_write(&self, waker: &Waker) -> Option<Waker> {
        let mut state = self.state();
        state.writer = Some(waker.clone());
        (!state.is_cut).then(|| self.relay(waker))
    }

    /// Wakes the thread when there is something to be read or written again, which then has
    /// something to do.
    fn relay(&self, waker: &Waker) -> Waker {
        match self.pace.is_kept() {
            true => Arc::new(Relay { pace: self.pace.clone(), waker: waker.clone() }).into(),
            false => waker.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Relay {
    pace: Pace,
    waker: Waker,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.pace.stir();
        self.waker.wake_by_ref();
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.line.state().is_cut {
            // The end of the stream.
            return Poll::Ready(Ok(()));
        }
        let relay = self.line.relay(cx.waker());
        let read = Pin::new(&mut self.half).poll_read(&mut Context::from_waker(&relay), buffer);
        if read.is_pending() {
            self.line.come_round(cx.waker());
        }
        read
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.line.give_up();
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { line, half } = self.get_mut();
        match line.waits_to_write(cx.waker()) {
            Some(relay) => Pin::new(half).poll_write(&mut Context::from_waker(&relay), bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().half).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().half).poll_shutdown(cx)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_cut = true;
        let State { reader, writer, .. } = &*state;
        reader.iter().chain(writer).for_each(Waker::wake_by_ref);
    }
}
