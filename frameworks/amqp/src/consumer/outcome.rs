//! What becomes of a message whose handling failed, or that is settled by hand.

use std::sync::atomic::Ordering;

use polyport_bootstrap::{Fault, FaultKind, wire::QueueDecision};
use tokio::time::{Instant, timeout_at};

use super::{
    AckPolicy, Incoming, Source, Worker,
    handle::PAUSE,
    moves::{self, Failure},
    settle::Settle,
};
use crate::{
    publisher::Outgoing,
    settlement::{Decided, Decision},
};

impl Worker {
    /// What a fault does to its message.
    pub(super) async fn decide(&self, incoming: &Incoming, fault: &Fault) -> Settle {
        if self.terms.ack == AckPolicy::Before {
            return self.lose(incoming, fault);
        }
        match fault.kind().queue_decision() {
            QueueDecision::Reject => self.park(incoming, fault).await,
            QueueDecision::Retry => self.retry(incoming, fault).await,
            QueueDecision::Requeue => {
                self.pause().await;
                Settle::Requeue
            }
        }
    }

    /// Whether the operation was cancelled since the process stops: another worker takes it.
    pub(super) fn is_interrupted(&self, fault: &Fault) -> bool {
        fault.kind() == FaultKind::Cancelled && self.shared.stop.is_cancelled()
    }

    /// A call that is not ended leaves its message to another worker, if it still can.
    pub(super) fn give_up(&self, incoming: &Incoming) -> Settle {
        let why = "its call was cut off by the stop";
        if self.terms.ack == AckPolicy::Before || matches!(self.source, Source::Own(_)) {
            return self.lose(incoming, &Fault::cancelled("STOPPED", why));
        }
        self.give_back(incoming, why)
    }

    async fn retry(&self, incoming: &Incoming, fault: &Fault) -> Settle {
        let step = usize::try_from(incoming.delivery.attempt() - 1).unwrap_or(usize::MAX);
        match (&self.source, self.steps.retries.get(step)) {
            (Source::Queue, Some(queue)) => {
                let message = moves::retry(incoming, queue, self.failure(fault));
                let settle = self.put_aside(queue, message, &self.pulse.metrics.retried).await;
                if settle == Settle::Ack {
                    incoming.told_retried(fault);
                }
                settle
            }
            _ => self.park(incoming, fault).await,
        }
    }

    async fn park(&self, incoming: &Incoming, fault: &Fault) -> Settle {
        if matches!(self.source, Source::Own(_)) {
            return self.lose(incoming, fault);
        }
        let queue = &self.steps.dead;
        tracing::warn!(
            queue = &*self.queue,
            operation = incoming.endpoint.info().name(),
            request_id = incoming.id.as_str(),
            message_id = incoming.delivery.message_id(),
            attempt = incoming.delivery.attempt(),
            %fault,
            "a message is parked in {queue}",
        );
        let message = moves::park(incoming, queue, self.failure(fault));
        let settle = self.put_aside(queue, message, &self.pulse.metrics.parked).await;
        if settle == Settle::Ack {
            incoming.told_parked(Some(queue), fault);
        }
        settle
    }

    /// A message that nobody keeps: it was acknowledged before, or nobody else has its queue.
    fn lose(&self, incoming: &Incoming, fault: &Fault) -> Settle {
        self.shared.monitor.dropped.fetch_add(1, Ordering::Relaxed);
        self.pulse.metrics.dropped.increment(1);
        incoming.told_parked(None, fault);
        tracing::error!(
            queue = &*self.queue,
            operation = incoming.endpoint.info().name(),
            request_id = incoming.id.as_str(),
            message_id = incoming.delivery.message_id(),
            attempt = incoming.delivery.attempt(),
            %fault,
            "a message is dropped",
        );
        Settle::Ack
    }

    fn failure<'a>(&'a self, fault: &'a Fault) -> Failure<'a> {
        let frame_max = self.shared.monitor.frame_max();
        Failure { fault, place: &self.shared.place, frame_max }
    }

    /// Moves the message, and only then acknowledges it; where it cannot be moved, it goes back.
    async fn put_aside(
        &self,
        queue: &str,
        message: Option<Outgoing>,
        moved: &metrics::Counter,
    ) -> Settle {
        let Some(message) = message else { return Settle::Requeue };
        let Err(error) = self.shared.publisher.publish(message).await else {
            moved.increment(1);
            return Settle::Ack;
        };
        tracing::error!(
            queue = &*self.queue,
            %error,
            "a message cannot be put aside in {queue}; it goes back to its queue",
        );
        self.pause().await;
        Settle::Requeue
    }

    async fn pause(&self) {
        let _ = tokio::time::timeout(PAUSE, self.shared.stop.cancelled()).await;
    }

    /// Waits for whoever settles the message by hand, as long as the broker waits.
    pub(super) async fn settle_as_decided(
        &self,
        incoming: &Incoming,
        mut decided: Decided,
    ) -> Settle {
        let limit = incoming.taken + self.terms.answer_within;
        let decision = tokio::select! {
            biased;
            decision = timeout_at(limit, decided.recv()) => decision,
            () = self.shared.cut.cancelled() => return self.give_back(incoming, "the process ends"),
        };
        match decision {
            Ok(Some(Decision::Ack)) => Settle::Ack,
            Ok(Some(Decision::Requeue)) => Settle::Requeue,
            Ok(Some(Decision::Retry)) if matches!(self.source, Source::Own(_)) => {
                self.pause().await;
                Settle::Requeue
            }
            Ok(Some(Decision::Retry)) => {
                let fault =
                    Fault::unavailable("RETRY", "the operation has asked for another attempt");
                self.retry(incoming, &fault).await
            }
            Ok(Some(Decision::Park(reason))) => {
                self.park(incoming, &Fault::failed_precondition("PARKED", reason)).await
            }
            Ok(None) => self.give_back(incoming, "nobody has settled it"),
            Err(_) => self.give_back(incoming, "the broker waits no longer for its settlement"),
        }
    }

    fn give_back(&self, incoming: &Incoming, why: &'static str) -> Settle {
        tracing::warn!(
            queue = &*self.queue,
            operation = incoming.endpoint.info().name(),
            message_id = incoming.delivery.message_id(),
            "a message goes back to its queue: {why}",
        );
        Settle::Requeue
    }

    /// How long until a message is handled again that is held meanwhile; none where it is moved.
    pub(super) fn hold(&self, incoming: &Incoming, fault: &Fault) -> Option<Instant> {
        let is_held = matches!(self.source, Source::Own(_))
            && self.terms.ack != AckPolicy::Before
            && fault.kind().queue_decision() == QueueDecision::Retry;
        let step = usize::try_from(incoming.delivery.attempt() - 1).ok()?;
        let delay = self.terms.delays.get(step).filter(|_| is_held)?;
        Instant::now().checked_add(*delay)
    }
}
