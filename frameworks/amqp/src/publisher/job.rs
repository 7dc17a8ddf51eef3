use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::sync::oneshot;

use super::{PublishError, message::Outgoing};

/// How far a message has come. Whoever stops waiting for it can so tell a message that was not
/// sent from one whose outcome is unknown.
#[derive(Debug, Clone)]
pub(super) struct Stage(Arc<AtomicU8>);

const QUEUED: u8 = 0;
const SENT: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Stage {
    /// Takes the message back; false where it has been sent already.
    pub(super) fn withdraw(&self) -> bool {
        self.0.compare_exchange(QUEUED, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn send(&self) -> bool {
        let before = self.0.compare_exchange(QUEUED, SENT, Ordering::AcqRel, Ordering::Acquire);
        before != Err(WITHDRAWN)
    }
}

/// A message on its way, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) message: Outgoing,
    /// Its place in the order in which messages were sent first; 0 before that.
    pub(super) sequence: i64,
    /// How often it was sent.
    pub(super) sendings: u8,
    /// Whether the broker closed what it was unconfirmed on: it may be the reason.
    pub(super) suspect: bool,
    answer: oneshot::Sender<Result<(), PublishError>>,
    stage: Stage,
}

/// What the caller waits for.
pub(super) type Receipt = oneshot::Receiver<Result<(), PublishError>>;

impl Job {
    pub(super) fn new(message: Outgoing) -> (Self, Receipt, Stage) {
        let (answer, receipt) = oneshot::channel();
        let stage = Stage(Arc::new(AtomicU8::new(QUEUED)));
        let job = Self {
            message,
            sequence: 0,
            sendings: 0,
            suspect: false,
            answer,
            stage: stage.clone(),
        };
        (job, receipt, stage)
    }

    /// Whether it is to be sent, or sent again: somebody still waits for it. Its outcome can be
    /// unknown from now on.
    pub(super) fn begin(&mut self) -> bool {
        self.sendings = self.sendings.saturating_add(1);
        !self.answer.is_closed() && self.stage.send()
    }

    pub(super) fn finish(self, outcome: Result<(), PublishError>) {
        // Nobody is told where the caller has left.
        let _ = self.answer.send(outcome);
    }

    /// Tells the caller that the broker returned the message.
    pub(super) fn finish_unroutable(self) {
        let error = PublishError::Unroutable {
            exchange: self.message.exchange.to_string(),
            routing_key: self.message.routing_key.to_string(),
        };
        self.finish(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    fn job() -> (Job, Receipt, Stage) {
        Job::new(Message::new("", "q", "").into_outgoing().expect("fits"))
    }

    #[test]
    fn what_was_withdrawn_is_not_sent_and_what_was_sent_not_withdrawn() {
        let (mut first, _receipt, stage) = job();
        assert!(stage.withdraw() && !first.begin());
        let (mut second, _receipt, stage) = job();
        assert!(second.begin() && !stage.withdraw());
        assert!(second.begin(), "it may be sent again");
    }

    #[test]
    fn nothing_is_sent_for_a_caller_that_left() {
        let (mut job, receipt, _stage) = job();
        drop(receipt);
        assert!(!job.begin());
    }
}
