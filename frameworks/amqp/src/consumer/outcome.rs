//! What becomes of a message whose handling failed, or that is settled by hand.

use std::{sync::atomic::Ordering, time::Duration};

use polyport_bootstrap::{Fault, FaultKind, wire::QueueDecision};
use tokio::time::{Instant, timeout_at};

use super::{
    AckPolicy, Incoming, Source, Worker,
    acker::Settle,
    handle::PAUSE,
    moves::{self, Failure},
};
use crate::{
    publisher::{Outgoing, PublishError},
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
            QueueDecision::Requeue => Settle::Later(PAUSE),
        }
    }

    /// Whether the operation was cancelled since the process stops: another worker takes it.
    pub(super) fn is_interrupted(&self, fault: &Fault) -> bool {
        fault.kind() == FaultKind::Cancelled && self.shared.stop.is_cancelled()
    }

    /// A call that is not ended leaves its message to another worker, if it still can.
    pub(super) fn give_up(&self, incoming: &Incoming) -> Settle {
        let why = "its call was cut off by the stop";
        if self.terms.ack == AckPolicy::Before || self.is_own() {
            return self.lose(incoming, &Fault::cancelled("STOPPED", why));
        }
        self.give_back(incoming, why)
    }

    async fn retry(&self, incoming: &Incoming, fault: &Fault) -> Settle {
        let step = usize::try_from(incoming.delivery.attempt() - 1).unwrap_or(usize::MAX);
        match (&self.source, self.steps.retries.get(step)) {
            (Source::Queue, Some(queue)) => {
                let message = || moves::retry(incoming, queue, self.failure(fault));
                let moved = &self.pulse.metrics.retried;
                let settle = self.put_aside(incoming, queue, message, moved).await;
                if settle == Settle::Ack {
                    incoming.told_retried(fault);
                }
                settle
            }
            _ => self.park(incoming, fault).await,
        }
    }

    async fn park(&self, incoming: &Incoming, fault: &Fault) -> Settle {
        if self.is_own() {
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
        let message = || moves::park(incoming, queue, self.failure(fault));
        let moved = &self.pulse.metrics.parked;
        let settle = self.put_aside(incoming, queue, message, moved).await;
        if settle == Settle::Ack {
            incoming.told_parked(Some(queue), fault);
        }
        settle
    }

    /// A message that nobody keeps: it was acknowledged before, or nobody else has its queue.
    pub(super) fn lose(&self, incoming: &Incoming, fault: &Fault) -> Settle {
        self.count_dropped(1);
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

    pub(super) fn count_dropped(&self, messages: u64) {
        self.shared.monitor.dropped.fetch_add(messages, Ordering::Relaxed);
        self.pulse.metrics.dropped.increment(messages);
    }

    /// Moves the message, and only then acknowledges it; where it cannot be moved, it goes back.
    async fn put_aside(
        &self,
        incoming: &Incoming,
        queue: &str,
        message: impl Fn() -> Option<Outgoing>,
        moved: &metrics::Counter,
    ) -> Settle {
        let Err(error) = self.publish_aside(incoming, message).await else {
            self.setbacks.end();
            moved.increment(1);
            return Settle::Ack;
        };
        let pause = self.setback(incoming);
        tracing::error!(
            queue = &*self.queue,
            %error,
            ?pause,
            "a message cannot be put aside in {queue}; it goes back to its queue after a pause",
        );
        Settle::Later(pause)
    }

    /// Publishes it; where the queue is gone, once more when that is declared again.
    async fn publish_aside(
        &self,
        incoming: &Incoming,
        message: impl Fn() -> Option<Outgoing>,
    ) -> Result<(), PublishError> {
        let publish = async || match message() {
            Some(message) => self.shared.publisher.publish(message).await,
            None => Err(PublishError::Rejected { reason: "its name is too long".to_owned() }),
        };
        let Some(dialer) = self.dialer.get() else { return publish().await };
        let seen = dialer.declared();
        let unroutable = match publish().await {
            Err(error @ PublishError::Unroutable { .. }) => error,
            sent => return sent,
        };
        let limit = incoming.taken + self.terms.answer_within;
        match timeout_at(limit, dialer.redeclare(seen)).await {
            Ok(Ok(())) => publish().await,
            Ok(Err(error)) => {
                tracing::warn!(queue = &*self.queue, %error, "it cannot be declared again");
                Err(unroutable)
            }
            Err(_) => Err(unroutable),
        }
    }

    /// How long a message is held that cannot be moved: never longer than the broker waits.
    fn setback(&self, incoming: &Incoming) -> Duration {
        let limit = incoming.taken + self.terms.answer_within;
        let left = limit.saturating_duration_since(Instant::now());
        self.setbacks.pause().min(left).max(PAUSE)
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
            Ok(Some(Decision::Retry)) if self.is_own() => Settle::Later(PAUSE),
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
        let is_held = self.is_own()
            && self.terms.ack != AckPolicy::Before
            && fault.kind().queue_decision() == QueueDecision::Retry;
        let step = usize::try_from(incoming.delivery.attempt() - 1).ok()?;
        let delay = self.terms.delays.get(step).filter(|_| is_held)?;
        Instant::now().checked_add(*delay)
    }
}
