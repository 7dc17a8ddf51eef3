//! What a connection does with what it has read, and with its own begin and end.

use std::{future::poll_fn, pin::pin, task::Poll};

use futures_util::{FutureExt, future::join};
use http::Uri;
use polyport_bootstrap::{Context, Fault, FaultKind, operation::RequestId};

use crate::{
    Closed,
    adapter::{self, Answer},
    closed::close_frame,
    connection::Connection,
    conversation::{Conversation, Handshake, Origin},
    frames,
    inbox::Event,
    outbox::Ending,
    streams::poll_all,
};

impl Connection {
    /// Handles one event after the other, and lets replies of many items go on meanwhile. Gives how
    /// the connection began, for who is called when it ends.
    pub(crate) async fn handle_all(&self, mut origin: Option<Box<Origin>>) -> Option<Box<Origin>> {
        if let Some(begun) = origin.take_if(|origin| origin.handshake.is_some()) {
            match Box::pin(self.say_connected(*begun)).await {
                Ok(begun) => origin = begun,
                Err(refused) => {
                    self.refuse(&refused);
                    while self.inbox.next().await.is_some() {}
                    return None;
                }
            }
        }
        self.handle_events(origin.as_deref()).await;
        origin
    }

    async fn handle_events(&self, origin: Option<&Origin>) {
        let mut in_order = pin!(self.handle_in_order(origin));
        if self.gateway.table().has_independent {
            // Boxed, so that other connections stay small, and polled first: what it begins to
            // stream, the other goes on with.
            let independent = self.handle_independent(origin).boxed();
            join(independent, in_order.as_mut()).await;
        } else {
            in_order.await;
        }
    }

    async fn handle_in_order(&self, origin: Option<&Origin>) {
        loop {
            // Not `while let`, which would keep what was waited for, and the event a second time.
            let Some(mut event) = self.streams.beside(pin!(self.inbox.next())).await else {
                return;
            };
            self.streams.beside(pin!(self.handle(&mut event, origin))).await;
        }
    }

    /// Handles the events that wait for no other, so many at once as there may be.
    async fn handle_independent(&self, origin: Option<&Origin>) {
        let most = self.gateway.settings.max_concurrent_events;
        let mut running = Vec::new();
        // All are polled whenever the connection is, since what they wait for wakes nobody.
        poll_fn(|cx| {
            loop {
                poll_all(&mut running, cx);
                if running.len() >= most {
                    return Poll::Pending;
                }
                match self.inbox.poll_next(cx, true) {
                    Poll::Ready(Some(mut event)) => {
                        let handled = async move { self.handle(&mut event, origin).await };
                        running.push(handled.boxed());
                    }
                    Poll::Ready(None) if running.is_empty() => return Poll::Ready(()),
                    Poll::Ready(None) | Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }

    /// Borrows the event, so that a connection has room for it once.
    async fn handle(&self, event: &mut Event, origin: Option<&Origin>) {
        let socket = &self.socket.0;
        socket.outbox().room().await;
        let message = &event.message;
        let answer = match event.call {
            Some(_) => {
                let conversation = self.conversation(origin);
                // Boxed, so that an idle connection stays small.
                Box::pin(adapter::answer(&conversation, message, &self.streams)).await
            }
            None => adapter::stopping(&self.gateway, message).into(),
        };
        match answer {
            Answer::Nothing => {}
            Answer::Message(payload) => socket.answer(payload, event.call.take()),
            // The call is over: a stop of the process does not wait for its items.
            Answer::Stream(stream) => self.streams.begin(*stream),
        }
    }

    fn conversation<'a>(&'a self, origin: Option<&'a Origin>) -> Conversation<'a> {
        Conversation { gateway: &self.gateway, socket: &self.socket.0, origin }
    }

    /// Calls the `on_connect` operations, whose values are the connection's.
    async fn say_connected(&self, mut origin: Origin) -> Result<Option<Box<Origin>>, Refused> {
        let _call = self.gateway.calls.enter();
        let Some(handshake) = origin.handshake.take() else {
            return Ok(origin.unless_empty());
        };
        let Handshake { query, headers } = *handshake;
        for hook in &self.gateway.table().connect {
            let _flight = hook.info().enter();
            let mut call = self.conversation(None).call(hook, RequestId::new());
            call.metadata = headers.clone();
            call.input.uri = query.clone().map(Uri::from).unwrap_or_default();
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
        self.socket.0.answer(frames::exception(&*envelope, fault, request_id, None), None);
        let code = if fault.kind() == FaultKind::Internal { 1011 } else { 1008 };
        outbox.end(Ending::Close(close_frame(code, fault.message())));
    }

    pub(crate) async fn say_disconnected(&self, closed: Closed, origin: Option<&Origin>) {
        let hooks = &self.gateway.table().disconnect;
        if hooks.is_empty() {
            return;
        }
        let _call = self.gateway.calls.enter();
        let conversation = self.conversation(origin);
        for hook in hooks {
            let _flight = hook.info().enter();
            let mut call = conversation.call(hook, RequestId::new());
            call.extensions.insert(closed.clone());
            conversation.add_kept(&mut call.metadata);
            let context = Context::inheriting(call, conversation.values());
            // Its fault is logged, and there is nobody to tell.
            let _ = hook.call(&context).await;
        }
    }
}

/// A connection that an `on_connect` operation refused.
struct Refused {
    fault: Fault,
    context: Context,
}
