use std::{sync::Arc, time::Duration};

use lapin::types::ShortString;
use tokio::{sync::mpsc::WeakUnboundedSender, time::Instant};

use super::{
    super::{PublishError, job::Job, stopped},
    Delays,
};

/// Publishes a message once more that nobody waits for, where the queue is gone in which it was to
/// wait.
#[derive(Debug)]
pub(in crate::publisher) struct SecondTry {
    pub(in crate::publisher) delays: Arc<Delays>,
    /// The exchange that is to get it.
    pub(in crate::publisher) target: ShortString,
    pub(in crate::publisher) delay: Duration,
    /// How long the queue may take to be made.
    pub(in crate::publisher) timeout: Duration,
    pub(in crate::publisher) jobs: WeakUnboundedSender<Job>,
}

impl SecondTry {
    /// Goes on beside what is published meanwhile.
    pub(in crate::publisher) fn begin(self, job: Job) {
        tokio::spawn(self.run(job));
    }

    async fn run(self, mut job: Job) {
        self.delays.forget(&self.target, self.delay);
        let deadline = Instant::now() + self.timeout;
        match self.delays.step(&self.target, self.delay, deadline, true).await {
            Ok(step) => {
                job.message.exchange = step;
                self.publish(job.anew());
            }
            Err(error) => job.finish(Err(error)),
        }
    }

    fn publish(&self, job: Job) {
        let refused = match self.jobs.upgrade() {
            Some(jobs) => jobs.send(job).err().map(|refused| refused.0),
            None => Some(job),
        };
        if let Some(job) = refused {
            job.finish(Err::<(), PublishError>(stopped()));
        }
    }
}
