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

use std::{sync::Arc, time::Duration};

use lapin::types::ShortString;
use polyport_bootstrap::framework::Witness;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

pub use error::PublishError;
pub(crate) use job::Stage;
pub(crate) use message::LONGEST;
pub use message::Message;
pub use mode::PublishMode;
pub(crate) use outgoing::{Outgoing, max_headers, new_message_id, now};
pub use settings::PublishSettings;
pub use state::OutboxState;
pub(crate) use task::{Links, PublisherTask};
pub(crate) use told::recorded;

use self::{
    delay::{Delays, SecondTry},
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

/// A message that application code has written, or why there is none, and how it is published.
#[derive(Debug)]
pub(crate) struct Order {
    mode: PublishMode,
    message: Result<(Box<Outgoing>, Option<Duration>), PublishError>,
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

    /// The queues in which delayed messages may wait.
    pub(crate) fn delay_queues(&self) -> Vec<String> {
        self.delays.queues()
    }

    /// Publishes, and returns when the broker has confirmed.
    ///
    /// # Cancel safety
    /// Where the caller leaves, the message may or may not be published; others are not disturbed.
    pub(crate) fn publish(
        &self,
        message: Outgoing,
    ) -> impl Future<Output = Result<(), PublishError>> {
        // A future that holds it would be copied with it.
        let (mode, message) = (PublishMode::Confirmed, Box::new(message));
        self.counted(mode, self.publish_as(mode, message, self.deadline()))
    }

    /// What application code has written, as it is published.
    pub(crate) fn order(&self, message: Result<Message, PublishError>) -> Order {
        let mode = message.as_ref().ok().and_then(|message| message.mode).unwrap_or(self.mode);
        let message = message.and_then(|message| {
            let delay = message.waits()?;
            Ok((Box::new(message.into_outgoing()?), delay))
        });
        Order { mode, message }
    }

    /// Publishes what application code has written, in the mode and with the delay that it says.
    pub(crate) async fn publish_order(&self, order: Order) -> Result<(), PublishError> {
        let Order { mode, message } = order;
        self.counted(mode, async { self.publish_by(mode, message?).await }).await
    }

    async fn counted(
        &self,
        mode: PublishMode,
        publishing: impl Future<Output = Result<(), PublishError>>,
    ) -> Result<(), PublishError> {
        let is_waited_for = mode != PublishMode::FireAndForget;
        let _in_flight = is_waited_for.then(|| self.metrics.begin());
        let outcome = publishing.await;
        // What was accepted, and nobody waits for, is counted when its outcome is known.
        if is_waited_for || outcome.is_err() {
            self.metrics.end(&outcome);
        }
        outcome
    }

    async fn publish_by(
        &self,
        mode: PublishMode,
        (message, delay): (Box<Outgoing>, Option<Duration>),
    ) -> Result<(), PublishError> {
        match delay {
            None => self.publish_as(mode, message, self.deadline()).await,
            Some(delay) => Box::pin(self.publish_later(mode, message, delay)).await,
        }
    }

    async fn publish_as(
        &self,
        mode: PublishMode,
        message: Box<Outgoing>,
        deadline: Instant,
    ) -> Result<(), PublishError> {
        let size = message.check(self.max_body, self.monitor.frame_max())?;
        let told = OnItsWay::begin(&self.witness, &message);
        let outcome = match mode {
            // It is told of when its outcome is known.
            PublishMode::FireAndForget => return self.forget(message, size, None, told),
            PublishMode::FailFast => self.fail_fast(message, size, deadline).await,
            PublishMode::Confirmed => self.confirmed(message, size, deadline).await,
        };
        told.end(&outcome);
        outcome
    }

    /// Publishes to the exchange by way of the queue where messages wait that long.
    async fn publish_later(
        &self,
        mode: PublishMode,
        mut message: Box<Outgoing>,
        delay: Duration,
    ) -> Result<(), PublishError> {
        let size = message.check(self.max_body, self.monitor.frame_max())?;
        if let Some(reason) = self.obstacle().filter(|_| mode == PublishMode::FailFast) {
            return Err(not_connected(reason));
        }
        let (target, deadline) = (message.exchange.clone(), self.deadline());
        // Whoever does not wait for the broker does not wait for its return either.
        let patient = mode == PublishMode::Confirmed;
        // Should the queue be gone, the message must not be.
        message.mandatory = true;
        message.exchange = self.delays.step(&target, delay, deadline, patient).await?;
        if mode == PublishMode::FireAndForget {
            let second_try = self.second_try(target, delay);
            let told = OnItsWay::begin(&self.witness, &message);
            return self.forget(message, size, Some(second_try), told);
        }
        match self.publish_as(mode, message.clone(), deadline).await {
            Err(PublishError::Unroutable { .. } | PublishError::Rejected { .. }) => {
                self.delays.forget(&target, delay);
                message.exchange = self.delays.step(&target, delay, deadline, patient).await?;
                self.publish_as(mode, message, deadline).await
            }
            outcome => outcome,
        }
    }

    fn second_try(&self, target: ShortString, delay: Duration) -> Box<SecondTry> {
        let (delays, jobs) = (Arc::clone(&self.delays), self.jobs.downgrade());
        Box::new(SecondTry { delays, target, delay, timeout: self.timeout, jobs })
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    async fn confirmed(
        &self,
        message: Box<Outgoing>,
        size: usize,
        deadline: Instant,
    ) -> Result<(), PublishError> {
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

    async fn fail_fast(
        &self,
        message: Box<Outgoing>,
        size: usize,
        deadline: Instant,
    ) -> Result<(), PublishError> {
        if let Some(reason) = self.obstacle() {
            return Err(not_connected(reason));
        }
        let room = self.outbox.try_enter(size).ok_or_else(|| self.full())?;
        let (job, receipt, stage) = Job::new(message, room);
        self.hand_over(job)?;
        self.outcome(receipt, &stage, deadline).await
    }

    fn forget(
        &self,
        message: Box<Outgoing>,
        size: usize,
        second_try: Option<Box<SecondTry>>,
        told: OnItsWay,
    ) -> Result<(), PublishError> {
        if self.jobs.is_closed() {
            return Err(stopped());
        }
        let room = self.outbox.try_enter(size).ok_or_else(|| self.full())?;
        let ticket = Ticket::new(Arc::clone(&self.unwatched), told);
        self.hand_over(Job::unwatched(message, room, ticket).or(second_try))
    }

    fn hand_over(&self, job: Job) -> Result<(), PublishError> {
        self.jobs.send(job).map_err(|refused| {
            refused.0.refuse();
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
