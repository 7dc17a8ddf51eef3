use std::{pin::pin, sync::Arc, time::Duration};

use lapin::{ErrorKind, options::ConfirmSelectOptions};
use polyport_bootstrap::Backoff;
use tokio::{
    sync::watch,
    time::{interval, timeout},
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
    connection::{CLOSE, Link, answered, describe, settled},
    dialer::Dialer,
    monitor::Side,
};

/// How often one message is sent at most: one that closes every connection must not do so for
/// ever.
const SENDINGS: u8 = 4;

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
    /// Asks for the end: what was accepted is still sent and confirmed.
    stop: CancellationToken,
}

/// Why a channel is no longer used.
enum End {
    Stopped,
    Failed(String),
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
                End::Failed(reason) => self.dialer.lost(Side::Publish, reason),
            }
        };
        if let Err(error) = link.close().await {
            tracing::debug!(%error, "the publishing connection was cut");
        }
    }

    /// Connects anew; none where that is not wanted any more.
    async fn redial(&mut self, backoff: &mut Backoff) -> Option<Link> {
        let dialer = Arc::clone(&self.dialer);
        let mut redial = pin!(dialer.redial(Side::Publish, backoff));
        let mut sweep = interval(SWEEP);
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

    /// Publishes over one connection; a channel that the broker closes is replaced.
    async fn serve(&mut self, link: &Link) -> End {
        loop {
            let mut flight = match confirming(link).await {
                Ok(flight) => flight,
                Err(error) => return End::Failed(error),
            };
            match self.pump(link, &mut flight).await {
                End::Failed(reason) if link.is_up() => {
                    tracing::warn!(
                        reason,
                        "the broker closed the publishing channel; opening another"
                    );
                    settled(flight.channel()).await;
                }
                end => return end,
            }
        }
    }

    async fn pump(&mut self, link: &Link, flight: &mut Flight) -> End {
        let stop = self.stop.clone();
        let mut blocked = self.dialer.monitor.blocked();
        let mut sweep = interval(SWEEP);
        let mut lost = pin!(link.lost());
        let mut stopped = pin!(stop.cancelled());
        let mut stopping = false;
        while !(stopping && flight.is_empty() && self.queue.is_empty()) {
            // What lapin is given while the broker takes nothing can not be taken back.
            let is_blocked = blocked.borrow_and_update().is_some();
            let room = if is_blocked { 0 } else { self.room(flight) };
            tokio::select! {
                biased;
                landed = flight.landed(), if !flight.is_empty() => {
                    let failed = flight.settle(landed);
                    if let Some(first) = failed.first() {
                        let reason = describe(&first.error);
                        self.recover(flight, failed).await;
                        return End::Failed(reason);
                    }
                }
                reason = &mut lost => {
                    self.recover(flight, Vec::new()).await;
                    return End::Failed(reason);
                }
                1.. = self.queue.fill(room), if room > 0 => self.send_some(flight),
                Ok(()) = blocked.changed() => {}
                _ = sweep.tick(), if is_blocked => self.queue.sweep(),
                () = &mut stopped, if !stopping => {
                    stopping = true;
                    self.queue.close();
                }
            }
        }
        End::Stopped
    }

    /// How many messages may be sent now.
    fn room(&self, flight: &Flight) -> usize {
        flight.room(if self.queue.has_again() { 1 } else { self.window })
    }

    fn send_some(&mut self, flight: &mut Flight) {
        while self.room(flight) > 0
            && let Some(job) = self.queue.pop()
        {
            self.send(flight, job);
        }
    }

    fn send(&mut self, flight: &mut Flight, mut job: Job) {
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
        flight.send(job);
    }

    /// Takes back what is unconfirmed on a channel that has failed.
    async fn recover(&mut self, flight: &mut Flight, mut failed: Vec<Failed>) {
        let culprit = failed.len() == 1 && failed[0].job.suspect;
        let rest = async {
            while !flight.is_empty() {
                let landed = flight.landed().await;
                failed.extend(flight.settle(landed));
            }
        };
        if timeout(CLOSE, rest).await.is_err() || flight.has_open_verdicts() {
            tracing::warn!("some messages were sent whose outcome is unknown");
        }
        failed.sort_by_key(|failed| failed.job.sequence);
        for Failed { job, error } in failed.into_iter().rev() {
            self.judge(job, &error, culprit);
        }
    }

    /// A message that closes the channel or the connection when it is sent alone is the one that
    /// the broker rejects; others are sent again.
    fn judge(&mut self, mut job: Job, error: &lapin::Error, culprit: bool) {
        job.suspect = may_be_for_a_message(error);
        if culprit && job.suspect {
            job.finish(Err(PublishError::Rejected { reason: describe(error) }));
        } else if job.sendings < SENDINGS {
            self.queue.again(job);
        } else {
            job.finish(Err(PublishError::TimedOut { after: self.dialer.settings.publish.timeout }));
        }
    }
}

/// Whether a message may have made the broker close what it was sent on: it gave a reason, and that
/// is not that somebody wanted it closed.
fn may_be_for_a_message(error: &lapin::Error) -> bool {
    const CONNECTION_FORCED: u16 = 320;
    matches!(error.kind(), ErrorKind::ProtocolError(e) if e.get_id() != CONNECTION_FORCED)
}

async fn confirming(link: &Link) -> Result<Flight, String> {
    let channel = link.channel().await.map_err(|error| error.to_string())?;
    let selected = channel.confirm_select(ConfirmSelectOptions::default());
    answered(selected).await.map_err(|error| error.to_string())?;
    Ok(Flight::new(channel))
}
