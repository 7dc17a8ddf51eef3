//! The bytes of a connection, watched for a peer that does not read, writes nothing, or leaves.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::{admission::Place, bind::Stream, control::ControlFrames, load::Load};

/// A client's socket. It tells its connection's load what has come in, what was written, and
/// whether something is left to write: hyper writes all that it has until the socket is full, so
/// what has been handed to it is written unless the last write is pending.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    /// None once it was upgraded: nobody looks at it any more.
    load: Option<Arc<Load>>,
    watch: Watch,
    /// Whether the client was told that nothing more is written.
    is_shut: bool,
    /// Left with the socket, so that one that was upgraded has it too.
    _place: Place,
}

/// Whether a client is watched for leaving while it waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// hyper does it: it reads ahead.
    Hyper,
    Socket,
    /// Bytes are there that nobody has read: what is behind them cannot be seen.
    Hidden,
}

macro_rules! each {
    ($self:expr, $stream:ident => $call:expr) => {
        match &mut $self {
            Stream::Tcp($stream) => $call,
            #[cfg(unix)]
            Stream::Unix($stream) => $call,
            Stream::Memory($stream) => $call,
        }
    };
}

impl Socket {
    pub(crate) fn new(stream: Stream, load: Arc<Load>, place: Place) -> Self {
        Self { stream, load: Some(load), watch: Watch::Hyper, is_shut: false, _place: place }
    }

    /// Fails if the client has left while a call of it is under way; else the task is woken when it
    /// does. hyper would read in order to see that, for each call, even one that is answered at
    /// once, and make itself a new buffer for it, since the call still holds the one with its head.
    /// As long as a body is read, hyper has more of what came before the end, and meets that itself.
    fn check_left(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let (Watch::Socket, Some(load), Stream::Tcp(stream)) =
            (self.watch, &self.load, &self.stream)
        else {
            return Ok(());
        };
        if load.has_no_work() || load.is_reading() {
            return Ok(());
        }
        match stream.poll_peek(cx, &mut ReadBuf::new(&mut [0])) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(1..)) => {
                self.watch = Watch::Hidden;
                Ok(())
            }
            Poll::Ready(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    /// Takes what the client sends until it ends the connection, too, which it does when it has read
    /// all that was written. A socket that is closed while something of it is unread is reset, and
    /// what is still on its way to the client is lost. Where the process does not stop, and on
    /// HTTP/1, whose clients may keep an idle connection, this is over at once.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.load.as_ref().is_some_and(|load| load.is_http2() && load.is_stopping()) {
            let (mut bytes, stream) = ([0; 1024], &mut self.stream);
            let mut unread = ReadBuf::new(&mut bytes);
            let read = each!(*stream, stream => Pin::new(stream).poll_read(cx, &mut unread));
            if ready!(read).is_err() || unread.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(())
    }

    fn note(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Some(load) = &self.load {
            // Before it is said that the socket takes bytes again: these were waited for.
            if let Poll::Ready(Ok(1..)) = written {
                load.wrote();
            }
            load.set_blocked(written.is_pending());
        }
        if written.is_pending() {
            self.check_left(cx)?;
        }
        written
    }
}

/// What is unread by a peer that was cut is not kept for it.
impl Drop for Socket {
    fn drop(&mut self) {
        if self.load.as_ref().is_some_and(|load| load.is_cut())
            && let Stream::Tcp(stream) = &self.stream
        {
            let _ = stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = each!(self.stream, stream => Pin::new(stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            if let Some(load) = &self.load {
                load.hears();
            }
            if self.watch == Watch::Hidden {
                self.watch = Watch::Socket;
            }
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = each!(self.stream, stream => Pin::new(stream).poll_write(cx, bytes));
        self.note(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_left(cx)?;
        each!(self.stream, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(each!(self.stream, stream => Pin::new(stream).poll_shutdown(cx)))?;
            self.is_shut = true;
        }
        self.poll_farewell(cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.is_write_vectored(),
            Stream::Memory(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if is_short(slices) {
            let mut joined = SmallVec::<[u8; SHORT]>::new();
            slices.iter().for_each(|slice| joined.extend_from_slice(slice));
            return self.poll_write(cx, &joined);
        }
        let written =
            each!(self.stream, stream => Pin::new(stream).poll_write_vectored(cx, slices));
        self.note(cx, written)
    }
}

/// How much is copied to be written as one.
const SHORT: usize = 1024;

/// Whether there are a few short pieces. To copy them costs less than what the system does for a
/// list (`send` against `writev`: some 100 ns for the head and the body of a short answer).
fn is_short(slices: &[IoSlice<'_>]) -> bool {
    slices.len() > 1 && slices.iter().map(|slice| slice.len()).sum::<usize>() <= SHORT
}

/// What HTTP is spoken on.
#[derive(Debug)]
pub(crate) struct Io {
    layer: Layer,
    beginning: Beginning,
    /// Where HTTP/2 is spoken and its control frames are limited.
    control: Option<Box<ControlFrames>>,
}

/// With encryption or without.
#[derive(Debug)]
pub(crate) enum Layer {
    Plain(Socket),
    /// Boxed: it is large, and connections without it should not be.
    Tls(Box<TlsStream<Socket>>),
}

/// The first bytes, from which the protocol is told; they are read again by whoever speaks it.
#[derive(Debug, Default)]
struct Beginning {
    bytes: [u8; PREFACE.len()],
    length: u8,
    taken: u8,
    /// HTTP/1 has been spoken before these.
    is_resumed: bool,
    /// What was read before that, if anything: boxed, since it hardly ever is.
    left: Option<Box<Bytes>>,
}

/// What every HTTP/2 client says first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which HTTP a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

impl Io {
    pub(crate) fn plain(socket: Socket) -> Self {
        Self { layer: Layer::Plain(socket), beginning: Beginning::default(), control: None }
    }

    pub(crate) fn tls(stream: TlsStream<Socket>) -> Self {
        Self { layer: Layer::Tls(Box::new(stream)), beginning: Beginning::default(), control: None }
    }

    /// Lets go of what only HTTP needs; its first bytes are long read.
    pub(crate) fn into_upgraded(mut self) -> Layer {
        match &mut self.layer {
            Layer::Plain(socket) => socket.load = None,
            Layer::Tls(stream) => stream.get_mut().0.load = None,
        }
        self.layer
    }

    /// Lets HTTP/1 begin anew, behind what is `left` of what it has read; says whether that is the
    /// beginning of a head: empty lines before it mean nothing (RFC 9112, section 2.2).
    pub(crate) fn resume(&mut self, mut left: Bytes) -> bool {
        let head = left.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
        let left = head.map(|head| Box::new(left.split_off(head)));
        let is_begun = left.is_some();
        self.beginning = Beginning { is_resumed: true, left, ..Beginning::default() };
        is_begun
    }

    /// Has it see itself to clients of HTTP/1 that leave while they wait for their answers; false
    /// where it cannot: only a socket of TCP without encryption can be looked into.
    pub(crate) fn watch(&mut self) -> bool {
        match &mut self.layer {
            Layer::Plain(socket) if matches!(socket.stream, Stream::Tcp(_)) => {
                socket.watch = Watch::Socket;
                true
            }
            _ => false,
        }
    }

    /// Ends the connection where more control frames of HTTP/2 come than are admitted.
    pub(crate) fn limit(&mut self, control: ControlFrames) {
        self.control = Some(Box::new(control));
    }

    /// Reads until the first bytes tell the version; none if the peer has left before.
    pub(crate) fn poll_version(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Version>>> {
        if self.beginning.left.is_some() {
            return Poll::Ready(Ok(Some(Version::Http1)));
        }
        loop {
            let known = usize::from(self.beginning.length);
            let mut rest = ReadBuf::new(&mut self.beginning.bytes[known..]);
            let read = match &mut self.layer {
                Layer::Plain(socket) => Pin::new(socket).poll_read(cx, &mut rest),
                Layer::Tls(stream) => Pin::new(stream).poll_read(cx, &mut rest),
            };
            ready!(read)?;
            let read = rest.filled().len();
            // Not more than there was room for.
            self.beginning.length += read as u8;
            let is_over = read == 0;
            match self.beginning.version() {
                Some(version) => return Poll::Ready(Ok(Some(version))),
                None if is_over => return Poll::Ready(Ok(None)),
                None => {}
            }
        }
    }
}

impl Beginning {
    fn version(&self) -> Option<Version> {
        let begun = &self.bytes[..usize::from(self.length)];
        match begun == &PREFACE[..begun.len()] {
            true if self.is_resumed => (!begun.is_empty()).then_some(Version::Http1),
            false => Some(Version::Http1),
            true => (begun.len() == PREFACE.len()).then_some(Version::Http2),
        }
    }

    fn is_taken(&self) -> bool {
        self.taken == self.length && self.left.is_none()
    }

    fn take(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if let Some(mut left) = self.left.take() {
            let taken = left.split_to(left.len().min(buffer.remaining()));
            buffer.put_slice(&taken);
            self.left = (!left.is_empty()).then_some(left);
            return !taken.is_empty();
        }
        let rest = &self.bytes[usize::from(self.taken)..usize::from(self.length)];
        let taken = &rest[..rest.len().min(buffer.remaining())];
        buffer.put_slice(taken);
        self.taken += taken.len() as u8;
        !taken.is_empty()
    }
}

fn flooded() -> io::Error {
    io::Error::other("too many control frames of HTTP/2, see limits.http2.control_frames")
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let is_beginning = !this.beginning.is_taken() && this.beginning.take(buffer);
        if is_beginning && buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = match &mut this.layer {
            Layer::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Layer::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        let admitted = this.control.as_mut().is_none_or(|control| {
            let came = &buffer.filled()[before..];
            control.admit(came)
        });
        match (admitted, is_beginning) {
            (false, _) => Poll::Ready(Err(flooded())),
            // With what follows it, as far as that is there: hyper, given a part of a head alone,
            // makes its buffer twice as large to read the rest, and keeps it so.
            (true, true) => Poll::Ready(Ok(())),
            (true, false) => read,
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.layer {
            Layer::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Layer::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Layer::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Layer::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.layer {
            Layer::Plain(socket) => socket.is_write_vectored(),
            Layer::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.layer {
            Layer::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Layer::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &[u8]) -> Option<Version> {
        let mut beginning = Beginning { length: text.len() as u8, ..Beginning::default() };
        beginning.bytes[..text.len()].copy_from_slice(text);
        beginning.version()
    }

    #[test]
    fn a_list_of_short_pieces_is_told_from_one_piece_and_from_long_ones() {
        let [head, body, long] = [&b"head"[..], b"body", &[0; SHORT]].map(IoSlice::new);
        assert!(is_short(&[head, body]));
        assert!(!is_short(&[head]) && !is_short(&[head, long]) && !is_short(&[]));
    }

    #[test]
    fn the_version_is_told_by_the_first_bytes_that_differ() {
        assert_eq!(version(b""), None);
        assert_eq!(version(b"PRI * HTTP/2.0"), None);
        assert_eq!(version(PREFACE), Some(Version::Http2));
        assert_eq!(version(b"G"), Some(Version::Http1));
        assert_eq!(version(b"PRI /"), Some(Version::Http1));
    }

    #[test]
    fn a_connection_of_http1_never_becomes_one_of_http2() {
        let mut resumed = Beginning { is_resumed: true, ..Beginning::default() };
        assert_eq!(resumed.version(), None);
        (resumed.bytes, resumed.length) = (*PREFACE, PREFACE.len() as u8);
        assert_eq!(resumed.version(), Some(Version::Http1));
    }
}
