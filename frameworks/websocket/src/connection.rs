//! One connection, from the handshake to its end.
//!
//! It is one task that polls, in this order, what reads, what handles events, what writes and
//! what watches whether the client lives; so a ping is answered while an event is handled.

use std::{
    collections::VecDeque,
    future::{Future, pending},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, future::join, stream};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use polyport_listener::Tunnel;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, Utf8Bytes, protocol::Role},
};

use crate::{
    Socket, WebSocketSettings,
    conversation::Origin,
    farewell::{End, say_farewell},
    gateway::Gateway,
    hub::Subprotocol,
    inbox::{Event, Inbox},
    outbox::{Next, Outgoing},
    payload::Payload,
    pulse::Pulse,
    streams::Streams,
};

pub(crate) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;
pub(crate) type Reading = stream::SplitStream<WebSocket>;
pub(crate) type Writing = stream::SplitSink<WebSocket, Message>;

/// Who connects. Boxed, and gone when the connection stands: what it needs no more costs nothing.
pub(crate) struct Newcomer {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) upgrade: OnUpgrade,
    /// When the handshake is given up.
    pub(crate) until: Instant,
    pub(crate) peer: SocketAddr,
    pub(crate) subprotocol: Option<Subprotocol>,
    pub(crate) origin: Option<Box<Origin>>,
    /// Where it is a stream of an HTTP/2 connection.
    pub(crate) tunnel: Option<Tunnel>,
}

/// Serves a client, from the moment that hyper hands its socket over.
pub(crate) async fn serve(newcomer: Box<Newcomer>) {
    let Some(Begun { gateway, socket, reading, writing, origin, tunnel: _tunnel }) =
        begin(newcomer).await
    else {
        return;
    };
    let connection = Connection {
        gateway: &gateway,
        socket,
        inbox: Inbox::default(),
        streams: Streams::default(),
        pulse: Pulse::default(),
    };
    connection.run(reading, writing, origin).await;
}

/// A connection that stands.
struct Begun {
    gateway: Arc<Gateway>,
    socket: Connected,
    reading: Reading,
    writing: Writing,
    origin: Option<Box<Origin>>,
    tunnel: Option<Tunnel>,
}

async fn begin(newcomer: Box<Newcomer>) -> Option<Begun> {
    let Newcomer { gateway, upgrade, until, peer, subprotocol, origin, tunnel } = *newcomer;
    let upgraded = match timeout_at(until, upgrade).await {
        Ok(Ok(upgraded)) => TokioIo::new(upgraded),
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "the client left in the handshake");
            return None;
        }
        Err(_) => {
            tracing::debug!(%peer, "the client does not take the handshake's answer");
            return None;
        }
    };
    let protocol = Some(gateway.protocol());
    let stream = WebSocketStream::from_raw_socket(upgraded, Role::Server, protocol).await;
    // Left in whatever way this task ends.
    let socket = Connected(gateway.hub().connect(peer, subprotocol));
    let (writing, reading) = stream.split();
    Some(Begun { gateway, socket, reading, writing, origin, tunnel })
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

pub(crate) struct Connection<'a> {
    pub(crate) gateway: &'a Arc<Gateway>,
    pub(crate) socket: Connected,
    pub(crate) inbox: Inbox,
    pub(crate) streams: Streams,
    pulse: Pulse,
}

impl Connection<'_> {
    async fn run(&self, mut reading: Reading, mut writing: Writing, origin: Option<Box<Origin>>) {
        let socket = &self.socket.0;
        tracing::debug!(socket = %socket.id(), peer = %socket.peer(), "connected");
        let mut handling = pin!(self.handle_all(origin));
        let end = self.converse(&mut reading, &mut writing, handling.as_mut()).await;
        tracing::debug!(socket = %socket.id(), ?end, dropped = socket.dropped(), "disconnected");
        self.inbox.close();
        let unsent = self.socket.leave();
        let stopping = matches!(end, End::GoingAway);
        let closed = end.closed();
        let settings = &self.gateway.settings;
        // Boxed, so that its state costs nothing while the connection lasts.
        let farewell = Box::pin(say_farewell(end, reading, writing, unsent, settings));
        if stopping {
            // What is still being handled was given its time to finish, and is cut with this.
            tokio::select! { biased; () = farewell => {}, () = never_ending(handling) => {} }
        } else {
            // What was read is handled, even where nobody waits for the answers.
            join(farewell, async {
                let origin = handling.await;
                Box::pin(self.say_disconnected(closed, origin.as_deref())).await;
            })
            .await;
        }
    }

    /// Resolves when one side wants to end, or the connection is lost.
    async fn converse(
        &self,
        reading: &mut Reading,
        writing: &mut Writing,
        handling: Pin<&mut impl Future>,
    ) -> End {
        tokio::select! {
            biased;
            end = self.read(reading) => end,
            () = never_ending(handling) => End::Lost,
            end = self.write(writing) => end,
            end = self.watch() => end,
        }
    }

    async fn read(&self, reading: &mut Reading) -> End {
        loop {
            self.inbox.room(|| self.asks()).await;
            let message = match reading.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return error.into(),
                None => return End::Lost,
            };
            self.pulse.beat();
            let message = match message {
                Message::Text(text) if self.is_ack(&text) => continue,
                Message::Text(text) => Payload::Text(text),
                Message::Binary(bytes) => Payload::Binary(bytes),
                Message::Close(frame) => return End::Peer(frame),
                // tungstenite answers pings when the next message is read.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            let independent = self.gateway.table().is_independent(&message);
            self.inbox.push(Event { message, call: self.gateway.calls.admit(), independent });
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

    async fn write(&self, writing: &mut Writing) -> End {
        let outbox = self.socket.0.outbox();
        let mut unflushed = Vec::new();
        loop {
            let message = match outbox.next().await {
                Next::Message(outgoing) => {
                    unflushed.extend(outgoing.call);
                    outgoing.payload.into()
                }
                Next::Ping => Message::Ping(Bytes::new()),
                Next::End(ending) => return ending.into(),
            };
            let last = outbox.is_empty();
            let sending = async {
                writing.feed(message).await?;
                if last { writing.flush().await } else { Ok(()) }
            };
            tokio::select! {
                biased;
                sent = timeout(self.gateway.settings.pong_timeout, sending) => match sent {
                    Ok(Ok(())) if last => unflushed.clear(),
                    Ok(Ok(())) => {}
                    _ => return End::Lost,
                },
                // The next turn says why.
                () = outbox.interrupted() => {}
            }
        }
    }

    /// Resolves when the client is silent in spite of a ping. While nothing is read, nothing can be
    /// heard.
    async fn watch(&self) -> End {
        let WebSocketSettings { ping_interval, pong_timeout, .. } = self.gateway.settings;
        let ping = || self.socket.0.outbox().ping();
        self.pulse
            .lost(ping_interval, pong_timeout, ping, || self.inbox.is_full(|| self.asks()))
            .await;
        End::Lost
    }
}

/// Polls what ends only when it is told to.
async fn never_ending(future: Pin<&mut impl Future>) {
    future.await;
    pending().await
}
