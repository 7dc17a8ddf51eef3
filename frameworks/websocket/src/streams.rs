//! Replies of many items, on their way to the client beside everything else.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Context as Polled,
};

use futures_util::{FutureExt, future::BoxFuture};
use polyport_bootstrap::{
    Context, Fault,
    operation::{Items, ReplyBody, Value},
};
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{Socket, frames, gateway::Gateway};

/// The streams of one connection. The connection's own task polls them, so that they need no
/// waking when there is room for an item; nobody else locks them.
#[derive(Default)]
pub(crate) struct Streams(Mutex<Vec<BoxFuture<'static, ()>>>);

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.streams().len()
    }

    pub(crate) fn begin(&self, stream: ItemStream) {
        self.streams().push(stream.send_all().boxed());
    }

    /// Waits for `future`, and lets the streams go on meanwhile.
    /// Pinned by the caller: an argument would have room in an idle connection twice.
    pub(crate) async fn beside<T>(&self, mut future: Pin<&mut impl Future<Output = T>>) -> T {
        poll_fn(|cx| {
            let ready = future.as_mut().poll(cx);
            if ready.is_pending() {
                poll_all(&mut self.streams(), cx);
            }
            ready
        })
        .await
    }

    fn streams(&self) -> MutexGuard<'_, Vec<BoxFuture<'static, ()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Polls all, and forgets those that are done.
pub(crate) fn poll_all(futures: &mut Vec<BoxFuture<'_, ()>>, cx: &mut Polled<'_>) {
    futures.retain_mut(|future| future.poll_unpin(cx).is_pending());
}

/// The items that a call is answered with.
pub(crate) struct ItemStream {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) socket: Socket,
    pub(crate) context: Context,
    pub(crate) event: Box<str>,
    pub(crate) id: Option<Box<RawValue>>,
    pub(crate) items: Items<Value>,
    /// When the client no longer waits.
    pub(crate) deadline: Option<Instant>,
}

impl ItemStream {
    /// Sends each item when there is room for it, and then the end, or the fault that ends it.
    async fn send_all(mut self) {
        let socket = self.socket.clone();
        let outbox = socket.outbox();
        while outbox.room_for_item().await {
            let item = self.items.next_of(&self.context, self.deadline).await;
            let item = item.map(|item| item.and_then(|value| self.frame(value)));
            let (text, last) = match item {
                Some(Ok(text)) => (text, false),
                Some(Err(fault)) => (self.exception(&fault), true),
                None => (frames::done(&self.event, self.id.as_deref()), true),
            };
            socket.answer(text, None);
            if last {
                return;
            }
        }
    }

    fn frame(&self, value: Value) -> Result<Utf8Bytes, Fault> {
        let (event, id) = (&self.event, self.id.as_deref());
        frames::value_text(&self.gateway, &self.context, event, id, &ReplyBody::Value(value))
    }

    fn exception(&self, fault: &Fault) -> Utf8Bytes {
        let envelope = self.gateway.envelope();
        frames::exception(&*envelope, fault, &self.context.request_id, self.id.as_deref())
    }
}
