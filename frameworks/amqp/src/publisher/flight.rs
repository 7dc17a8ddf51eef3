use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::{FuturesUnordered, Stream},
};
use lapin::{Channel, Confirmation, options::BasicPublishOptions};

use super::{PublishError, job::Job, verdicts::Verdicts};
use crate::headers;

/// The messages that were sent on one channel and are not confirmed yet.
pub(super) struct Flight {
    channel: Arc<Channel>,
    sent: FuturesUnordered<BoxFuture<'static, Landed>>,
    /// Mandatory messages that the broker has confirmed, and whether it took them.
    verdicts: Verdicts<(Job, bool)>,
    woken: Arc<Woken>,
    /// Whether a message is under way that is suspected of having closed a channel: it flies
    /// alone, so that it is known which one it is.
    alone: bool,
}

/// A message whose confirmation has come, or never will.
pub(super) struct Landed {
    pub(super) job: Job,
    pub(super) outcome: Result<Confirmation, lapin::Error>,
}

/// A message that was not confirmed since its channel was closed.
pub(super) struct Failed {
    pub(super) job: Job,
    pub(super) error: lapin::Error,
}

impl Flight {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel: Arc::new(channel),
            sent: FuturesUnordered::new(),
            verdicts: Verdicts::default(),
            woken: Arc::default(),
            alone: false,
        }
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// How many more messages may be sent, where `window` may be unconfirmed at once.
    pub(super) fn room(&self, window: usize) -> usize {
        let window = if self.alone { 1 } else { window };
        window.saturating_sub(self.sent.len())
    }

    pub(super) fn send(&mut self, job: Job) {
        self.alone = job.suspect;
        self.sent.push(deliver(Arc::clone(&self.channel), job).boxed());
    }

    /// Waits for confirmations and takes all that have come. May be dropped at any time.
    pub(super) async fn landed(&mut self) -> Vec<Landed> {
        let mut landed = Vec::new();
        landed.extend(self.sent.next().await);
        self.take_ready(&mut landed);
        landed
    }

    /// A stream of futures pauses between them in order to be fair; a pause is told from the end
    /// by whether it has woken us.
    fn take_ready(&mut self, landed: &mut Vec<Landed>) {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut self.sent).poll_next(&mut context) {
                Poll::Ready(Some(one)) => landed.push(one),
                Poll::Pending if self.woken.0.swap(false, Ordering::AcqRel) => {}
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    /// Tells callers what became of their messages; what failed with the channel is returned.
    pub(super) fn settle(&mut self, landed: Vec<Landed>) -> Vec<Failed> {
        let mut failed = Vec::new();
        for Landed { job, outcome } in landed {
            match outcome {
                Ok(confirmation) => self.confirm(job, confirmation),
                Err(error) => failed.push(Failed { job, error }),
            }
        }
        for ((job, acked), routed) in self.verdicts.take() {
            if routed { finish(job, acked) } else { job.finish_unroutable() }
        }
        failed
    }

    fn confirm(&mut self, job: Job, confirmation: Confirmation) {
        let acked = !confirmation.is_nack();
        if let Some(returned) = confirmation.take_message() {
            let table = returned.properties.headers().as_ref();
            let sequence = headers::get(table, headers::SEQUENCE).and_then(headers::integer);
            sequence.into_iter().for_each(|sequence| self.verdicts.returned(sequence));
        }
        if job.message.mandatory {
            self.verdicts.confirmed(job.sequence, (job, acked));
        } else {
            finish(job, acked);
        }
    }

    /// Whether confirmed messages wait for the confirmation of others.
    pub(super) fn has_open_verdicts(&self) -> bool {
        !self.verdicts.is_empty()
    }
}

fn finish(job: Job, acked: bool) {
    job.finish(if acked { Ok(()) } else { Err(PublishError::Nacked) });
}

/// Sends and waits for the confirmation. Frames are queued at the first poll, so that messages go
/// out in the order in which they were added.
async fn deliver(channel: Arc<Channel>, job: Job) -> Landed {
    let message = &job.message;
    let options = BasicPublishOptions { mandatory: message.mandatory, immediate: false };
    let sent = channel.basic_publish(
        message.exchange.clone(),
        message.routing_key.clone(),
        options,
        &message.body,
        message.properties.clone(),
    );
    let outcome = match sent.await {
        Ok(confirmation) => confirmation.await,
        Err(error) => Err(error),
    };
    Landed { job, outcome }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}
