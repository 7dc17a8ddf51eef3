//! One connection, from the handshake to its end.
//!
//! It is one task that polls, in this order, what reads, what handles events, what writes and
//! what watches whether the client lives; so a ping is answered while an event is handled.

use std::{
    future::{Future, pending},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, future::join, stream};
use http::{Extensions, HeaderMap, uri::PathAndQuery};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use polyport_bootstrap::{
    Context, Fault, FaultKind,
    operation::{RawInput, RequestId},
};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use crate::{
    Closed, Socket, WebSocketSettings, adapter,
    farewell::{End, say_farewell},
    gateway::Gateway,
    inbox::{Event, Inbound, Inbox},
    outbox::{Ending, Next},
    pulse::Pulse,
    socket::close_frame,
};

pub(crate) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;
pub(crate) type Reading = stream::SplitStream<WebSocket>;
pub(crate) type Writing = stream::SplitSink<WebSocket, Message>;

/// What the client said when it connected; boxed, and kept for `on_connect` operations only.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(crate) query: Option<PathAndQuery>,
    pub(crate) headers: HeaderMap,
}

/// Serves a client, from the moment that hyper hands its socket over.
pub(crate) async fn serve(
    gateway: Arc<Gateway>,
    upgrade: OnUpgrade,
    peer: SocketAddr,
    handshake: Option<Box<Handshake>>,
) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => return tracing::debug!(%peer, %error, "the client left in the handshake"),
    };
    let protocol = Some(gateway.protocol());
    let stream = WebSocketStream::from_raw_socket(upgraded, Role::Server, protocol).await;
    let socket = gateway.hub().connect(peer, gateway.settings.send_queue);
    let connection = Connection {
        gateway: &gateway,
        // Left in whatever way this task ends.
        socket: Connected(socket),
        inbox: Inbox::default(),
        pulse: Pulse::default(),
    };
    let (writing, reading) = stream.split();
    connection.run(reading, writing, handshake).await;
}

/// A socket that leaves its rooms when it is dropped.
struct Connected(Socket);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.disconnect();
        drop(self.0.outbox().shut());
    }
}

struct Connection<'a> {
    gateway: &'a Gateway,
    socket: Connected,
    inbox: Inbox,
    pulse: Pulse,
}

impl Connection<'_> {
    async fn run(
        &self,
        mut reading: Reading,
        mut writing: Writing,
        handshake: Option<Box<Handshake>>,
    ) {
        let socket = &self.socket.0;
        tracing::debug!(socket = %socket.id(), peer = %socket.peer(), "connected");
        let mut handling = pin!(self.handle_all(handshake));
        let end = self.converse(&mut reading, &mut writing, handling.as_mut()).await;
        tracing::debug!(socket = %socket.id(), ?end, "disconnected");
        self.inbox.close();
        socket.disconnect();
        let unsent = socket.outbox().shut();
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
                handling.await;
                Box::pin(self.say_disconnected(closed)).await;
            })
            .await;
        }
    }

    /// Resolves when one side wants to end, or the connection is lost.
    async fn converse(
        &self,
        reading: &mut Reading,
        writing: &mut Writing,
        handling: Pin<&mut impl Future<Output = ()>>,
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
            self.inbox.room().await;
            let message = match reading.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return error.into(),
                None => return End::Lost,
            };
            self.pulse.beat();
            let message = match message {
                Message::Text(text) => Inbound::Text(text),
                Message::Binary(_) => Inbound::Binary,
                Message::Close(frame) => return End::Peer(frame),
                // tungstenite answers pings when the next message is read.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            self.inbox.push(Event { message, call: self.gateway.calls.admit() });
        }
    }

    /// Handles one event after the other.
    async fn handle_all(&self, handshake: Option<Box<Handshake>>) {
        if let Some(handshake) = handshake
            && let Err(refused) = Box::pin(self.say_connected(*handshake)).await
        {
            self.refuse(&refused);
            while self.inbox.next().await.is_some() {}
        }
        while let Some(event) = self.inbox.next().await {
            self.socket.0.outbox().room().await;
            self.handle(event).await;
        }
    }

    async fn handle(&self, Event { message, call }: Event) {
        let socket = &self.socket.0;
        let answer = match call {
            // Boxed, so that an idle connection stays small.
            Some(_) => Box::pin(adapter::answer(self.gateway, socket, &message)).await,
            None => Some(adapter::stopping(self.gateway, &message)),
        };
        if let Some(text) = answer {
            socket.outbox().answer(text, call);
        }
    }

    async fn say_connected(&self, handshake: Handshake) -> Result<(), Refused> {
        let _call = self.gateway.calls.enter();
        let Handshake { query, headers } = handshake;
        for hook in &self.gateway.table().connect {
            let _flight = hook.info().enter();
            let mut extensions = Extensions::new();
            extensions.insert(self.socket.0.clone());
            let input = RawInput { query: query.clone(), ..RawInput::default() };
            let context = self.gateway.context_with(hook, headers.clone(), input, extensions);
            let called = hook.call(&context).await;
            called.map_err(|fault| Refused { fault, context })?;
        }
        Ok(())
    }

    fn refuse(&self, Refused { fault, context }: &Refused) {
        let request_id: &RequestId = &context.request_id;
        let envelope = self.gateway.envelope();
        let outbox = self.socket.0.outbox();
        outbox.answer(adapter::exception(&*envelope, fault, request_id, None), None);
        let code = if fault.kind() == FaultKind::Internal { 1011 } else { 1008 };
        outbox.end(Ending::Close(close_frame(code, fault.message())));
    }

    async fn say_disconnected(&self, closed: Closed) {
        let hooks = &self.gateway.table().disconnect;
        if hooks.is_empty() {
            return;
        }
        let _call = self.gateway.calls.enter();
        for hook in hooks {
            let _flight = hook.info().enter();
            let mut extensions = Extensions::new();
            extensions.insert(self.socket.0.clone());
            extensions.insert(closed.clone());
            let (headers, input) = (HeaderMap::new(), RawInput::default());
            let context = self.gateway.context_with(hook, headers, input, extensions);
            // Its fault is logged, and there is nobody to tell.
            let _ = hook.call(&context).await;
        }
    }

    async fn write(&self, writing: &mut Writing) -> End {
        let outbox = self.socket.0.outbox();
        let mut unflushed = Vec::new();
        loop {
            let message = match outbox.next().await {
                Next::Text(outgoing) => {
                    unflushed.extend(outgoing.call);
                    Message::Text(outgoing.text)
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
        self.pulse.lost(ping_interval, pong_timeout, ping, || self.inbox.is_full()).await;
        End::Lost
    }
}

/// A connection that an `on_connect` operation refused.
struct Refused {
    fault: Fault,
    context: Context,
}

/// Polls what ends only when it is told to.
async fn never_ending(future: Pin<&mut impl Future<Output = ()>>) {
    future.await;
    pending().await
}
