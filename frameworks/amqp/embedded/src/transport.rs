//! Frames over a byte stream.

use std::{io, time::Duration};

use amq_protocol::protocol::{AMQPClass, connection};
use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc::UnboundedReceiver,
    time::timeout,
};

use crate::{
    codec::{Frame, Outgoing, decode, encode, encode_heartbeat},
    exception::Exception,
};

/// How much is asked for in one read.
const READ_SIZE: usize = 16 * 1024;

/// How much is gathered before it is written.
const WRITE_SIZE: usize = 64 * 1024;

/// The largest buffer that is kept after a large message.
const KEPT_SIZE: usize = 1024 * 1024;

/// The receiving half of a connection.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    io: R,
    buffer: BytesMut,
    frame_max: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(io: R, frame_max: usize) -> Self {
        Self { io, buffer: BytesMut::new(), frame_max }
    }

    pub(crate) fn set_frame_max(&mut self, frame_max: usize) {
        self.frame_max = frame_max;
    }

    /// Takes a frame that has already arrived.
    ///
    /// # Errors
    /// As [`decode`].
    pub(crate) fn take(&mut self) -> Result<Option<Frame>, Exception> {
        decode(&mut self.buffer, self.frame_max)
    }

    /// Waits for more bytes.
    ///
    /// # Errors
    /// The stream's, and `UnexpectedEof` at its end.
    ///
    /// # Cancel safety
    /// Nothing that was read is lost when the future is dropped.
    pub(crate) async fn fill(&mut self) -> io::Result<()> {
        self.buffer.reserve(READ_SIZE);
        match self.io.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Waits for `N` bytes, outside of any frame.
    ///
    /// # Errors
    /// As [`FrameReader::fill`].
    pub(crate) async fn raw<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        while self.buffer.len() < N {
            self.fill().await?;
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.buffer.split_to(N));
        Ok(bytes)
    }

    /// Discards what arrives until the peer has answered a close or is gone.
    pub(crate) async fn drain(&mut self) {
        loop {
            match self.take() {
                Ok(Some(Frame::Method(0, method))) if is_last(&method) => return,
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(_) => self.buffer.clear(),
            }
            if self.fill().await.is_err() {
                return;
            }
        }
    }
}

fn is_last(method: &AMQPClass) -> bool {
    use connection::AMQPMethod::{Close, CloseOk};
    matches!(method, AMQPClass::Connection(CloseOk(_) | Close(_)))
}

/// The sending half of a connection.
#[derive(Debug)]
pub(crate) struct FrameWriter<W> {
    io: W,
    buffer: Vec<u8>,
    frame_max: usize,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(crate) fn new(io: W, frame_max: usize) -> Self {
        Self { io, buffer: Vec::new(), frame_max }
    }

    pub(crate) fn set_frame_max(&mut self, frame_max: usize) {
        self.frame_max = frame_max;
    }

    /// Writes bytes that are no frame.
    ///
    /// # Errors
    /// The stream's.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await
    }

    /// Writes a method on channel 0.
    ///
    /// # Errors
    /// The stream's.
    pub(crate) async fn control(&mut self, method: connection::AMQPMethod) -> io::Result<()> {
        self.encode(&Outgoing::Method(0, AMQPClass::Connection(method)))?;
        self.flush().await
    }

    /// Writes what comes out of `outgoing` until its last sender is gone, and a heartbeat whenever
    /// nothing has come for `heartbeat`.
    ///
    /// # Errors
    /// The stream's.
    pub(crate) async fn run(
        &mut self,
        mut outgoing: UnboundedReceiver<Outgoing>,
        heartbeat: Duration,
    ) -> io::Result<()> {
        loop {
            match timeout(heartbeat, outgoing.recv()).await {
                Ok(Some(item)) => self.encode(&item)?,
                Ok(None) => return Ok(()),
                Err(_) => encode_heartbeat(&mut self.buffer),
            }
            while self.buffer.len() < WRITE_SIZE
                && let Ok(item) = outgoing.try_recv()
            {
                self.encode(&item)?;
            }
            self.flush().await?;
        }
    }

    fn encode(&mut self, item: &Outgoing) -> io::Result<()> {
        encode(&mut self.buffer, item, self.frame_max).map_err(|error| {
            tracing::error!(%error, "a frame cannot be generated; the connection ends");
            io::ErrorKind::InvalidData.into()
        })
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.io.write_all(&self.buffer).await?;
        self.buffer.clear();
        if self.buffer.capacity() > KEPT_SIZE {
            self.buffer = Vec::new();
        }
        Ok(())
    }
}
