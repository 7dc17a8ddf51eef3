//! The end of a connection (RFC 6455, section 7).

use std::{
    collections::VecDeque,
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    task::{Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::{
    Error as ProtocolFault, Message,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::{
    Closed, WebSocketSettings,
    duplex::Duplex,
    outbox::{Ending, Outgoing},
};

/// How long a client may take to answer when the process stops.
pub(crate) const STOP_GRACE: Duration = Duration::from_millis(500);
/// How long a client may be silent, after both have said goodbye, before it ends the connection.
const LINGER: Duration = Duration::from_millis(500);

/// How a connection comes to its end.
#[derive(Debug)]
pub(crate) enum End {
    /// The client says goodbye.
    Peer(Option<CloseFrame>),
    /// This side does, because it wants to or because the client broke the protocol.
    Ours(CloseFrame),
    /// The process stops.
    GoingAway,
    /// The client is gone.
    Lost,
}

impl End {
    /// What the application learns of it.
    pub(crate) fn closed(&self) -> Closed {
        match self {
            Self::Peer(frame) => frame.clone().into(),
            Self::Ours(frame) => Some(frame.clone()).into(),
            Self::GoingAway => Some(going_away()).into(),
            Self::Lost => Closed::lost(),
        }
    }

    fn ours(code: CloseCode, reason: &'static str) -> Self {
        Self::Ours(frame(code, reason))
    }
}

fn frame(code: CloseCode, reason: &'static str) -> CloseFrame {
    CloseFrame { code, reason: reason.into() }
}

fn going_away() -> CloseFrame {
    frame(CloseCode::Away, "the server is stopping")
}

impl From<Ending> for End {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Close(frame) => Self::Ours(frame),
            Ending::TooSlow => {
                Self::ours(CloseCode::Again, "too many messages are waiting for you")
            }
            Ending::GoingAway => Self::GoingAway,
        }
    }
}

impl From<ProtocolFault> for End {
    fn from(fault: ProtocolFault) -> Self {
        match fault {
            ProtocolFault::Capacity(_) => Self::ours(CloseCode::Size, "the message is too big"),
            ProtocolFault::Utf8(_) => Self::ours(CloseCode::Invalid, "the text is not UTF-8"),
            ProtocolFault::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Lost,
            ProtocolFault::Protocol(_) => Self::ours(CloseCode::Protocol, "protocol error"),
            _ => Self::Lost,
        }
    }
}

/// Says goodbye, and lets the client do so, for a limited time; then closes the socket.
pub(crate) async fn say_farewell(
    end: End,
    duplex: &Duplex,
    unsent: VecDeque<Outgoing>,
    settings: &WebSocketSettings,
) {
    let ours = match end {
        End::Lost => return duplex.close(),
        End::Peer(_) => None,
        End::Ours(frame) => Some(frame),
        End::GoingAway => {
            let jitter = random_up_to(settings.close_jitter);
            within(jitter + STOP_GRACE, go_away(duplex, unsent, jitter)).await;
            return duplex.close();
        }
    };
    // Nobody waits for these any more, and the events that they answer are done.
    drop(unsent);
    within(settings.close_timeout, part(duplex, ours)).await;
    duplex.close();
}

async fn within(limit: Duration, goodbye: impl Future<Output = ()>) {
    if timeout(limit, goodbye).await.is_err() {
        tracing::debug!("the client did not say goodbye in time, and is cut");
    }
}

async fn go_away(duplex: &Duplex, unsent: VecDeque<Outgoing>, jitter: Duration) {
    for outgoing in unsent {
        if duplex.send(outgoing.payload.into()).await.is_err() {
            return;
        }
    }
    sleep(jitter).await;
    part(duplex, Some(going_away())).await;
}

/// Sends our close frame, if it is on us to say goodbye, and ends when the client has done so too.
async fn part(duplex: &Duplex, ours: Option<CloseFrame>) {
    if let Some(frame) = ours
        && duplex.send(Message::Close(Some(frame))).await.is_err()
    {
        return;
    }
    // Reading has tungstenite send its answer to a close frame. After a violation it ends at once.
    while let Some(Ok(_)) = poll_fn(|cx| duplex.poll_read(cx)).await {}
    linger(duplex).await;
}

/// Ends our side and reads to the end of the other: a socket that is closed with something unread
/// resets the connection, and what we sent last may be lost with it.
async fn linger(duplex: &Duplex) {
    let shut = poll_fn(|cx| duplex.poll_io(cx, AsyncWrite::poll_shutdown));
    if shut.await.is_ok() {
        while let Ok(Ok(1..)) = timeout(LINGER, skip(duplex)).await {}
    }
}

/// Reads some bytes that nobody wants, and says how many.
async fn skip(duplex: &Duplex) -> std::io::Result<usize> {
    let mut unwanted = [0; 1024];
    poll_fn(|cx| {
        let mut buffer = ReadBuf::new(&mut unwanted);
        ready!(duplex.poll_io(cx, |io, cx| io.poll_read(cx, &mut buffer)))?;
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

fn random_up_to(longest: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) >> 32;
    longest.mul_f64(random as f64 / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_keeps_its_limit_and_varies() {
        let longest = Duration::from_millis(100);
        let jitters: std::collections::HashSet<_> =
            (0..50).map(|_| random_up_to(longest)).collect();
        assert!(jitters.iter().all(|jitter| *jitter <= longest));
        assert!(jitters.len() > 10);
        assert_eq!(random_up_to(Duration::ZERO), Duration::ZERO);
    }
}
