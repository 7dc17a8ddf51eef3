use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt, stream::BoxStream};

use crate::operation::Fault;

/// Values one after the other, as they come; a fault is the last of them.
///
/// HTTP sends them as server-sent events or JSON lines, as the client's `Accept` asks; WebSocket
/// as frames with the call's id; gRPC as a server stream; AMQP as several replies.
///
/// # Examples
/// ```
/// use futures_util::stream;
/// use polyport_bootstrap::operation::{Fault, Items};
///
/// async fn count() -> Result<Items<u32>, Fault> {
///     Ok(Items::new(stream::iter((1..=3).map(Ok::<_, Fault>))))
/// }
/// # drop(count);
/// ```
pub struct Items<T>(BoxStream<'static, Result<T, Fault>>);

impl<T: Send + 'static> Items<T> {
    /// The items of a stream.
    pub fn new<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<T, E>> + Send + 'static,
        E: Into<Fault>,
    {
        Self(stream.map(|item| item.map_err(Into::into)).boxed())
    }

    /// The items, each changed.
    #[must_use]
    pub fn map_items<U: Send + 'static>(
        self,
        change: impl Fn(T) -> U + Send + 'static,
    ) -> Items<U> {
        Items(self.0.map(move |item| item.map(&change)).boxed())
    }
}

impl<T> Stream for Items<T> {
    type Item = Result<T, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Items")
    }
}
