//! A connection from its first byte to its last.

use std::{pin::pin, sync::Arc, time::Duration};

use amq_protocol::protocol::{
    AMQPClass,
    connection::{AMQPMethod, Close, CloseOk},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::{
    channel::Outbox,
    connections::Line,
    exception::{Exception, ReplyCode},
    handshake::{FRAME_MAX, Terms, negotiate},
    hub::Hub,
    session::Session,
    transport::{FrameReader, FrameWriter},
};

/// How long a client may take to open a connection.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How long a client may take to receive and answer the broker's close.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The client is gone, or silent for too long.
    Gone,
    /// The client has asked for it.
    Asked,
    /// The broker closes it.
    Failed(Failure),
}

/// An exception and the method that caused it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exception: Exception,
    pub(crate) class_id: u16,
    pub(crate) method_id: u16,
}

impl From<Exception> for End {
    fn from(exception: Exception) -> Self {
        Self::Failed(Failure { exception, class_id: 0, method_id: 0 })
    }
}

impl End {
    /// What the broker says last.
    fn farewell(&self) -> Option<AMQPMethod> {
        match self {
            Self::Gone => None,
            Self::Asked => Some(AMQPMethod::CloseOk(CloseOk {})),
            Self::Failed(failure) => Some(AMQPMethod::Close(Close {
                reply_code: failure.exception.code.code(),
                reply_text: failure.exception.reply_text(),
                class_id: failure.class_id,
                method_id: failure.method_id,
            })),
        }
    }
}

/// Serves a connection until it ends, the broker stops, or the connection is cut.
pub(crate) async fn serve<R, W>(io: (R, W), line: Line, hub: Arc<Hub>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let known = Known { hub, id: line.id };
    let hub = &known.hub;
    let (stop, cut) = (line.stop.clone(), line.cut.clone());
    tokio::select! {
        biased;
        () = cut.cancelled() => tracing::debug!(connection = known.id, "AMQP connection cut"),
        () = hub.gate.run(&stop, attend(io, line, hub)) => {}
    }
}

/// A connection in the broker's list, which it leaves when this is dropped.
struct Known {
    hub: Arc<Hub>,
    id: u64,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.hub.connections.remove(self.id);
        self.hub.changed.notify_waiters();
    }
}

async fn attend<R, W>(io: (R, W), line: Line, hub: &Arc<Hub>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut reader = FrameReader::new(io.0, FRAME_MAX as usize);
    let mut writer = FrameWriter::new(io.1, FRAME_MAX as usize);
    let negotiated = tokio::select! {
        () = line.stop.cancelled() => return,
        terms = timeout(HANDSHAKE_LIMIT, negotiate(&mut reader, &mut writer, line.heartbeat)) => terms,
    };
    match negotiated.unwrap_or(Err(End::Gone)) {
        Ok(terms) => converse(&mut reader, &mut writer, line, terms, hub).await,
        Err(end) => refuse(&mut reader, &mut writer, line.id, &end).await,
    }
}

async fn refuse<R, W>(reader: &mut FrameReader<R>, writer: &mut FrameWriter<W>, id: u64, end: &End)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    report(id, end);
    let Some(farewell) = end.farewell() else {
        return;
    };
    let last_words = async {
        if writer.control(farewell).await.is_ok() && matches!(end, End::Failed(_)) {
            reader.drain().await;
        }
    };
    let _ = timeout(FAREWELL_LIMIT, last_words).await;
}

/// Reads and writes side by side, so that a client which does not read holds up nobody.
async fn converse<R, W>(
    reader: &mut FrameReader<R>,
    writer: &mut FrameWriter<W>,
    mut line: Line,
    terms: Terms,
    hub: &Arc<Hub>,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (outbox, outgoing) = Outbox::new();
    let heartbeat = terms.heartbeat.map_or(Duration::MAX, |heartbeat| heartbeat / 2);
    let mut sending = pin!(writer.run(outgoing, heartbeat));
    hub.connections.open(line.id, terms.name.clone());
    hub.changed.notify_waiters();
    let (vhost, alarm) = (hub.vhost(&terms.vhost), hub.alarm.subscribe());
    let mut session = Session::new(line.id, vhost, outbox.clone(), terms, alarm);
    let end = tokio::select! {
        end = session.run(reader, &mut line) => end,
        _ = &mut sending => End::Gone,
    };
    // What the connection held is back in its queues before the client hears of the close.
    drop(session);
    report(line.id, &end);
    let Some(farewell) = end.farewell() else {
        return;
    };
    outbox.method(0, AMQPClass::Connection(farewell));
    drop(outbox);
    let last_words = async {
        if sending.await.is_ok() && matches!(end, End::Failed(_)) {
            reader.drain().await;
        }
    };
    let _ = timeout(FAREWELL_LIMIT, last_words).await;
}

fn report(connection: u64, end: &End) {
    match end {
        End::Failed(failure) if failure.exception.code != ReplyCode::ConnectionForced => {
            tracing::warn!(connection, error = %failure.exception, "AMQP connection closed");
        }
        End::Gone | End::Asked | End::Failed(_) => {
            tracing::debug!(connection, "AMQP connection ended");
        }
    }
}
