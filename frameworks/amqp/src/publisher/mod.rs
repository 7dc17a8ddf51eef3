//! Publishing with confirmation: callers hand their messages to one task, which owns the
//! connection, keeps a window of unconfirmed messages, and sends them again where the connection
//! was lost under them.

mod carrier;
mod delay;
mod error;
mod flight;
mod job;
mod message;
mod mode;
mod outbox;
mod outgoing;
mod queue;
mod settings;
mod state;
mod task;
mod told;
mod unwatched;
mod verdicts;

use std::{sync::Arc, time::Duration};

use polyport_bootstrap::framework::Witness;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

pub use error::PublishError;
pub(crate) use job::Stage;
pub use message::Message;
pub use mode::PublishMode;
pub(crate) use outgoing::{Outgoing, max_headers, new_message_id, now};
pub use settings::PublishSettings;
pub use state::OutboxState;
pub(crate) use task::{Links, PublisherTask};
pub(crate) use told::recorded;

use self::{
    delay::Delays,
    job::{Job, Receipt},
    outbox::Outbox,
    told::OnItsWay,
    unwatched::{Ticket, Unwatched},
};
use crate::{metrics::PublishMetrics, monitor::Monitor, settings::AmqpSettings};

/// What publishes. A cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    jobs: mpsc::UnboundedSender<Job>,
    outbox: Outbox,
    unwatched: Arc<Unwatched>,
    delays: Arc<Delays>,
    monitor: Arc<Monitor>,
    metrics: Arc<PublishMetrics>,
    mode: PublishMode,
    timeout: Duration,
    max_body: usize,
    witness: Witness,
}

/// The other end of [`Publisher`], for its task.
#[derive(Debug)]
pub(crate) struct Jobs {
    receiver: mpsc::UnboundedReceiver<Job>,
    delays: Arc<Delays>,
}

impl Publisher {
    pub(crate) fn new(
        settings: &AmqpSettings,
        monitor: Arc<Monitor>,
        metrics: PublishMetrics,
    ) -> (Self, Jobs) {
        // The outbox bounds it.
        let (jobs, receiver) = mpsc::unbounded_channel();
        let delays = Arc::new(Delays::new(settings.publish.delays));
        let metrics = Arc::new(metrics);
        let publisher = Self {
            jobs,
            outbox: Outbox::new(&settings.publish),
            unwatched: Arc::new(Unwatched::new(Arc::clone(&metrics))),
            delays: Arc::clone(&delays),
            monitor,
            metrics,
            mode: settings.publish.mode,
            timeout: settings.publish.timeout,
            max_body: settings.max_message_size,
            witness: Witness::here(),
        };
        (publisher, Jobs { receiver, delays })
    }

    /// Publishes, and returns when the broker has confirmed.
    ///
    /// # Cancel safety
    /// Where the caller leaves, the message may or may not be published; others are not disturbed.
    pub(crate) async fn publish(&self, message: Outgoing) -> Result<(), PublishError> {
        self.publish_as(PublishMode::Confirmed, message).await
    }

    /// Publishes what application code has written, in the mode and with the delay that it says.
    pub(crate) async fn publish_message(&self, message: Message) -> Result<(), PublishError> {
        let mode = message.mode.unwrap_or(self.mode);
        match message.waits()? {
            None => self.publish_as(mode, message.into_outgoing()?).await,
            Some(delay) => self.publish_later(mode, message.into_outgoing()?, delay).await,
        }
    }

    async fn publish_as(&self, mode: PublishMode, message: Outgoing) -> Result<(), PublishError> {
        let size = message.check(self.max_body, self.monitor.frame_max())?;
        let told = OnItsWay::begin(&self.witness, &message);
        if mode == PublishMode::FireAndForget {
            // It is counted when its outcome is known.
            return self.forget(message, size, told);
        }
        let _in_flight = self.metrics.begin();
        let outcome = match mode {
            PublishMode::FailFast => self.fail_fast(message, size).await,
            _ => self.confirmed(message, size).await,
        };
        self.metrics.end(&outcome);
        told.end(&outcome);
        outcome
    }

    /// Publishes to the exchange by way of the queue where messages wait that long.
    async fn publish_later(
        &self,
        mode: PublishMode,
        mut message: Outgoing,
        delay: Duration,
    ) -> Result<(), PublishError> {
        message.check(self.max_body, self.monitor.frame_max())?;
        if let Some(reason) = self.obstacle().filter(|_| mode == PublishMode::FailFast) {
            return Err(not_connected(reason));
        }
        let target = message.exchange.clone();
        // Whoever does not wait for the broker does not wait for its return either.
        let patience = (mode == PublishMode::Confirmed).then_some(self.timeout);
        // Should the queue be gone, the message must not be.
        message.mandatory = true;
        for is_last in [false, true] {
            message.exchange = self.delays.step(&target, delay, patience).await?;
            match self.publish_as(mode, message.clone()).await {
                Err(PublishError::Unroutable { .. } | PublishError::Rejected { .. })
                    if !is_last =>
                {
                    self.delays.forget(&target, delay);
                }
                outcome => return outcome,
            }
        }
        Ok(())
    }

    async fn confirmed(&self, message: Outgoing, size: usize) -> Result<(), PublishError> {
        let deadline = Instant::now() + self.timeout;
        match timeout_at(deadline, self.outbox.enter(size)).await {
            Ok(Some(room)) => {
                let (job, receipt, stage) = Job::new(message, room);
                self.hand_over(job)?;
                self.outcome(receipt, &stage, deadline).await
            }
            Ok(None) => Err(stopped()),
            Err(_) => Err(self.obstacle().map_or_else(|| self.full(), not_connected)),
        }
    }

    async fn fail_fast(&self, message: Outgoing, size: usize) -> Result<(), PublishError> {
        if let Some(reason) = self.obstacle() {
            return Err(not_connected(reason));
        }
        let room = self.outbox.try_enter(size).ok_or_else(|| self.full())?;
        let (job, receipt, stage) = Job::new(message, room);
        self.hand_over(job)?;
        self.outcome(receipt, &stage, Instant::now() + self.timeout).await
    }

    fn forget(&self, message: Outgoing, size: usize, told: OnItsWay) -> Result<(), PublishError> {
        if self.jobs.is_closed() {
            return Err(stopped());
        }
        let room = self.outbox.try_enter(size).ok_or_else(|| self.full())?;
        let ticket = Ticket::new(Arc::clone(&self.unwatched), told);
        self.hand_over(Job::unwatched(message, room, ticket))
    }

    fn hand_over(&self, job: Job) -> Result<(), PublishError> {
        self.jobs.send(job).map_err(|refused| {
            refused.0.finish(Err(stopped()));
            stopped()
        })
    }

    async fn outcome(
        &self,
        receipt: Receipt,
        stage: &Stage,
        deadline: Instant,
    ) -> Result<(), PublishError> {
        match timeout_at(deadline, receipt).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) if stage.withdraw() => Err(stopped()),
            Err(_) if stage.withdraw() => {
                Err(not_connected(self.obstacle().unwrap_or_else(|| {
                    "the broker confirms the messages before it too slowly".to_owned()
                })))
            }
            Ok(Err(_)) | Err(_) => Err(PublishError::TimedOut { after: self.timeout }),
        }
    }

    fn full(&self) -> PublishError {
        let (messages, bytes) = self.outbox.held();
        PublishError::OutboxFull { messages, bytes }
    }

    /// Why nothing can be sent now.
    pub(crate) fn obstacle(&self) -> Option<String> {
        obstacle(&self.monitor)
    }

    pub(crate) fn state(&self) -> OutboxState {
        let (messages, bytes) = self.outbox.held();
        let (confirmed, failed) = self.unwatched.counts();
        OutboxState { messages, bytes, unwatched_confirmed: confirmed, unwatched_failed: failed }
    }
}

/// Why nothing can be sent over the publishing connection now.
pub(crate) fn obstacle(monitor: &Monitor) -> Option<String> {
    if let Some(trouble) = monitor.publish_trouble() {
        return Some(format!("the broker is not connected: {trouble}"));
    }
    let blocked = monitor.blocked().borrow().clone();
    blocked.map(|blocked| format!("the broker takes no messages now: {}", blocked.reason))
}

fn not_connected(reason: String) -> PublishError {
    PublishError::NotConnected { reason }
}

fn stopped() -> PublishError {
    not_connected("the process stops".to_owned())
}
