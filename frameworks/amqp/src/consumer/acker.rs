//! What the broker is told of the messages of one channel.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use futures_util::FutureExt;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions, BasicQosOptions},
};
use polyport_bootstrap::framework::at_home;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::tags::{Ack, Tags};
use crate::connection::{CLOSE, LinkError, answered, describe};

/// What becomes of a message whose call is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settle {
    Ack,
    Requeue,
    /// It goes back after so long, and takes nobody's slot meanwhile.
    Later(Duration),
    /// Whoever has its settlement decides.
    Open,
}

/// Why an acknowledgement may not have been read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It was not sent: the message comes again.
    Unsent(LinkError),
    /// Nobody knows.
    Unanswered(LinkError),
}

/// Settles the messages of one channel. Acknowledgements are handed to a task, which tells the
/// broker of all that are there in one go, as soon as what is ready to run has run: none is held
/// back for another that is still to come.
#[derive(Debug)]
pub(super) struct Acker {
    channel: Arc<Channel>,
    said: mpsc::UnboundedSender<Said>,
}

/// What the task is to know.
#[derive(Debug)]
enum Said {
    Acknowledged(u64),
    /// The broker was told of this one already.
    Told(u64),
    /// Somebody waits until the broker is told of everything before.
    Flush(oneshot::Sender<()>),
}

impl Acker {
    /// Its task ends with the last handle.
    pub(super) fn new(channel: Channel) -> Arc<Self> {
        let (said, receiver) = mpsc::unbounded_channel();
        let channel = Arc::new(channel);
        tokio::spawn(at_home(tell(Arc::clone(&channel), receiver)));
        Arc::new(Self { channel, said })
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether the broker waits for answers.
    pub(super) fn is_open(&self) -> bool {
        self.channel.status().connected()
    }

    /// Acknowledges without waiting. What cannot be sent any more, or is lost with the connection,
    /// the broker delivers again.
    pub(super) fn ack(&self, tag: u64) {
        self.say(Said::Acknowledged(tag));
    }

    /// Acknowledges, and returns when the broker has read that: it does not answer
    /// acknowledgements, but answers everything on a channel in its order.
    pub(super) async fn ack_for_certain(&self, tag: u64, prefetch: u16) -> Result<(), Unread> {
        let sent = self.channel.basic_ack(tag, BasicAckOptions::default()).now_or_never();
        self.say(Said::Told(tag));
        sent.transpose().map_err(|error| Unread::Unsent(error.into()))?;
        let answer = answered(self.channel.basic_qos(prefetch, BasicQosOptions::default())).await;
        answer.map_err(Unread::Unanswered)
    }

    /// Puts a message back, without waiting. Whether it could be; else the broker has done so by
    /// itself.
    pub(super) fn requeue(&self, tag: u64) -> bool {
        let options = BasicNackOptions { multiple: false, requeue: true };
        let sent = self.channel.basic_nack(tag, options).now_or_never();
        // Only now: an acknowledgement of later messages must not overtake it.
        self.say(Said::Told(tag));
        noted(sent, "a message could not be given back; the broker does so by itself")
    }

    /// Waits until all acknowledgements so far are on their way.
    pub(super) async fn flushed(&self) {
        let (done, flushed) = oneshot::channel();
        self.say(Said::Flush(done));
        let _ = timeout(CLOSE, flushed).await;
    }

    fn say(&self, said: Said) {
        // The task lives as long as this does.
        let _ = self.said.send(said);
    }
}

/// Tells the broker, until nobody has anything to say any more.
async fn tell(channel: Arc<Channel>, mut said: mpsc::UnboundedReceiver<Said>) {
    let (mut tags, mut batch, mut waiting) = (Tags::default(), Vec::new(), Vec::new());
    while said.recv_many(&mut batch, usize::MAX).await > 0 {
        let_others_run().await;
        while let Ok(more) = said.try_recv() {
            batch.push(more);
        }
        for said in batch.drain(..) {
            match said {
                Said::Acknowledged(tag) => tags.ack(tag),
                Said::Told(tag) => tags.told(tag),
                Said::Flush(done) => waiting.push(done),
            }
        }
        tags.take().into_iter().for_each(|ack| send(&channel, ack));
        // Dropped, it tells whoever waits.
        waiting.clear();
    }
}

/// lapin queues the frame at the first poll, and writes it behind what was queued before; it
/// refuses one only where the channel is not open any more.
fn send(channel: &Channel, Ack { tag, multiple }: Ack) {
    let sent = channel.basic_ack(tag, BasicAckOptions { multiple }).now_or_never();
    noted(sent, "acknowledgements came too late; the messages will come again");
}

fn noted(sent: Option<lapin::Result<()>>, what: &'static str) -> bool {
    let Some(Err(error)) = sent else { return true };
    tracing::debug!(error = describe(&error), "{what}");
    false
}

/// Goes to the end of the line of tasks that can run. tokio's own pause asks the system for news
/// first, which costs a call of it.
async fn let_others_run() {
    let mut has_paused = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
