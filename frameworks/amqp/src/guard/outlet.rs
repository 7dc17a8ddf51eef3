//! The writing half of a guarded socket, which lapin shares with those who speak past it: for each
//! message it would wake its thread, and be woken by it.

use std::{
    fmt,
    future::poll_fn,
    io, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use polyport_bootstrap::framework::at_home;
use tokio::io::AsyncWrite;
use tokio_util::task::AbortOnDropHandle;

use super::frames::{HEAD, METHOD, OVERHEAD, head};
use crate::socket::Writing;

/// With how many bytes that are not written lapin has to wait, where nobody else speaks. It never
/// waits for others: they may have something to write all the time.
const AT_MOST: usize = 256 * 1024;
/// How large a buffer is kept at most, in bytes.
const KEPT: usize = 64 * 1024;

/// What a client says first (AMQP 0-9-1, section 4.2.2).
const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";
/// Methods by their class and number (section 1.8).
const CHANNEL_CLOSE: [u8; 4] = [0, 20, 0, 40];
const CHANNEL_CLOSE_OK: [u8; 4] = [0, 20, 0, 41];
const CONNECTION_CLOSE: [u8; 4] = [0, 10, 0, 50];
const CONNECTION_CLOSE_OK: [u8; 4] = [0, 10, 0, 51];

/// Where everything is written. A cheap handle.
#[derive(Clone)]
pub(crate) struct Outlet(Arc<Mutex<State>>);

/// Speaks on one channel past lapin, until lapin has closed that.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    outlet: Outlet,
    id: Id,
}

/// A channel, and which voice it is of all: lapin uses the numbers of channels again.
type Id = (u16, u64);

/// Where lapin writes. Dropped, nobody can write any more.
pub(crate) struct LapinsEnd {
    outlet: Outlet,
    _driver: AbortOnDropHandle<()>,
}

struct State {
    /// None when nothing can be written any more.
    writing: Option<Writing>,
    /// Why, for lapin.
    trouble: Option<io::Error>,
    /// Whole frames, in their order.
    frames: Vec<u8>,
    /// How many bytes of them are written.
    written: usize,
    /// What lapin has written of a frame that is not whole yet.
    torn: Vec<u8>,
    /// Those that may speak.
    voices: Vec<Id>,
    latest: u64,
    /// The task that writes what could not be written at once.
    driver: Waker,
    lapin: Waker,
    /// Whether lapin waits until everything is written.
    lapin_waits: bool,
}

/// Shares a socket; what lapin gets, and who else may speak.
pub(super) fn share(writing: Writing) -> (LapinsEnd, Outlet) {
    let state = State {
        writing: Some(writing),
        trouble: None,
        frames: Vec::new(),
        written: 0,
        torn: Vec::new(),
        voices: Vec::new(),
        latest: 0,
        driver: Waker::noop().clone(),
        lapin: Waker::noop().clone(),
        lapin_waits: false,
    };
    let outlet = Outlet(Arc::new(Mutex::new(state)));
    let driver = AbortOnDropHandle::new(tokio::spawn(at_home(drive(outlet.clone()))));
    (LapinsEnd { outlet: outlet.clone(), _driver: driver }, outlet)
}

/// Writes whenever that is possible again.
async fn drive(outlet: Outlet) {
    poll_fn(|cx| {
        let mut state = outlet.lock();
        state.driver.clone_from(cx.waker());
        state.write();
        if state.writing.is_none() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Outlet {
    /// Lets somebody speak on a channel that lapin has opened.
    pub(crate) fn voice(&self, channel: u16) -> Voice {
        let mut state = self.lock();
        state.latest += 1;
        let id = (channel, state.latest);
        state.voices.push(id);
        state.wake_lapin();
        drop(state);
        Voice { outlet: self.clone(), id }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
}

impl Voice {
    pub(crate) fn channel(&self) -> u16 {
        self.id.0
    }

    /// Says whole frames of this channel, behind all that was said before, and empties the buffer.
    /// Whether they are on their way: not where the channel is closed. What cannot be written at
    /// once waits in memory.
    pub(crate) fn say(&self, frames: &mut Vec<u8>) -> bool {
        let mut state = self.outlet.lock();
        let is_open = state.writing.is_some() && state.voices.contains(&self.id);
        if is_open {
            state.add(frames);
            state.write();
        }
        frames.clear();
        frames.shrink_to(KEPT);
        is_open
    }

    /// Whether something that was said waits for the socket.
    pub(crate) fn is_waiting(&self) -> bool {
        self.outlet.lock().waiting() > 0
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.frames.len() - self.written
    }

    fn add(&mut self, frames: &mut Vec<u8>) {
        if self.frames.is_empty() {
            mem::swap(&mut self.frames, frames);
            return;
        }
        if self.written > self.frames.len() / 2 {
            self.frames.drain(..mem::take(&mut self.written));
        }
        self.frames.extend_from_slice(frames);
    }

    /// Takes what lapin writes, and passes on what is whole of it: nobody speaks within a frame.
    fn take(&mut self, bytes: &[u8]) {
        let mut torn = mem::take(&mut self.torn);
        torn.extend_from_slice(bytes);
        let mut passed = 0;
        while let Some(frame) = whole(&torn[passed..]) {
            self.note(frame);
            passed += frame.len();
        }
        self.torn = torn.split_off(passed);
        self.add(&mut torn);
    }

    /// Nobody says a word on a channel behind the one that closes it: the broker would close the
    /// whole connection for that.
    fn note(&mut self, frame: &[u8]) {
        let Some((channel, _)) = head(frame).filter(|_| frame[0] == METHOD) else { return };
        match frame[HEAD..].first_chunk() {
            Some(&CHANNEL_CLOSE | &CHANNEL_CLOSE_OK) => self.voices.retain(|id| id.0 != channel),
            Some(&CONNECTION_CLOSE | &CONNECTION_CLOSE_OK) => self.voices.clear(),
            _ => {}
        }
    }

    /// Writes what can be written now; for the rest the task is woken. Where that fails lapin is
    /// told, which gives the connection up.
    fn write(&mut self) {
        let written = self.write_frames();
        if let Poll::Ready(Err(error)) = written {
            (self.writing, self.trouble) = (None, Some(error));
            self.lapin_waits = true;
            self.wake_lapin();
        } else if written.is_ready() {
            self.wake_lapin();
        }
    }

    fn wake_lapin(&mut self) {
        if mem::take(&mut self.lapin_waits) {
            self.lapin.wake_by_ref();
        }
    }

    fn write_frames(&mut self) -> Poll<io::Result<()>> {
        let Self { writing: Some(writing), frames, written, driver, .. } = self else {
            return Poll::Ready(Ok(()));
        };
        let mut context = Context::from_waker(driver);
        while *written < frames.len() {
            let rest = &frames[*written..];
            match ready!(Pin::new(&mut *writing).poll_write(&mut context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                length => *written += length,
            }
        }
        *written = 0;
        frames.clear();
        frames.shrink_to(KEPT);
        Pin::new(writing).poll_flush(&mut context)
    }

    /// What lapin is told where there is no room for more than `most` bytes that are not written.
    fn room(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<()>> {
        self.lapin.clone_from(cx.waker());
        self.write();
        if self.writing.is_none() {
            let trouble = self.trouble.take();
            return Poll::Ready(Err(trouble.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())));
        }
        if self.waiting() > most {
            self.lapin_waits = true;
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// With how many bytes that are not written lapin has to wait.
    fn most(&self) -> usize {
        if self.voices.is_empty() { AT_MOST } else { usize::MAX }
    }
}

/// The first frame, if it is whole.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.starts_with(PROTOCOL_HEADER) {
        return bytes.get(..PROTOCOL_HEADER.len());
    }
    let (_, size) = head(bytes)?;
    bytes.get(..size.checked_add(OVERHEAD)?)
}

impl AsyncWrite for LapinsEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.outlet.lock();
        let most = state.most();
        ready!(state.room(cx, most))?;
        state.take(bytes);
        state.write();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.outlet.lock();
        let most = state.most();
        state.room(cx, most)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.outlet.lock();
        state.voices.clear();
        ready!(state.room(cx, 0))?;
        match &mut state.writing {
            Some(writing) => Pin::new(writing).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for LapinsEnd {
    fn drop(&mut self) {
        self.outlet.lock().writing = None;
    }
}

#[cfg(test)]
mod tests;
