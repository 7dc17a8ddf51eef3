use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
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
    /// The messages themselves, in the order in which they were sent on this channel.
    jobs: BTreeMap<u64, Job>,
    latest: u64,
    /// How many of them have been unconfirmed for long before: they take no room from others.
    late: usize,
    /// Mandatory messages that the broker has confirmed, and whether it took them.
    verdicts: Verdicts<(Job, bool)>,
    woken: Arc<Woken>,
    /// Whether a message is under way that is suspected of having closed a channel: it flies
    /// alone, so that it is known which one it is.
    alone: bool,
    opened: Instant,
    /// When the broker refused a message first.
    refused: Option<Instant>,
    /// When the broker confirmed something last.
    quiet_since: Instant,
    /// Up to when it could confirm nothing.
    free_since: Instant,
}

/// A message whose confirmation has come, or never will.
pub(super) struct Landed {
    number: u64,
    outcome: Result<Confirmation, lapin::Error>,
}

/// A message whose outcome is not known since its channel was given up.
pub(super) struct Failed {
    pub(super) job: Job,
    /// What the channel was closed for, where that was told.
    pub(super) error: Option<lapin::Error>,
}

impl Flight {
    pub(super) fn new(channel: Channel) -> Self {
        let now = Instant::now();
        Self {
            channel: Arc::new(channel),
            sent: FuturesUnordered::new(),
            jobs: BTreeMap::new(),
            latest: 0,
            late: 0,
            verdicts: Verdicts::default(),
            woken: Arc::default(),
            alone: false,
            opened: now,
            refused: None,
            quiet_since: now,
            free_since: now,
        }
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// How many messages are unconfirmed.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// How many more messages may be sent, where `window` may be unconfirmed at once.
    pub(super) fn room(&self, window: usize) -> usize {
        let window = if self.alone { 1 } else { window };
        window.saturating_sub(self.jobs.len() - self.late)
    }

    /// How many more of those may be sent that have been unconfirmed for long before.
    pub(super) fn late_room(&self, window: usize) -> usize {
        if self.alone && self.has_timely() { 0 } else { window.saturating_sub(self.late) }
    }

    /// Whether something is unconfirmed that was not for long before.
    pub(super) fn has_timely(&self) -> bool {
        self.jobs.len() > self.late
    }

    pub(super) fn send(&mut self, mut job: Job) {
        let now = Instant::now();
        self.alone = job.suspect;
        self.late += usize::from(job.is_late);
        self.latest += 1;
        self.sent.push(deliver(Arc::clone(&self.channel), self.latest, &job).boxed());
        job.sent_at = Some(now);
        self.jobs.insert(self.latest, job);
    }

    /// The broker takes nothing now, and so confirms nothing.
    pub(super) fn holds(&mut self) {
        self.free_since = Instant::now();
    }

    /// Whether the broker could have confirmed the oldest message for so long. One that was late
    /// before is no reason to try once more.
    pub(super) fn is_overdue(&self, patience: Duration) -> bool {
        let oldest = self.jobs.values().find(|job| !job.is_late);
        oldest.and_then(|job| job.sent_at).is_some_and(|sent| self.since(sent) > patience)
    }

    /// Whether the broker could have confirmed something for so long.
    pub(super) fn is_quiet(&self, patience: Duration) -> bool {
        self.since(self.quiet_since) > patience
    }

    /// Whether the broker has refused a message, and the channel is that old.
    pub(super) fn is_refused(&self, age: Duration) -> bool {
        self.refused.is_some() && self.opened.elapsed() >= age
    }

    /// Whether the broker has refused nothing until the channel was that old.
    pub(super) fn was_well_for(&self, age: Duration) -> bool {
        self.refused.is_none_or(|refused| refused.duration_since(self.opened) >= age)
    }

    fn since(&self, begun: Instant) -> Duration {
        begun.max(self.free_since).elapsed()
    }

    /// Marks what the broker could have confirmed for so long: it is sent behind others from now on.
    pub(super) fn mark_late(&mut self, patience: Duration) {
        let (now, free_since) = (Instant::now(), self.free_since);
        for job in self.jobs.values_mut().filter(|job| !job.is_late) {
            let waits = job.sent_at.map(|sent| now.saturating_duration_since(sent.max(free_since)));
            job.is_late = waits.is_some_and(|waits| waits > patience);
            self.late += usize::from(job.is_late);
        }
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
        for Landed { number, outcome } in landed {
            let Some(job) = self.jobs.remove(&number) else { continue };
            self.late -= usize::from(job.is_late);
            match outcome {
                Ok(confirmation) => self.confirm(job, confirmation),
                Err(error) => failed.push(Failed { job, error: Some(error) }),
            }
        }
        for ((job, acked), routed) in self.verdicts.take() {
            if routed { finish(job, acked) } else { job.finish_unroutable() }
        }
        failed
    }

    fn confirm(&mut self, job: Job, confirmation: Confirmation) {
        self.quiet_since = Instant::now();
        let acked = !confirmation.is_nack();
        if !acked {
            self.refused.get_or_insert_with(Instant::now);
        }
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

    /// What is left: nothing is known of it, and nothing will be.
    pub(super) fn give_up(&mut self) -> Vec<Failed> {
        let unconfirmed = std::mem::take(&mut self.jobs).into_values();
        let unsaid = self.verdicts.give_up().into_iter().map(|(job, _)| job);
        self.late = 0;
        unconfirmed.chain(unsaid).map(|job| Failed { job, error: None }).collect()
    }
}

fn finish(job: Job, acked: bool) {
    job.finish(if acked { Ok(()) } else { Err(PublishError::Nacked) });
}

/// Sends and waits for the confirmation. Frames are queued at the first poll, so that messages go
/// out in the order in which they were added.
fn deliver(
    channel: Arc<Channel>,
    number: u64,
    job: &Job,
) -> impl Future<Output = Landed> + Send + use<> {
    let message = &job.message;
    let (exchange, routing_key) = (message.exchange.clone(), message.routing_key.clone());
    let (body, properties) = (message.body.clone(), message.properties.clone());
    let options = BasicPublishOptions { mandatory: message.mandatory, immediate: false };
    async move {
        let sent = channel.basic_publish(exchange, routing_key, options, &body, properties);
        let outcome = match sent.await {
            Ok(confirmation) => confirmation.await,
            Err(error) => Err(error),
        };
        Landed { number, outcome }
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}
