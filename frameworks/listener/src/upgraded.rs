//! What is left of a connection when its call has become something else.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::{Io, Layer};

/// A client's socket, or a stream of its HTTP/2 connection, without what HTTP needed of it: for
/// those who keep thousands of them.
pub struct UpgradedIo(Kind);

enum Kind {
    Socket(Layer),
    /// A stream of an HTTP/2 connection.
    Stream(TokioIo<Upgraded>),
}

impl UpgradedIo {
    /// Waits until hyper hands over what a call was upgraded to. Gives with it what was read
    /// already and is to be taken for read first.
    ///
    /// # Errors
    /// If the client leaves before, or the answer does not let it upgrade.
    pub async fn receive(upgrade: OnUpgrade) -> Result<(Self, Bytes), hyper::Error> {
        Ok(match upgrade.await?.downcast::<TokioIo<Io>>() {
            Ok(Parts { io, read_buf, .. }) => {
                (Self(Kind::Socket(io.into_inner().into_upgraded())), read_buf)
            }
            Err(stream) => (Self(Kind::Stream(TokioIo::new(stream))), Bytes::new()),
        })
    }
}

impl fmt::Debug for UpgradedIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpgradedIo")
    }
}

macro_rules! each {
    ($self:expr, $io:ident => $call:expr) => {
        match &mut $self.0 {
            Kind::Socket(Layer::Plain($io)) => $call,
            Kind::Socket(Layer::Tls($io)) => $call,
            Kind::Stream($io) => $call,
        }
    };
}

impl AsyncRead for UpgradedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_read(cx, buffer))
    }
}

impl AsyncWrite for UpgradedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Socket(Layer::Plain(io)) => io.is_write_vectored(),
            Kind::Socket(Layer::Tls(io)) => io.is_write_vectored(),
            Kind::Stream(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write_vectored(cx, slices))
    }
}
