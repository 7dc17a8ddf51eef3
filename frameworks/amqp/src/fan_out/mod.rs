//! What one instance of the application sends to all: a fanout exchange, and for each instance a
//! queue that ends with its connection.
//!
//! Nothing is persistent, and nothing is acknowledged by who receives. What is sent is confirmed by
//! the broker, only so that no more is on its way than it takes.

mod link;
mod task;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use polyport_bootstrap::framework::{FanOut, FanOutReceiver, FanOutSender};
use tokio::sync::mpsc;

pub(crate) use self::{link::Joined, task::FanOutTask};

/// How many messages may wait for the broker.
const MOST_MESSAGES: usize = 4096;
/// How many bytes may wait for it.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The channels that other frameworks have opened.
#[derive(Debug)]
pub(crate) struct Channels {
    max_body: usize,
    opened: Mutex<Vec<Opened>>,
}

/// The end of a channel that its task holds.
pub(crate) struct Opened {
    pub(crate) exchange: Arc<str>,
    receive: FanOutReceiver,
    outbox: mpsc::Receiver<Bytes>,
    waiting: Arc<Waiting>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

/// What waits in a channel, and what found no room.
#[derive(Debug, Default)]
struct Waiting {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Sender {
    exchange: Arc<str>,
    outbox: mpsc::Sender<Bytes>,
    waiting: Arc<Waiting>,
    max_body: usize,
}

impl Channels {
    pub(crate) fn new(max_body: usize) -> Self {
        Self { max_body, opened: Mutex::default() }
    }

    /// Those that were opened since this was last asked.
    pub(crate) fn take(&self) -> Vec<Opened> {
        std::mem::take(&mut *self.opened.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl FanOut for Channels {
    fn open(&self, channel: &str, receive: FanOutReceiver) -> Arc<dyn FanOutSender> {
        let (sender, outbox) = mpsc::channel(MOST_MESSAGES);
        let (exchange, waiting): (Arc<str>, Arc<Waiting>) = (channel.into(), Arc::default());
        let opened = Opened {
            exchange: Arc::clone(&exchange),
            receive,
            outbox,
            waiting: Arc::clone(&waiting),
        };
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
        Arc::new(Sender { exchange, outbox: sender, waiting, max_body: self.max_body })
    }
}

impl FanOutSender for Sender {
    fn send(&self, message: Bytes) {
        let length = message.len();
        if length > self.max_body {
            let (exchange, most) = (&*self.exchange, self.max_body);
            return tracing::error!(exchange, length, most, "too long for the other instances");
        }
        let waiting = self.waiting.bytes.fetch_add(length, Relaxed);
        if waiting + length > MOST_BYTES || self.outbox.try_send(message).is_err() {
            self.waiting.bytes.fetch_sub(length, Relaxed);
            self.dropped();
        }
    }
}

impl Sender {
    /// Said once, until messages are sent again.
    fn dropped(&self) {
        if self.waiting.dropped.fetch_add(1, Relaxed) == 0 {
            let exchange = &*self.exchange;
            tracing::warn!(
                exchange,
                "the broker takes no messages, and no more can wait: the other instances do not \
                 get what is emitted now"
            );
        }
    }
}

impl Opened {
    /// The next message that waits.
    async fn next(&mut self) -> Option<Bytes> {
        let message = self.outbox.recv().await?;
        self.waiting.bytes.fetch_sub(message.len(), Relaxed);
        Some(message)
    }

    /// Says what was lost while the broker took no messages.
    fn tell_dropped(&self) {
        let dropped = self.waiting.dropped.swap(0, Relaxed);
        if dropped > 0 {
            let exchange = &*self.exchange;
            tracing::warn!(exchange, dropped, "messages never reached the other instances");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_so_much_waits_and_what_is_taken_makes_room() {
        let channels = Channels::new(MOST_BYTES);
        let sender = channels.open("x", Arc::new(|_| {}));
        let mut opened = channels.take().remove(0);
        assert!(channels.take().is_empty());
        let half = Bytes::from(vec![0; MOST_BYTES / 2]);
        (0..3).for_each(|_| sender.send(half.clone()));
        assert_eq!(opened.waiting.dropped.load(Relaxed), 1);
        assert_eq!(opened.next().await, Some(half.clone()));
        sender.send(half.clone());
        assert_eq!(opened.waiting.dropped.load(Relaxed), 1);
        assert!(opened.next().await.is_some() && opened.next().await.is_some());
        (0..=MOST_MESSAGES).for_each(|_| sender.send(Bytes::new()));
        assert_eq!(opened.waiting.dropped.load(Relaxed), 2);
        opened.tell_dropped();
        assert_eq!(opened.waiting.dropped.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn what_no_broker_takes_is_not_sent() {
        let channels = Channels::new(1);
        let sender = channels.open("x", Arc::new(|_| {}));
        sender.send(Bytes::from_static(b"ab"));
        sender.send(Bytes::from_static(b"a"));
        let mut opened = channels.take().remove(0);
        assert_eq!(opened.next().await.as_deref(), Some(&b"a"[..]));
    }
}
