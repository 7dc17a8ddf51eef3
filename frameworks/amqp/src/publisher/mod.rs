//! Publishing with confirmation: callers hand their messages to one task, which owns the
//! connection, keeps a window of unconfirmed messages, and sends them again where the connection
//! was lost under them.

mod carrier;
mod error;
mod flight;
mod job;
mod message;
mod task;
mod verdicts;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

pub use error::PublishError;
pub use message::Message;
pub(crate) use message::{Outgoing, max_headers, new_message_id, now};
pub(crate) use task::PublisherTask;

use self::job::Job;
use crate::{metrics::PublishMetrics, monitor::Monitor, settings::AmqpSettings};

/// What publishes. A cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    jobs: mpsc::Sender<Job>,
    monitor: Arc<Monitor>,
    metrics: Arc<PublishMetrics>,
    timeout: Duration,
    max_body: usize,
}

/// The other end of [`Publisher`], for its task.
#[derive(Debug)]
pub(crate) struct Jobs(mpsc::Receiver<Job>);

impl Publisher {
    pub(crate) fn new(
        settings: &AmqpSettings,
        monitor: Arc<Monitor>,
        metrics: PublishMetrics,
    ) -> (Self, Jobs) {
        let (jobs, receiver) = mpsc::channel(usize::from(settings.confirm_window));
        let publisher = Self {
            jobs,
            monitor,
            metrics: Arc::new(metrics),
            timeout: settings.publish_timeout,
            max_body: settings.max_message_size,
        };
        (publisher, Jobs(receiver))
    }

    /// Publishes, and returns when the broker has confirmed.
    ///
    /// # Cancel safety
    /// Where the caller leaves, the message may or may not be published; others are not disturbed.
    pub(crate) async fn publish(&self, message: Outgoing) -> Result<(), PublishError> {
        let _in_flight = self.metrics.begin();
        let outcome = self.published(message).await;
        self.metrics.end(&outcome);
        outcome
    }

    async fn published(&self, message: Outgoing) -> Result<(), PublishError> {
        message.check(self.max_body, self.monitor.frame_max())?;
        let (job, receipt, stage) = Job::new(message);
        let published = async {
            self.jobs.send(job).await.ok()?;
            receipt.await.ok()
        };
        match timeout_at(Instant::now() + self.timeout, published).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) if stage.withdraw() => Err(self.not_connected("the process stops")),
            Err(_) if stage.withdraw() => {
                Err(self.not_connected("the broker confirms too slowly, and the window is full"))
            }
            Ok(None) | Err(_) => Err(PublishError::TimedOut { after: self.timeout }),
        }
    }

    fn not_connected(&self, otherwise: &str) -> PublishError {
        let reason = match self.monitor.publish_trouble() {
            Some(trouble) => format!("the broker is not connected: {trouble}"),
            None => otherwise.to_owned(),
        };
        PublishError::NotConnected { reason }
    }
}
