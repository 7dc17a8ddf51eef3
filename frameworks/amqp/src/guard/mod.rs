//! Stands between the broker's socket and lapin, which would die of what others may send.
//!
//! RabbitMQ passes on what publishers write into the properties of messages, and lapin gives the
//! whole connection up where one of their names is not UTF-8, and overflows its stack where tables
//! are nested deep: a single message, delivered again and again, would end all consuming, or the
//! process. So every frame that holds such fields is mended in place before lapin reads it.
//!
//! What there is much of goes past lapin altogether, whose thread would be woken for each message:
//! deliveries, confirmations and returned messages are taken out of what comes ([`Taps`]), and
//! messages and acknowledgements are written between lapin's own frames ([`Outlet`]). lapin opens and
//! closes the connection and its channels, and does all that is seldom.

mod fields;
mod frames;
mod outlet;
pub(crate) mod speech;
mod taps;
mod tasks;

use std::{
    future::Future,
    io::{self, Read, Write},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_compat::{Compat, CompatExt};
use async_rs::{
    Runtime, Tokio,
    traits::Reactor,
    util::{DummyIO, RuntimeParts},
};
use futures_util::{AsyncRead, AsyncWrite, Stream};
use polyport_bootstrap::framework::at_home;
use tokio::{
    io::{
        AsyncRead as TokioRead, AsyncReadExt, AsyncWriteExt, DuplexStream, Join, ReadBuf, duplex,
        join,
    },
    net::TcpStream,
};
use tokio_util::{io::poll_read_buf, task::AbortOnDropHandle};

use self::{frames::Frames, outlet::LapinsEnd, tasks::Tasks};
pub(crate) use self::{
    outlet::{Outlet, Voice},
    taps::{Answers, Closed, Delivered, Deliveries, Heard, Returned, Taps},
};
use crate::{
    pace::Pace,
    socket::{Reading, Writing},
};

/// How much is read from the socket at once, in bytes.
const AT_ONCE: usize = 16 * 1024;

/// How many bytes may be on their way from there to lapin.
const AHEAD: usize = 64 * 1024;

/// A socket whose frames are safe to parse.
pub(crate) type Guarded = Compat<Join<Guard, LapinsEnd>>;

/// Who reads from a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// lapin's thread, which is woken for whatever comes. Best where most of it is for lapin.
    Lapin,
    /// A task, so that nobody else is woken for what goes past lapin.
    Task,
}

/// Guards a socket, by its two directions; what is tapped lapin does not see.
pub(crate) fn guard(
    reading: Reading,
    writing: Writing,
    taps: Taps,
    reader: Reader,
) -> (Guarded, Outlet) {
    let frames = Frames::tapped_by(taps);
    let guard = match reader {
        Reader::Lapin => Half::Here { reading, frames },
        Reader::Task => Half::by_task(reading, frames),
    };
    let (lapins_end, outlet) = outlet::share(writing);
    (join(Guard(guard), lapins_end).compat(), outlet)
}

/// What lapin reads of what the broker sends in these pieces.
#[cfg(feature = "fuzzing")]
pub(crate) fn passed_on<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut frames, mut all) = (Frames::default(), Vec::new());
    for piece in pieces {
        frames.room(piece.len()).extend_from_slice(piece);
        frames.mend();
        all.extend_from_slice(&frames.ready().split());
    }
    frames.release_all();
    all.extend_from_slice(frames.ready());
    all
}

/// The messages on channel 1 that go past lapin, of what the broker sends in these pieces.
#[cfg(feature = "fuzzing")]
pub(crate) fn tapped<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<(u64, bytes::Bytes)> {
    let taps = Taps::default();
    let (mut deliveries, mut all) = (taps.deliveries(1), Vec::new());
    let mut frames = Frames::tapped_by(taps);
    for piece in pieces {
        frames.room(piece.len()).extend_from_slice(piece);
        frames.mend();
        frames.ready().clear();
        while let Ok(some) = deliveries.try_recv() {
            all.extend(some.into_iter().map(|one| (one.tag, one.body)));
        }
    }
    all
}

/// What lapin runs on: this tokio runtime, with guarded sockets, where somebody may keep pace.
pub(crate) fn runtime(pace: Pace) -> Runtime<RuntimeParts<Tasks, Sockets>> {
    let tokio = Tokio::current();
    Runtime::new(RuntimeParts::new(Tasks { tokio: tokio.clone(), pace }, Sockets(tokio)))
}

/// Why nothing can be read any more.
type Trouble = Arc<Mutex<Option<io::Error>>>;

/// Reads until the broker or lapin has closed, and passes on what is for lapin.
async fn pump(mut reading: Reading, mut frames: Frames, mut lapin: DuplexStream, trouble: Trouble) {
    let read = async {
        while reading.read_buf(frames.room(AT_ONCE)).await? > 0 {
            frames.mend();
            lapin.write_all_buf(frames.ready()).await?;
        }
        frames.release_all();
        lapin.write_all_buf(frames.ready()).await
    };
    let end: io::Result<()> = read.await;
    *trouble.lock().unwrap_or_else(PoisonError::into_inner) = end.err();
}

/// The reading half of a guarded socket.
pub(crate) struct Guard(Half);

enum Half {
    Here { reading: Reading, frames: Frames },
    There { near: DuplexStream, trouble: Trouble, _pump: AbortOnDropHandle<()> },
}

impl Half {
    fn by_task(reading: Reading, frames: Frames) -> Self {
        let ((near, far), trouble) = (duplex(AHEAD), Trouble::default());
        let pump = pump(reading, frames, far, Arc::clone(&trouble));
        let pump = AbortOnDropHandle::new(tokio::spawn(at_home(pump)));
        Self::There { near, trouble, _pump: pump }
    }
}

fn poll_here(
    reading: &mut Reading,
    frames: &mut Frames,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    while frames.ready().is_empty() {
        let bytes = frames.room(AT_ONCE);
        if ready!(poll_read_buf(Pin::new(&mut *reading), cx, bytes))? == 0 {
            frames.release_all();
            break;
        }
        frames.mend();
    }
    let ready = frames.ready();
    let length = ready.len().min(buffer.remaining());
    buffer.put_slice(&ready.split_to(length));
    Poll::Ready(Ok(()))
}

fn poll_there(
    near: &mut DuplexStream,
    trouble: &Trouble,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let before = buffer.filled().len();
    ready!(Pin::new(near).poll_read(cx, buffer))?;
    let is_over = buffer.filled().len() == before && buffer.remaining() > 0;
    let trouble = || trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
    Poll::Ready(is_over.then(trouble).flatten().map_or(Ok(()), Err))
}

impl TokioRead for Guard {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Half::Here { reading, frames } => poll_here(reading, frames, cx, buffer),
            Half::There { near, trouble, .. } => poll_there(near, trouble, cx, buffer),
        }
    }
}

/// Makes guarded sockets.
#[derive(Debug, Clone)]
pub(crate) struct Sockets(Tokio);

impl Reactor for Sockets {
    type TcpStream = Guarded;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// lapin gets its sockets from us.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<DummyIO, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Guarded>> + Send + 'static {
        connect(address)
    }
}

async fn connect(address: SocketAddr) -> io::Result<Guarded> {
    let (reading, writing) = TcpStream::connect(address).await?.into_split();
    Ok(guard(Box::new(reading), Box::new(writing), Taps::default(), Reader::Lapin).0)
}
