use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::sync::oneshot;

use super::{PublishError, message::Outgoing};

const QUEUED: u8 = 0;
const SENT: u8 = 1;
const WITHDRAWN: u8 = 2;

/// A message on its way, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) message: Outgoing,
    /// The order in which messages were sent first; 0 is not sent yet.
    pub(super) sequence: i64,
    /// How often it was sent.
    pub(super) sendings: u8,
    answer: oneshot::Sender<Result<(), PublishError>>,
    stage: Arc<AtomicU8>,
}

/// The end of whoever waits for a message.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) answer: oneshot::Receiver<Result<(), PublishError>>,
    stage: Arc<AtomicU8>,
}

impl Job {
    pub(super) fn new(message: Outgoing) -> (Self, Receipt) {
        let (answer, receiver) = oneshot::channel();
        let stage = Arc::new(AtomicU8::new(QUEUED));
        let receipt = Receipt { answer: receiver, stage: Arc::clone(&stage) };
        (Self { message, sequence: 0, sendings: 0, answer, stage }, receipt)
    }

    /// Whether it is still to be sent; from now on its outcome can be unknown.
    pub(super) fn begin(&self) -> bool {
        let begun = self.stage.compare_exchange(QUEUED, SENT, Ordering::AcqRel, Ordering::Acquire);
        begun != Err(WITHDRAWN) && !self.answer.is_closed()
    }

    pub(super) fn finish(self, outcome: Result<(), PublishError>) {
        // Nobody waits any more where the caller has left.
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

impl Receipt {
    /// Takes the message back; false where it has been sent already.
    pub(super) fn withdraw(stage: &AtomicU8) -> bool {
        stage.compare_exchange(QUEUED, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn stage(&self) -> Arc<AtomicU8> {
        Arc::clone(&self.stage)
    }
}
