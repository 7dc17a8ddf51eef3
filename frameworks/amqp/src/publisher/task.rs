use std::{collections::VecDeque, pin::pin, sync::Arc};

use lapin::{ErrorKind, options::ConfirmSelectOptions};
use polyport_bootstrap::Backoff;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    Jobs, PublishError,
    flight::{Failed, Flight},
    job::Job,
};
use crate::{
    connection::{CLOSE, Link, answered, describe, settled},
    dialer::Dialer,
    monitor::Side,
};

/// How often one message is sent at most: one that closes every connection must not do so for
/// ever.
const SENDINGS: u8 = 4;

/// Owns the publishing connection for the life of the process.
#[derive(Debug)]
pub(crate) struct PublisherTask {
    dialer: Arc<Dialer>,
    jobs: Jobs,
    /// How many messages may be unconfirmed at once.
    window: usize,
    /// Asks for the end: what was accepted is still sent and confirmed.
    stop: CancellationToken,
    again: Again,
}

/// Messages to be sent again, in the order in which they were sent first.
#[derive(Debug, Default)]
struct Again {
    jobs: VecDeque<Job>,
    sequence: i64,
}

/// Why a channel is no longer used.
enum End {
    Stopped,
    Failed(String),
}

impl PublisherTask {
    pub(crate) fn new(dialer: Arc<Dialer>, jobs: Jobs, stop: CancellationToken) -> Self {
        let window = usize::from(dialer.settings.confirm_window);
        Self { dialer, jobs, window, stop, again: Again::default() }
    }

    /// Publishes until it is stopped; begins with a connection that is up, if there is one.
    pub(crate) async fn run(mut self, first: Option<Link>) {
        let (mut next, mut backoff) = (first, Backoff::default());
        let link = loop {
            let link = match next.take() {
                Some(link) => link,
                None => tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return,
                    link = self.dialer.redial(Side::Publish, &mut backoff) => link,
                },
            };
            self.dialer.monitor.up(Side::Publish);
            match self.serve(&link).await {
                End::Stopped => break link,
                End::Failed(reason) => self.dialer.lost(Side::Publish, reason),
            }
        };
        if let Err(error) = link.close().await {
            tracing::debug!(%error, "the publishing connection was cut");
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
        let mut lost = pin!(link.lost());
        let mut stopped = pin!(stop.cancelled());
        let mut stopping = false;
        while !(stopping && flight.is_empty() && self.is_idle()) {
            let room = flight.has_room(if self.again.jobs.is_empty() { self.window } else { 1 });
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
                Some(job) = next(&mut self.again.jobs, &mut self.jobs), if room => {
                    self.send(flight, job);
                }
                () = &mut stopped, if !stopping => {
                    stopping = true;
                    self.jobs.0.close();
                }
            }
        }
        End::Stopped
    }

    fn is_idle(&self) -> bool {
        self.again.jobs.is_empty() && self.jobs.0.is_empty()
    }

    fn send(&mut self, flight: &mut Flight, mut job: Job) {
        if !job.begin() {
            return;
        }
        if job.sequence == 0 {
            self.again.sequence += 1;
            job.sequence = self.again.sequence;
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
            self.again.jobs.push_front(job);
        } else {
            job.finish(Err(PublishError::TimedOut { after: self.dialer.settings.publish_timeout }));
        }
    }
}

/// Whether a message may have made the broker close what it was sent on: it gave a reason, and that
/// is not that somebody wanted it closed.
fn may_be_for_a_message(error: &lapin::Error) -> bool {
    const CONNECTION_FORCED: u16 = 320;
    matches!(error.kind(), ErrorKind::ProtocolError(e) if e.get_id() != CONNECTION_FORCED)
}

/// What is sent next: first what has to be sent again.
async fn next(again: &mut VecDeque<Job>, jobs: &mut Jobs) -> Option<Job> {
    match again.pop_front() {
        Some(job) => Some(job),
        None => jobs.0.recv().await,
    }
}

async fn confirming(link: &Link) -> Result<Flight, String> {
    let channel = link.channel().await.map_err(|error| error.to_string())?;
    let selected = channel.confirm_select(ConfirmSelectOptions::default());
    answered(selected).await.map_err(|error| error.to_string())?;
    Ok(Flight::new(channel))
}
