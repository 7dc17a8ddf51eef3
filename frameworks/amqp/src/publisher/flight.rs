use std::{
    collections::{BTreeMap, HashSet},
    future::pending,
    mem,
    time::{Duration, Instant},
};

use lapin::{BasicProperties, Channel};

use super::{PublishError, job::Job};
use crate::{
    connection::Link,
    guard::{Answers, Closed, Heard, Voice, speech},
    headers,
};

/// The messages that were sent on one channel and are not confirmed yet. They go past lapin, and so
/// do their confirmations: it would be woken for each of them.
pub(super) struct Flight {
    channel: Channel,
    voice: Voice,
    answers: Answers,
    frame_max: usize,
    /// What was sent since the last [flush](Self::flush).
    frames: Vec<u8>,
    /// The messages themselves, by their number on this channel.
    jobs: BTreeMap<u64, Job>,
    latest: u64,
    /// How many of them have been unconfirmed for long before: they take no room from others.
    late: usize,
    /// Messages that the broker has returned, and not confirmed yet, by their sequence.
    returned: HashSet<i64>,
    /// Whether the broker takes nothing on this channel for now.
    is_held: bool,
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

/// A message whose outcome is not known since its channel was given up.
pub(super) struct Failed {
    pub(super) job: Job,
    /// What the channel was closed for, where that was told.
    pub(super) closed: Option<Closed>,
}

impl Flight {
    /// On a channel where the broker confirms messages, and on which none was published yet.
    pub(super) fn new(link: &Link, channel: Channel) -> Self {
        let now = Instant::now();
        Self {
            voice: link.voice(&channel),
            answers: link.answers(&channel),
            channel,
            frame_max: usize::try_from(link.frame_max()).unwrap_or(usize::MAX),
            frames: Vec::new(),
            jobs: BTreeMap::new(),
            latest: 0,
            late: 0,
            returned: HashSet::new(),
            is_held: false,
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
        self.jobs.is_empty()
    }

    /// How many messages are unconfirmed.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether the broker has said that it takes nothing on this channel for now (`channel.flow`).
    pub(super) fn is_held(&self) -> bool {
        self.is_held
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

    /// Sends a message with the next flush, and notes when that is.
    pub(super) fn send(&mut self, mut job: Job, now: Instant) {
        let (channel, content) = (self.voice.channel(), job.message.content());
        if let Err(error) = speech::publish(&mut self.frames, channel, content, self.frame_max) {
            let reason = format!("its properties cannot be written: {error}");
            return job.finish(Err(PublishError::Rejected { reason }));
        }
        self.alone = job.suspect;
        self.late += usize::from(job.is_late);
        self.latest += 1;
        job.sent_at = Some(now);
        self.jobs.insert(self.latest, job);
    }

    /// Writes what was sent. Where the channel is closed that is heard of, too.
    pub(super) fn flush(&mut self) {
        if !self.frames.is_empty() {
            self.voice.say(&mut self.frames);
        }
    }

    /// Whether something of it is not written yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.voice.is_waiting()
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

    /// Waits for what the broker says, all that came together. May be dropped at any time.
    pub(super) async fn heard(&mut self) -> Vec<Heard> {
        match self.answers.recv().await {
            Some(heard) => heard,
            // The connection is over, of which others tell.
            None => pending().await,
        }
    }

    /// Tells callers what became of their messages; gives how the channel has ended, if it has.
    pub(super) fn settle(&mut self, heard: Vec<Heard>) -> Option<Closed> {
        let (mut closed, now) = (None, Instant::now());
        for heard in heard {
            match heard {
                Heard::Confirmed { tag, multiple, acked } => {
                    self.quiet_since = now;
                    self.confirmed(tag, multiple, acked);
                }
                Heard::Returned(returned) => {
                    self.returned.extend(sequence(&returned.properties));
                }
                Heard::Flow(active) => self.is_held = !active,
                Heard::Closed(how) => closed = Some(how),
            }
        }
        closed
    }

    fn confirmed(&mut self, tag: u64, multiple: bool, acked: bool) {
        if !acked {
            self.refused.get_or_insert(self.quiet_since);
        }
        if !multiple {
            let job = self.jobs.remove(&tag);
            return job.into_iter().for_each(|job| self.finish(job, acked));
        }
        while let Some(first) = self.jobs.first_entry()
            && (*first.key() <= tag || tag == 0)
        {
            let job = first.remove();
            self.finish(job, acked);
        }
    }

    fn finish(&mut self, job: Job, acked: bool) {
        self.late -= usize::from(job.is_late);
        match acked {
            // The broker returns a message before it confirms it.
            _ if job.message.mandatory && self.returned.remove(&job.sequence) => {
                job.finish_unroutable();
            }
            true => job.finish(Ok(())),
            false => job.finish(Err(PublishError::Nacked)),
        }
    }

    /// What has come in the meantime is settled; gives how the channel has ended, if it has.
    pub(super) fn settle_rest(&mut self) -> Option<Closed> {
        let mut closed = None;
        while let Ok(heard) = self.answers.try_recv() {
            closed = self.settle(heard).or(closed);
        }
        closed
    }

    /// What is left: nothing is known of it, and nothing will be.
    pub(super) fn give_up(&mut self, closed: Option<&Closed>) -> Vec<Failed> {
        self.late = 0;
        let unconfirmed = mem::take(&mut self.jobs).into_values();
        unconfirmed.map(|job| Failed { job, closed: closed.cloned() }).collect()
    }
}

/// The number of a message that was returned.
fn sequence(properties: &BasicProperties) -> Option<i64> {
    headers::get(properties.headers().as_ref(), headers::SEQUENCE).and_then(headers::integer)
}
