//! Both directions of a connection, for the one task that polls them.

use std::{
    future::poll_fn,
    io::{self, Read, Write},
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use polyport_listener::UpgradedIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};

/// A client's socket as tungstenite speaks on it.
///
/// What reads and what writes are polled by one task, so that it needs neither halves in an
/// allocation of their own nor wakers for each of them. Nobody else locks it.
pub(crate) struct Duplex(Mutex<Option<State>>);

struct State {
    socket: WebSocket<Blocking>,
    /// An error was given out, and nothing more is read.
    ended: bool,
    /// The system has not taken all that was written.
    blocked: bool,
}

type Result<T> = std::result::Result<T, Error>;

impl Duplex {
    /// The server's side.
    pub(crate) fn new(io: UpgradedIo, read: &[u8], config: WebSocketConfig) -> Self {
        let io = Blocking { io, task: Waker::noop().clone() };
        let socket = match read {
            [] => WebSocket::from_raw_socket(io, Role::Server, Some(config)),
            read => WebSocket::from_partially_read(io, read.to_vec(), Role::Server, Some(config)),
        };
        Self(Mutex::new(Some(State { socket, ended: false, blocked: false })))
    }

    /// The next message; none at the end. Sends answers to pings and to a close frame, too.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Message>>> {
        let mut state = self.state();
        let Some(state) = begin(&mut state, cx).filter(|state| !state.ended) else {
            return Poll::Ready(None);
        };
        let read = ready!(unblocked(state.socket.read()));
        state.ended = read.is_err();
        Poll::Ready(match read {
            Err(Error::AlreadyClosed | Error::ConnectionClosed) => None,
            read => Some(read),
        })
    }

    /// Takes the message as soon as what was written before is out of the way; then, if asked to
    /// `flush`, resolves when the system has all of it.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
        flush: bool,
    ) -> Poll<Result<()>> {
        let mut state = self.state();
        let Some(state) = begin(&mut state, cx) else {
            return Poll::Ready(Err(Error::AlreadyClosed));
        };
        if message.is_some() && state.blocked {
            ready!(state.poll_flush())?;
        }
        if let Some(message) = message.take() {
            state.write(message)?;
        }
        if flush { state.poll_flush() } else { Poll::Ready(Ok(())) }
    }

    /// Sends a message, and all before it.
    pub(crate) async fn send(&self, message: Message) -> Result<()> {
        let mut message = Some(message);
        poll_fn(|cx| self.poll_write(cx, &mut message, true)).await
    }

    /// What it speaks on; past tungstenite.
    pub(crate) fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut UpgradedIo>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut *self.state() {
            Some(state) => poll(Pin::new(&mut state.socket.get_mut().io), cx),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Closes the socket.
    pub(crate) fn close(&self) {
        let closed = self.state().take();
        drop(closed);
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the task woken when there is something to do; none where the socket is closed.
fn begin<'s>(state: &'s mut Option<State>, cx: &Context<'_>) -> Option<&'s mut State> {
    let state = state.as_mut()?;
    state.socket.get_mut().task.clone_from(cx.waker());
    Some(state)
}

impl State {
    fn write(&mut self, message: Message) -> Result<()> {
        let written = unblocked(self.socket.write(message));
        // It is queued all the same.
        self.blocked = written.is_pending();
        if let Poll::Ready(written) = written { written } else { Ok(()) }
    }

    fn poll_flush(&mut self) -> Poll<Result<()>> {
        let flushed = ready!(unblocked(self.socket.flush()));
        self.blocked = false;
        Poll::Ready(match flushed {
            // Both sides have said goodbye, and all is written.
            Err(Error::ConnectionClosed) => Ok(()),
            flushed => flushed,
        })
    }
}

fn unblocked<T>(result: Result<T>) -> Poll<Result<T>> {
    match result {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// A socket that says that it would block, and wakes the task that was told so.
struct Blocking {
    io: UpgradedIo,
    task: Waker,
}

impl Blocking {
    fn poll<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut UpgradedIo>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        match poll(Pin::new(&mut self.io), &mut Context::from_waker(&self.task)) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        self.poll(|io, cx| io.poll_read(cx, &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

impl Write for Blocking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.poll(|io, cx| io.poll_write(cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.poll(AsyncWrite::poll_flush)
    }
}
