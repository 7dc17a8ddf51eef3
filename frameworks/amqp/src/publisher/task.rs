use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use lapin::options::ConfirmSelectOptions;
use polyport_bootstrap::Backoff;
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Jobs, PublishError,
    delay::Delays,
    flight::{Failed, Flight},
    job::Job,
    queue::Queue,
};
use crate::{
    connection::{CLOSE, CONNECTION_FORCED, Link, answered, describe, settled},
    dialer::Dialer,
    guard::Closed,
    monitor::Side,
};

/// How often the broker may close what a message is sent on, for a reason that this message may be:
/// one that closes every connection must not do so for ever.
const CLOSINGS: u8 = 4;
/// Codes below it say that something went well (AMQP 0-9-1, section 1.2).
const LEAST_ERROR: u16 = 300;

/// For how many times `publish.timeout` one message may be unconfirmed on a channel.
const PATIENCE: u32 = 3;
/// What that is counted as at least.
const LEAST: Duration = Duration::from_secs(1);

/// How old a channel is at least that is replaced since the broker refuses messages on it. Where that
/// does not help, the next one gets twice as old, up to the longest.
const RENEWAL: Duration = Duration::from_secs(1);
const LONGEST_RENEWAL: Duration = Duration::from_secs(32);

/// How often, while nothing can be sent, it is looked for messages that their callers have given up.
const SWEEP: Duration = Duration::from_millis(250);

/// The publishing connection, for whoever shares it; none while it is down.
pub(crate) type Links = watch::Receiver<Option<Arc<Link>>>;

/// Owns the publishing connection for the life of the process.
#[derive(Debug)]
pub(crate) struct PublisherTask {
    dialer: Arc<Dialer>,
    queue: Queue,
    delays: Arc<Delays>,
    links: watch::Sender<Option<Arc<Link>>>,
    /// How many messages may be unconfirmed at once.
    window: usize,
    /// How many messages were sent, each counted once.
    sequence: i64,
    /// How old the channel is at least that is replaced for what is refused on it.
    renewal: Duration,
    /// Asks for the end: what was accepted is still sent and confirmed.
    stop: CancellationToken,
}

/// Why a channel is no longer used.
enum End {
    Stopped,
    /// The channel is; its connection may be as good as before.
    Channel(String),
    Link(String),
}

impl PublisherTask {
    pub(crate) fn new(dialer: Arc<Dialer>, jobs: Jobs, stop: CancellationToken) -> Self {
        jobs.delays.set_dialer(Arc::clone(&dialer));
        Self {
            window: usize::from(dialer.settings.publish.window),
            dialer,
            queue: Queue::new(jobs.receiver),
            delays: jobs.delays,
            links: watch::Sender::new(None),
            sequence: 0,
            renewal: RENEWAL,
            stop,
        }
    }

    /// The connection, to be shared.
    pub(crate) fn links(&self) -> Links {
        self.links.subscribe()
    }

    /// Publishes until it is stopped; begins with a connection that is up, if there is one.
    pub(crate) async fn run(mut self, first: Option<Link>) {
        let (mut next, mut backoff) = (first, Backoff::default());
        let link = loop {
            let link = match next.take() {
                Some(link) => Arc::new(link),
                None => match self.redial(&mut backoff).await {
                    Some(link) => {
                        self.dialer.monitor.up(Side::Publish);
                        Arc::new(link)
                    }
                    None => return,
                },
            };
            self.links.send_replace(Some(Arc::clone(&link)));
            let end = self.serve(&link).await;
            self.links.send_replace(None);
            match end {
                End::Stopped => break link,
                End::Channel(reason) | End::Link(reason) => {
                    self.dialer.lost(Side::Publish, reason);
                    let_go(&link).await;
                }
            }
        };
        let_go(&link).await;
    }

    /// Connects anew; none where that is not wanted any more.
    async fn redial(&mut self, backoff: &mut Backoff) -> Option<Link> {
        let dialer = Arc::clone(&self.dialer);
        let mut redial = pin!(dialer.redial(Side::Publish, backoff));
        let mut sweep = sweeping();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                link = &mut redial => {
                    // The broker may be another one, or have lost its queues.
                    self.delays.forget_all();
                    return Some(link);
                }
                _ = sweep.tick() => self.queue.sweep(),
            }
        }
    }

    /// Publishes over one connection; a channel that is of no use any more is replaced.
    async fn serve(&mut self, link: &Link) -> End {
        loop {
            let mut flight = match self.open(link).await {
                Some(Ok(flight)) => flight,
                Some(Err(reason)) => return End::Link(reason),
                None => return End::Stopped,
            };
            match self.pump(link, &mut flight).await {
                End::Channel(reason) if link.is_up() => {
                    tracing::warn!(reason, "the publishing channel is closed; opening another");
                    settled(flight.channel()).await;
                }
                end => return end,
            }
        }
    }

    /// Opens a channel; none where nothing is to be published any more.
    async fn open(&mut self, link: &Link) -> Option<Result<Flight, String>> {
        let mut opening = pin!(confirming(link));
        tokio::select! {
            biased;
            opened = &mut opening => return Some(opened),
            () = self.stop.cancelled() => self.queue.close(),
        }
        // What was accepted is still sent, where somebody waits for it.
        self.queue.sweep();
        if self.queue.is_empty() { None } else { Some(opening.await) }
    }

    async fn pump(&mut self, link: &Link, flight: &mut Flight) -> End {
        let stop = self.stop.clone();
        let mut blocked = self.dialer.monitor.blocked();
        let mut sweep = sweeping();
        let mut lost = pin!(link.lost());
        let mut stopped = pin!(stop.cancelled());
        let mut stopping = false;
        while !(stopping && flight.is_empty() && self.queue.is_empty()) {
            // What is written while the broker takes nothing can not be taken back.
            let is_blocked = blocked.borrow_and_update().is_some() || flight.is_held();
            let is_refused = flight.is_refused(self.renewal);
            if is_refused && flight.is_empty() && !is_blocked {
                return self.renew(flight).await;
            }
            if is_blocked {
                flight.holds();
            } else if !is_refused {
                self.send_late(flight);
            }
            let room = if is_blocked || is_refused { 0 } else { self.room(flight) };
            tokio::select! {
                biased;
                heard = flight.heard() => {
                    if let Some(closed) = flight.settle(heard) {
                        let end = ended(link, &closed).await;
                        self.recover(flight, Some(closed));
                        return end;
                    }
                }
                reason = &mut lost => {
                    self.recover(flight, None);
                    return End::Link(reason);
                }
                _ = sweep.tick(), if room == 0 || flight.has_timely() => {
                    if room == 0 {
                        self.queue.sweep();
                    }
                    if flight.is_waiting() {
                        // Nobody can confirm what the socket has not taken.
                        flight.holds();
                    } else if !is_blocked && self.is_stuck(flight, room) {
                        return self.give_up(flight).await;
                    }
                }
                1.. = self.queue.fill(room), if room > 0 => self.send_some(flight),
                Ok(()) = blocked.changed() => {}
                () = &mut stopped, if !stopping => {
                    stopping = true;
                    self.queue.close();
                }
            }
        }
        End::Stopped
    }

    /// Whether messages that the broker does not confirm (a quorum queue has lost its majority, say)
    /// keep others from being sent, or are about to.
    fn is_stuck(&self, flight: &Flight, room: usize) -> bool {
        let timeout = self.patience();
        flight.is_overdue(timeout.saturating_mul(PATIENCE))
            || room == 0 && flight.is_quiet(timeout) && flight.is_overdue(timeout)
    }

    /// Closes a channel on which messages are stuck. What is still wanted of them is sent again, on
    /// another one.
    async fn give_up(&mut self, flight: &mut Flight) -> End {
        let count = flight.len();
        tracing::warn!(count, "the broker has not confirmed some messages for long");
        flight.mark_late(self.patience());
        self.replace(flight, "messages on it were not confirmed").await
    }

    /// Closes a channel on which the broker refuses messages, when nothing is under way on it.
    /// RabbitMQ's channels keep to the leader of a quorum queue that they have known first, and refuse
    /// everything as long as that is down: another channel asks again who leads.
    async fn renew(&mut self, flight: &mut Flight) -> End {
        let was_well = flight.was_well_for(self.renewal);
        self.renewal =
            if was_well { RENEWAL } else { LONGEST_RENEWAL.min(self.renewal.saturating_mul(2)) };
        self.replace(flight, "the broker has refused messages on it").await
    }

    /// Closes a channel in order, and takes back what is unconfirmed on it.
    async fn replace(&mut self, flight: &mut Flight, why: &str) -> End {
        let closed = timeout(CLOSE, flight.channel().close(200, "OK".into())).await;
        self.recover(flight, None);
        match closed {
            Ok(Ok(())) => End::Channel(why.to_owned()),
            Ok(Err(error)) => End::Channel(describe(&error)),
            Err(_) => End::Link("the broker does not answer".to_owned()),
        }
    }

    /// How many messages may be sent now.
    fn room(&self, flight: &Flight) -> usize {
        flight.room(if self.queue.is_suspect() { 1 } else { self.window })
    }

    fn send_some(&mut self, flight: &mut Flight) {
        let now = Instant::now();
        while self.room(flight) > 0
            && let Some(job) = self.queue.pop()
        {
            self.send(flight, job, now);
        }
        flight.flush();
    }

    /// Sends what was unconfirmed for long before, beside the others: it must not hold them up.
    fn send_late(&mut self, flight: &mut Flight) {
        if !self.queue.has_late() {
            return;
        }
        let now = Instant::now();
        while self.queue.has_late()
            && !self.queue.has_again()
            && flight.late_room(self.window) > 0
            && let Some(job) = self.queue.pop_late()
        {
            self.send(flight, job, now);
        }
        flight.flush();
    }

    fn send(&mut self, flight: &mut Flight, mut job: Job, now: Instant) {
        if !job.begin() {
            return;
        }
        if job.sequence == 0 {
            self.sequence += 1;
            job.sequence = self.sequence;
            if job.message.mandatory {
                job.message.number(job.sequence);
            }
        }
        flight.send(job, now);
    }

    /// Takes back what is unconfirmed on a channel that is of no use any more.
    fn recover(&mut self, flight: &mut Flight, closed: Option<Closed>) {
        let closed = flight.settle_rest().or(closed);
        let mut failed = flight.give_up(closed.as_ref());
        let culprit = failed.len() == 1 && failed[0].job.suspect;
        failed.sort_by_key(|failed| failed.job.sequence);
        let (late, timely): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|failed| failed.job.is_late);
        for failed in late {
            self.judge_late(failed, timely.is_empty());
        }
        for failed in timely.into_iter().rev() {
            self.judge(failed, culprit);
        }
    }

    /// A message that closes the channel or the connection when it is sent alone is the one that
    /// the broker rejects; others are sent again.
    fn judge(&mut self, failed: Failed, culprit: bool) {
        let is_suspect = failed.may_be_the_reason();
        let Failed { mut job, closed } = failed;
        job.suspect = is_suspect;
        job.closings += u8::from(is_suspect);
        match closed {
            Some(closed) if culprit && is_suspect => {
                job.finish(Err(PublishError::Rejected { reason: closed.reason }));
            }
            _ if job.closings < CLOSINGS => self.queue.again(job),
            _ => job.finish(Err(PublishError::TimedOut { after: self.timeout() })),
        }
    }

    /// One that was unconfirmed for long waits behind the others. Where some of these were under way
    /// too, it is not suspected: they are tried alone first.
    fn judge_late(&mut self, failed: Failed, may_be: bool) {
        let is_suspect = may_be && failed.may_be_the_reason();
        let mut job = failed.job;
        job.closings += u8::from(is_suspect);
        job.suspect = false;
        if job.closings < CLOSINGS && job.is_wanted() {
            self.queue.late(job);
        } else {
            job.finish(Err(PublishError::TimedOut { after: self.timeout() }));
        }
    }

    /// How long the broker may confirm nothing while it keeps others from being sent.
    fn patience(&self) -> Duration {
        self.timeout().max(LEAST)
    }

    fn timeout(&self) -> Duration {
        self.dialer.settings.publish.timeout
    }
}

impl Failed {
    /// Whether this message may have made the broker close what it was sent on: it gave a reason,
    /// and that is not that somebody wanted it closed.
    fn may_be_the_reason(&self) -> bool {
        let code = self.closed.as_ref().and_then(|closed| closed.code);
        code.is_some_and(|code| code >= LEAST_ERROR && code != CONNECTION_FORCED)
    }
}

/// What a channel's end is the end of. lapin hears of it after us.
async fn ended(link: &Link, closed: &Closed) -> End {
    let reason = closed.reason.clone();
    if !closed.is_connection {
        return End::Channel(reason);
    }
    let _ = timeout(CLOSE, link.lost()).await;
    End::Link(reason)
}

fn sweeping() -> Interval {
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sweep
}

/// Whoever shares the connection sees its end.
async fn let_go(link: &Link) {
    if let Err(error) = link.close().await {
        tracing::debug!(%error, "the publishing connection was cut");
    }
}

async fn confirming(link: &Link) -> Result<Flight, String> {
    let channel = link.channel().await.map_err(|error| error.to_string())?;
    let selected = channel.confirm_select(ConfirmSelectOptions::default());
    answered(selected).await.map_err(|error| error.to_string())?;
    Ok(Flight::new(link, channel))
}
