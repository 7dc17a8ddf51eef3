//! What the broker is told of the messages of one channel.

use std::{sync::Arc, time::Duration};

use lapin::{Channel, options::BasicQosOptions};
use polyport_bootstrap::framework::at_home;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::tags::{Ack, Tags};
use crate::{
    connection::{CLOSE, Link, LinkError, answered},
    guard::{Voice, speech},
    pause::let_others_run,
};

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
    Unsent,
    /// Nobody knows.
    Unanswered(LinkError),
}

/// Settles the messages of one channel. Acknowledgements are handed to a task, which tells the
/// broker of all that are there in one go, as soon as what is ready to run has run: none is held
/// back for another that is still to come.
#[derive(Debug)]
pub(super) struct Acker {
    channel: Channel,
    voice: Voice,
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
    pub(super) fn new(link: &Link, channel: Channel) -> Arc<Self> {
        let (said, receiver) = mpsc::unbounded_channel();
        let voice = link.voice(&channel);
        tokio::spawn(at_home(tell(channel.clone(), voice.clone(), receiver)));
        Arc::new(Self { channel, voice, said })
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
        let mut frames = Vec::new();
        speech::ack(&mut frames, self.voice.channel(), tag, false);
        let is_sent = self.is_open() && self.voice.say(&mut frames);
        self.say(Said::Told(tag));
        if !is_sent {
            return Err(Unread::Unsent);
        }
        let answer = answered(self.channel.basic_qos(prefetch, BasicQosOptions::default())).await;
        answer.map_err(Unread::Unanswered)
    }

    /// Puts a message back, without waiting. Whether it could be; else the broker has done so by
    /// itself.
    pub(super) fn requeue(&self, tag: u64) -> bool {
        let mut frames = Vec::new();
        speech::requeue(&mut frames, self.voice.channel(), tag);
        let is_sent = self.is_open() && self.voice.say(&mut frames);
        // Only now: an acknowledgement of later messages must not overtake it.
        self.say(Said::Told(tag));
        noted(is_sent, "a message could not be given back; the broker does so by itself")
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

/// Tells the broker, until nobody has anything to say any more. That goes past lapin, which would be
/// woken for it, and which closes a channel that nobody holds.
async fn tell(_held: Channel, voice: Voice, mut said: mpsc::UnboundedReceiver<Said>) {
    let (mut tags, mut batch, mut waiting) = (Tags::default(), Vec::new(), Vec::new());
    let mut frames = Vec::new();
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
        for Ack { tag, multiple } in tags.take() {
            speech::ack(&mut frames, voice.channel(), tag, multiple);
        }
        if !frames.is_empty() {
            let is_sent = voice.say(&mut frames);
            noted(is_sent, "acknowledgements came too late; the messages will come again");
        }
        // Dropped, it tells whoever waits.
        waiting.clear();
    }
}

fn noted(is_sent: bool, what: &'static str) -> bool {
    if !is_sent {
        tracing::debug!("{what}");
    }
    is_sent
}
