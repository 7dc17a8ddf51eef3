use std::{
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{
    FutureExt, Stream, StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::{Instant, timeout_at};

use super::belonging::belonging;
use crate::operation::{Context as Call, Fault, endpoint::log};

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

impl<T> Items<T> {
    /// The next item of the reply to this call. A panic and a deadline that passes are faults;
    /// every fault is logged, and is the last item.
    ///
    /// # Cancel safety
    /// Where the future is dropped, nothing is lost.
    pub async fn next_of(
        &mut self,
        call: &Call,
        deadline: Option<Instant>,
    ) -> Option<Result<T, Fault>> {
        let item = match guarded(deadline, self.0.next()).await {
            Ok(next) => next?,
            Err(fault) => Err(fault),
        };
        Some(item.inspect_err(|fault| log(call, fault)))
    }
}

/// Turns a panic, and a deadline that passes, into a fault.
pub(super) async fn guarded<T>(
    deadline: Option<Instant>,
    future: impl Future<Output = T>,
) -> Result<T, Fault> {
    let within = async {
        match deadline {
            Some(deadline) => timeout_at(deadline, future).await.map_err(|_| too_late()),
            None => Ok(future.await),
        }
    };
    let caught = AssertUnwindSafe(within).catch_unwind().await;
    caught.unwrap_or_else(|panic| Err(Fault::panicked(&*panic)))
}

fn too_late() -> Fault {
    Fault::deadline_exceeded("DEADLINE_EXCEEDED", "the stream took longer than its deadline")
}

impl<T: Send + 'static> Items<T> {
    pub(super) fn belong_to(&mut self, call: &Call) {
        let stream = std::mem::replace(&mut self.0, stream::empty().boxed());
        self.0 = belonging(stream, call);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Call as Parts, OperationInfo, Protocol};

    async fn end_of(items: impl Stream<Item = Result<u8, Fault>> + Send + 'static) -> String {
        let info = std::sync::Arc::new(OperationInfo::named("count"));
        let container = crate::container::ContainerBuilder::new().build().expect("empty");
        let call = Call::new(Parts::new(Protocol::new("test"), info, container));
        let mut items = Items::new(items);
        let soon = Instant::now() + std::time::Duration::from_millis(10);
        assert_eq!(items.next_of(&call, Some(soon)).await.expect("one").expect("an item"), 1);
        match items.next_of(&call, Some(soon)).await {
            Some(Ok(item)) => item.to_string(),
            Some(Err(fault)) => fault.reason().to_owned(),
            None => "the end".to_owned(),
        }
    }

    #[tokio::test]
    async fn whatever_ends_the_items_is_told() {
        let first = || stream::iter([Ok(1)]);
        assert_eq!(end_of(first()).await, "the end");
        let fault = Fault::unavailable("GONE", "it left");
        assert_eq!(end_of(first().chain(stream::iter([Err(fault)]))).await, "GONE");
        assert_eq!(end_of(first().chain(stream::pending())).await, "DEADLINE_EXCEEDED");
        let panics = stream::once(async { panic!("on purpose") });
        assert_eq!(end_of(first().chain(panics)).await, "INTERNAL");
    }
}
