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
    Closed, Socket, WebSocketSettings,
    adapter::{self, Answer},
    conversation::{Conversation, Handshake, Origin},
    farewell::{End, say_farewell},
    gateway::Gateway,
    inbox::{Event, Inbound, Inbox},
    outbox::{Ending, Next},
    pulse::Pulse,
    socket::close_frame,
    streams::{ItemStream, Streams},
};

pub(crate) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;
pub(crate) type Reading = stream::SplitStream<WebSocket>;
pub(crate) type Writing = stream::SplitSink<WebSocket, Message>;

/// Serves a client, from the moment that hyper hands its socket over.
pub(crate) async fn serve(
    gateway: Arc<Gateway>,
    upgrade: OnUpgrade,
    peer: SocketAddr,
    origin: Option<Box<Origin>>,
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
    connection.run(reading, writing, origin).await;
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
    gateway: &'a Arc<Gateway>,
    socket: Connected,
    inbox: Inbox,
    pulse: Pulse,
}

impl Connection<'_> {
    async fn run(&self, mut reading: Reading, mut writing: Writing, origin: Option<Box<Origin>>) {
        let socket = &self.socket.0;
        tracing::debug!(socket = %socket.id(), peer = %socket.peer(), "connected");
        let mut handling = pin!(self.handle_all(origin));
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

    /// Handles one event after the other, and lets replies of many items go on meanwhile. Gives how
    /// the connection began, for who is called when it ends.
    async fn handle_all(&self, mut origin: Option<Box<Origin>>) -> Option<Box<Origin>> {
        if let Some(begun) = origin.take_if(|origin| origin.handshake.is_some()) {
            match Box::pin(self.say_connected(*begun)).await {
                Ok(begun) => origin = begun,
                Err(refused) => {
                    self.refuse(&refused);
                    while self.inbox.next().await.is_some() {}
                }
            }
        }
        let mut streams = Streams::default();
        while let Some(event) = streams.beside(self.inbox.next()).await {
            streams.beside(self.socket.0.outbox().room()).await;
            let handling = self.handle(event, origin.as_deref(), streams.len());
            if let Some(stream) = streams.beside(handling).await {
                streams.begin(*stream);
            }
        }
        origin
    }

    async fn handle(
        &self,
        Event { message, call }: Event,
        origin: Option<&Origin>,
        streams: usize,
    ) -> Option<Box<ItemStream>> {
        let answer = match call {
            Some(_) => {
                let conversation = self.conversation(origin);
                // Boxed, so that an idle connection stays small.
                Box::pin(adapter::answer(&conversation, &message, streams)).await
            }
            None => Answer::Text(adapter::stopping(self.gateway, &message)),
        };
        match answer {
            Answer::Nothing => None,
            Answer::Text(text) => {
                self.socket.0.outbox().answer(text, call);
                None
            }
            // The call is over: a stop of the process does not wait for its items.
            Answer::Stream(stream) => Some(stream),
        }
    }

    fn conversation<'a>(&'a self, origin: Option<&'a Origin>) -> Conversation<'a> {
        Conversation { gateway: self.gateway, socket: &self.socket.0, origin }
    }

    /// Calls the `on_connect` operations, whose values are the connection's.
    async fn say_connected(&self, mut origin: Origin) -> Result<Option<Box<Origin>>, Refused> {
        let _call = self.gateway.calls.enter();
        let Some(Handshake { query, headers }) = origin.handshake.take() else {
            return Ok(origin.unless_empty());
        };
        for hook in &self.gateway.table().connect {
            let _flight = hook.info().enter();
            let mut call = self.conversation(None).call(hook);
            call.metadata = headers.clone();
            call.input = RawInput { query: query.clone(), ..RawInput::default() };
            let context = Context::continuing(call, &origin.values);
            let called = hook.call(&context).await;
            origin.values = context.values();
            called.map_err(|fault| Refused { fault, context })?;
        }
        Ok(origin.unless_empty())
    }

    fn refuse(&self, Refused { fault, context }: &Refused) {
        let request_id: &RequestId = &context.request_id;
        let envelope = self.gateway.envelope();
        let outbox = self.socket.0.outbox();
        outbox.answer(adapter::exception(&*envelope, fault, request_id, None), None);
        let code = if fault.kind() == FaultKind::Internal { 1011 } else { 1008 };
        outbox.end(Ending::Close(close_frame(code, fault.message())));
    }

    async fn say_disconnected(&self, closed: Closed, origin: Option<&Origin>) {
        let hooks = &self.gateway.table().disconnect;
        if hooks.is_empty() {
            return;
        }
        let _call = self.gateway.calls.enter();
        let conversation = self.conversation(origin);
        for hook in hooks {
            let _flight = hook.info().enter();
            let mut call = conversation.call(hook);
            call.extensions.insert(closed.clone());
            conversation.add_kept(&mut call.metadata);
            let context = Context::inheriting(call, conversation.values());
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
async fn never_ending(future: Pin<&mut impl Future>) {
    future.await;
    pending().await
}
