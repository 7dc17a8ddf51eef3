//! What a call leaves to be read after its answer is still a part of it.

use std::{
    pin::Pin,
    task::{Context as Polled, Poll},
};

use futures_util::{Stream, StreamExt, stream::BoxStream};

use super::{Reply, ReplyBody};
use crate::operation::Context;

impl Reply {
    /// Lets the code of its stream, if it has one, find the call that it belongs to.
    pub(in crate::operation) fn belonging_to(mut self, call: &Context) -> Self {
        match &mut self.body {
            ReplyBody::Items(items) => items.belong_to(call),
            ReplyBody::Stream(bytes) => bytes.belong_to(call),
            _ => {}
        }
        self
    }
}

/// A stream whose code runs as a part of a call.
struct Belonging<T> {
    stream: BoxStream<'static, T>,
    call: Context,
}

pub(super) fn belonging<T: 'static>(
    stream: BoxStream<'static, T>,
    call: &Context,
) -> BoxStream<'static, T> {
    Box::pin(Belonging { stream, call: call.clone() })
}

impl<T> Stream for Belonging<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Polled<'_>) -> Poll<Option<T>> {
        let Self { stream, call } = &mut *self;
        call.enter(|| stream.poll_next_unpin(cx))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}
