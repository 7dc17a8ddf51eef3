//! One connection, from the handshake to its end.
//!
//! It is one task that polls, in this order, what reads, what handles events, what writes and
//! what watches whether the client lives; so a ping is answered while an event is handled.

use std::{
    collections::VecDeque,
    future::{Future, pending, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use futures_util::future::join;
use hyper::upgrade::OnUpgrade;
use polyport_bootstrap::framework::Mark;
use polyport_listener::{Tunnel, UpgradedIo};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    Socket,
    conversation::Origin,
    duplex::Duplex,
    farewell::{End, say_farewell},
    gateway::Gateway,
    hub::Subprotocol,
    inbox::{Event, Inbox},
    outbox::{Next, Outgoing},
    payload::Payload,
    pulse::Pulse,
    streams::Streams,
    unread::Arrivals,
};

/// Who connects. Boxed, and gone when the connection stands: what it needs no more costs nothing.
pub(crate) struct Newcomer {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) upgrade: OnUpgrade,
    /// When the handshake is given up.
    pub(crate) until: Instant,
    pub(crate) peer: SocketAddr,
    pub(crate) subprotocol: Option<Subprotocol>,
    pub(crate) origin: Option<Box<Origin>>,
    pub(crate) arrivals: Arrivals,
    /// Where it is a stream of an HTTP/2 connection.
    pub(crate) tunnel: Option<Tunnel>,
    pub(crate) tracked: TaskTrackerToken,
}

/// Serves a client, from the moment that hyper hands its socket over.
pub(crate) async fn serve(newcomer: Box<Newcomer>) {
    // Boxed, so that it costs nothing once the connection stands.
    let mut begun = Box::pin(begin(newcomer)).await;
    // Borrowed: this future would keep room for what is moved out of it, too.
    if let Some((connection, origin)) = &mut begun {
        connection.run(origin.take()).await;
    }
}

async fn begin(newcomer: Box<Newcomer>) -> Option<(Connection, Option<Box<Origin>>)> {
    let Newcomer { gateway, upgrade, until, peer, subprotocol, origin, arrivals, tunnel, tracked } =
        *newcomer;
    let (io, read) = match timeout_at(until, UpgradedIo::receive(upgrade)).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "the client left in the handshake");
            return None;
        }
        Err(_) => {
            tracing::debug!(%peer, "the client does not take the handshake's answer");
            return None;
        }
    };
    let connection = Connection {
        duplex: Duplex::new(io, &read, gateway.protocol()),
        // Left in whatever way this task ends.
        socket: Connected(gateway.hub().connect(peer, subprotocol)),
        gateway,
        inbox: Inbox::default(),
        arrivals,
        streams: Streams::default(),
        pulse: Pulse::default(),
        _tunnel: tunnel,
        _tracked: tracked,
    };
    Some((connection, origin))
}

/// A socket that leaves its rooms when it is dropped.
pub(crate) struct Connected(pub(crate) Socket);

impl Connected {
    /// Takes no part in anything any more, and gives what is not written.
    fn leave(&self) -> VecDeque<Outgoing> {
        self.0.disconnect();
        let unsent = self.0.outbox().shut();
        // Behind the outbox: no request comes in between that nobody would end.
        if let Some(extra) = self.0.known_extra() {
            extra.requests.close();
        }
        unsent
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        drop(self.leave());
        self.0.end_state();
    }
}

pub(crate) struct Connection {
    duplex: Duplex,
    pub(crate) socket: Connected,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) inbox: Inbox,
    arrivals: Arrivals,
    pub(crate) streams: Streams,
    pulse: Pulse,
    _tunnel: Option<Tunnel>,
    /// Behind all else: who waits for the end of connections waits for it.
    _tracked: TaskTrackerToken,
}

type Ended = Option<Box<Origin>>;

impl Connection {
    async fn run(&self, origin: Option<Box<Origin>>) {
        let socket = &self.socket.0;
        tracing::debug!(socket = %socket.id(), peer = %socket.peer(), "connected");
        let mut handling = pin!(self.handle_all(origin));
        let end = self.converse(handling.as_mut()).await;
        // Boxed, so that its state costs nothing while the connection lasts.
        Box::pin(self.end(end, handling)).await;
    }

    async fn end(&self, end: End, handling: Pin<&mut impl Future<Output = Ended>>) {
        let socket = &self.socket.0;
        tracing::debug!(socket = %socket.id(), ?end, dropped = socket.dropped(), "disconnected");
        self.inbox.close();
        let unsent = self.socket.leave();
        let stopping = matches!(end, End::GoingAway);
        let closed = end.closed();
        let farewell = say_farewell(end, &self.duplex, unsent, &self.gateway.settings);
        if stopping {
            // What is still being handled was given its time to finish, and is cut with this.
            tokio::select! { biased; () = farewell => {}, () = never_ending(handling) => {} }
        } else {
            // What was read is handled, even where nobody waits for the answers.
            join(farewell, async {
                let origin = handling.await;
                self.say_disconnected(closed, origin.as_deref()).await;
            })
            .await;
        }
    }

    /// Resolves when one side wants to end, or the connection is lost.
    async fn converse(&self, handling: Pin<&mut impl Future>) -> End {
        tokio::select! {
            biased;
            end = self.read() => end,
            () = never_ending(handling) => End::Lost,
            end = self.write() => end,
            end = self.watch() => end,
        }
    }

    async fn read(&self) -> End {
        loop {
            self.inbox.room(|| self.asks()).await;
            let message = match poll_fn(|cx| self.duplex.poll_read(cx)).await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return error.into(),
                None => return End::Lost,
            };
            self.pulse.beat();
            let unhandled = match &message {
                Message::Text(_) | Message::Binary(_) => self.arrivals.next(),
                _ => Mark::default(),
            };
            let message = match message {
                Message::Text(text) if self.is_ack(&text) => continue,
                Message::Text(text) => Payload::Text(text),
                Message::Binary(bytes) => Payload::Binary(bytes),
                Message::Close(frame) => return End::Peer(frame),
                // tungstenite answers pings when the next message is read.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            let independent = self.gateway.table().is_independent(&message);
            let call = self.gateway.calls.admit();
            self.inbox.push(Event { message, call, independent, unhandled });
        }
    }

    /// Whether somebody waits for an ack of the client.
    fn asks(&self) -> bool {
        self.socket.0.known_extra().is_some_and(|extra| !extra.requests.is_empty())
    }

    /// Taken here, since the event that is being handled may wait for it.
    fn is_ack(&self, text: &Utf8Bytes) -> bool {
        self.socket.0.known_extra().is_some_and(|extra| extra.requests.take(text))
    }

    async fn write(&self) -> End {
        let outbox = self.socket.0.outbox();
        let mut unflushed = Vec::new();
        // The last one stands for all that were written with it.
        let mut _written = Mark::default();
        loop {
            let message = match outbox.next().await {
                Next::Message(outgoing) => {
                    unflushed.extend(outgoing.call);
                    _written = outgoing.mark;
                    outgoing.payload.into()
                }
                Next::Ping => Message::Ping(Bytes::new()),
                Next::End(ending) => return ending.into(),
            };
            let last = outbox.is_empty();
            let mut message = Some(message);
            let written = poll_fn(|cx| Poll::Ready(self.duplex.poll_write(cx, &mut message, last)));
            let written = written.await.map(|written| written.is_ok());
            let written = match written {
                Poll::Ready(written) => written,
                // Boxed, since most is taken at once, and only what is not needs a timer.
                Poll::Pending => Box::pin(self.write_on(message, last)).await,
            };
            if !written {
                return End::Lost;
            }
            if last {
                unflushed.clear();
                _written = Mark::default();
            }
        }
    }

    /// Waits until the client takes what is written; false if it does not, or not in time.
    async fn write_on(&self, mut message: Option<Message>, last: bool) -> bool {
        let writing = poll_fn(|cx| self.duplex.poll_write(cx, &mut message, last));
        tokio::select! {
            biased;
            written = timeout(self.gateway.settings.pong_timeout, writing) => {
                matches!(written, Ok(Ok(())))
            }
            // The next turn says why.
            () = self.socket.0.outbox().interrupted() => true,
        }
    }

    /// Resolves when the client is silent in spite of a ping. While nothing is read, nothing can be
    /// heard.
    async fn watch(&self) -> End {
        let ping = || self.socket.0.outbox().ping();
        let unheard = || self.inbox.is_full(|| self.asks());
        self.pulse.lost(&self.gateway.settings, ping, unheard).await;
        End::Lost
    }
}

/// Polls what ends only when it is told to.
async fn never_ending(future: Pin<&mut impl Future>) {
    future.await;
    pending().await
}
