//! What a test is told of messages that are taken.

use std::sync::atomic::{AtomicBool, Ordering};

use polyport_bootstrap::{
    Error, Fault, FaultKind,
    framework::{Leftover, Mark, Recorded, RecordedKind, Witness},
};

use super::{Incoming, acker::Settle};

/// A message until the broker is told what becomes of it.
#[derive(Debug, Default)]
pub(super) struct Told {
    witness: Witness,
    is_decided: AtomicBool,
    _mark: Mark,
}

impl Incoming {
    /// A test is told that it was taken.
    pub(super) fn told_to(mut self, witness: &Witness) -> Self {
        let mark = witness.mark(Leftover::Message, || {
            format!("{} of queue {}", self.id.as_str(), self.delivery.queue())
        });
        witness.record(|| {
            let mut consumed = self.recorded(RecordedKind::Consumed).size(self.body.len());
            consumed.text = String::from_utf8(self.body.to_vec()).ok();
            consumed
        });
        self.told = Told { witness: witness.clone(), is_decided: false.into(), _mark: mark };
        self
    }

    /// Its fault is answered, and it is not handled again: an internal one is a failure, as on the
    /// protocols where each call is answered.
    pub(super) fn told_answered(&self, fault: &Fault) {
        if fault.kind() == FaultKind::Internal {
            self.told.witness.failed(|| {
                let (queue, source) = (self.delivery.queue(), fault.source_text());
                let source = source.unwrap_or_else(|| fault.to_string());
                Error::other(format!("a request of queue {queue} has failed: {source}"))
            });
        }
    }

    /// It is put aside in `queue` for its next attempt.
    pub(super) fn told_retried(&self, fault: &Fault) {
        self.told.is_decided.store(true, Ordering::Relaxed);
        self.told.witness.record(|| self.recorded(RecordedKind::Retried).fault(fault));
    }

    /// It is parked in `queue`, or without one dropped: nobody handles it any more.
    pub(super) fn told_parked(&self, queue: Option<&str>, fault: &Fault) {
        self.told.is_decided.store(true, Ordering::Relaxed);
        self.told.witness.record(|| self.recorded(RecordedKind::DeadLettered).fault(fault));
        self.told.witness.failed(|| {
            let from = self.delivery.queue();
            Error::other(match queue {
                Some(queue) => format!("a message of queue {from} is parked in {queue}: {fault}"),
                None => format!("a message of queue {from} is dropped: {fault}"),
            })
        });
    }

    /// Its handling is over.
    pub(super) fn told_settled(&self, settle: Settle) {
        let kind = match settle {
            Settle::Ack if self.told.is_decided.load(Ordering::Relaxed) => return,
            Settle::Ack => RecordedKind::Acknowledged,
            Settle::Requeue | Settle::Later(_) | Settle::Open => RecordedKind::Retried,
        };
        self.told.witness.record(|| self.recorded(kind));
    }

    fn recorded(&self, kind: RecordedKind) -> Recorded {
        let recorded = Recorded::new(kind, "amqp", self.delivery.queue());
        let operation = self.endpoint.info().name();
        let mut recorded = recorded.operation(operation).request_id(self.id.as_str());
        recorded.message_id = self.delivery.message_id().map(str::to_owned);
        recorded
    }
}
