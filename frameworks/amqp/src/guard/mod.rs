//! Stands between the broker's socket and lapin, which would die of what others may send.
//!
//! RabbitMQ passes on what publishers write into the properties of messages, and lapin gives the
//! whole connection up where one of their names is not UTF-8, and overflows its stack where tables
//! are nested deep: a single message, delivered again and again, would end all consuming, or the
//! process. So every frame that holds such fields is mended in place before lapin reads it.

mod fields;
mod frames;
mod tasks;

use std::{
    future::Future,
    io::{self, Read, Write},
    net::SocketAddr,
    pin::Pin,
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
use tokio::{
    io::{AsyncRead as TokioRead, Join, ReadBuf, join},
    net::TcpStream,
};
use tokio_util::io::poll_read_buf;

use self::{frames::Frames, tasks::Tasks};
use crate::{
    pace::Pace,
    socket::{Reading, Writing},
};

/// How much is read from the socket at once, in bytes.
const AT_ONCE: usize = 16 * 1024;

/// A socket whose frames are safe to parse.
pub(crate) type Guarded = Compat<Join<Guard, Writing>>;

/// Guards a socket, by its two directions.
pub(crate) fn guard(reading: Reading, writing: Writing) -> Guarded {
    join(Guard { reading, frames: Frames::default() }, writing).compat()
}

/// What lapin reads of what the broker sends in these pieces.
#[cfg(feature = "fuzzing")]
pub(crate) fn passed_on<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut frames, mut all) = (Frames::default(), Vec::new());
    for piece in pieces {
        frames.room(piece.len()).extend_from_slice(piece);
        frames.mend();
        frames.pour_all(&mut all);
    }
    frames.release_all();
    frames.pour_all(&mut all);
    all
}

/// What lapin runs on: this tokio runtime, with guarded sockets, where somebody may keep pace.
pub(crate) fn runtime(pace: Pace) -> Runtime<RuntimeParts<Tasks, Sockets>> {
    let tokio = Tokio::current();
    Runtime::new(RuntimeParts::new(Tasks { tokio: tokio.clone(), pace }, Sockets(tokio)))
}

/// The reading half of a guarded socket.
pub(crate) struct Guard {
    reading: Reading,
    frames: Frames,
}

impl TokioRead for Guard {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { reading, frames } = self.get_mut();
        while !frames.is_ready() {
            let bytes = frames.room(AT_ONCE);
            if ready!(poll_read_buf(Pin::new(&mut *reading), cx, bytes))? == 0 {
                frames.release_all();
                break;
            }
            frames.mend();
        }
        frames.pour(buffer);
        Poll::Ready(Ok(()))
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
    Ok(guard(Box::new(reading), Box::new(writing)))
}
