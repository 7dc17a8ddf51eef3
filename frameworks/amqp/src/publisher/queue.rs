use std::collections::VecDeque;

use tokio::sync::mpsc::UnboundedReceiver;

use super::job::Job;
use crate::pause::let_others_run;

/// Messages that are to be sent: first those that were sent before, in the order in which they were
/// sent first; last those that were unconfirmed for long before.
#[derive(Debug)]
pub(super) struct Queue {
    again: VecDeque<Job>,
    fresh: VecDeque<Job>,
    late: VecDeque<Job>,
    taken: Vec<Job>,
    jobs: UnboundedReceiver<Job>,
}

impl Queue {
    pub(super) fn new(jobs: UnboundedReceiver<Job>) -> Self {
        let (again, fresh, late) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { again, fresh, late, taken: Vec::new(), jobs }
    }

    /// Waits for messages and takes up to `most` of them from their callers, also of those that are
    /// about to hand one over: what is sent together costs little more than one. Gives how many are
    /// there. May be dropped at any time.
    pub(super) async fn fill(&mut self, most: usize) -> usize {
        if self.again.is_empty() && self.fresh.is_empty() {
            self.jobs.recv_many(&mut self.taken, most).await;
            self.fresh.extend(self.taken.drain(..));
            let_others_run().await;
            while self.fresh.len() < most
                && let Ok(job) = self.jobs.try_recv()
            {
                self.fresh.push_back(job);
            }
        }
        self.again.len() + self.fresh.len()
    }

    pub(super) fn pop(&mut self) -> Option<Job> {
        self.again.pop_front().or_else(|| self.fresh.pop_front())
    }

    /// Sends a message once more, before all others.
    pub(super) fn again(&mut self, job: Job) {
        self.again.push_front(job);
    }

    pub(super) fn has_again(&self) -> bool {
        !self.again.is_empty()
    }

    /// Whether the next one may be the reason why a channel was closed.
    pub(super) fn is_suspect(&self) -> bool {
        self.again.front().is_some_and(|job| job.suspect)
    }

    /// Sends a message once more, behind all others.
    pub(super) fn late(&mut self, job: Job) {
        self.late.push_back(job);
    }

    pub(super) fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    pub(super) fn pop_late(&mut self) -> Option<Job> {
        self.late.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.again.is_empty()
            && self.fresh.is_empty()
            && self.late.is_empty()
            && self.jobs.is_empty()
    }

    /// Drops what its callers have given up, so that it takes no room while nothing is sent.
    pub(super) fn sweep(&mut self) {
        while let Ok(job) = self.jobs.try_recv() {
            self.fresh.push_back(job);
        }
        self.again.retain(Job::is_wanted);
        self.fresh.retain(Job::is_wanted);
        self.late.retain(Job::is_wanted);
    }

    /// Takes nothing more from callers.
    pub(super) fn close(&mut self) {
        self.jobs.close();
    }
}
