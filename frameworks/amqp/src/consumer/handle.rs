use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use lapin::Channel;
use polyport_bootstrap::{
    Fault, FaultKind,
    operation::{Context, RequestId},
    wire::QueueDecision,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Consumer, Incoming, ack, moves, requeue};
use crate::publisher::Outgoing;

/// How long a message is held before it goes back to its queue, so that it does not spin.
const PAUSE: Duration = Duration::from_secs(1);

/// What the broker is told about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settle {
    Ack,
    Requeue,
}

impl Consumer {
    /// Handles one message to the end: the broker always gets an answer about it.
    pub(super) async fn handle(
        self: Arc<Self>,
        incoming: Incoming,
        channel: Arc<Channel>,
        slot: OwnedSemaphorePermit,
    ) {
        let (_flight, _beat) = (self.endpoint.info().enter(), self.pulse.begin());
        let settle = tokio::select! {
            biased;
            settle = self.process_whatever_happens(&incoming) => settle,
            () = self.shared.cut.cancelled() => self.give_up(&incoming),
        };
        match settle {
            Settle::Ack => {
                ack(&channel, incoming.tag);
                self.pulse.metrics.acknowledged.increment(1);
            }
            Settle::Requeue => {
                requeue(&channel, incoming.tag);
                self.pulse.metrics.requeued.increment(1);
            }
        }
        drop(slot);
    }

    /// A reply that panics when it is written or dropped is a fault like that of its operation: a
    /// message that nobody settles would hold its place for as long as the connection lives.
    async fn process_whatever_happens(&self, incoming: &Incoming) -> Settle {
        let adapter = &self.shared.adapter;
        let body = incoming.body.clone();
        let context = adapter.context(&self.endpoint, &incoming.delivery, body);
        let id = context.request_id.clone();
        let processed = AssertUnwindSafe(self.process(incoming, context)).catch_unwind().await;
        match processed.map_err(|panic| Fault::panicked(&*panic)) {
            Ok(settle) => settle,
            Err(fault) => self.answer_panic(incoming, &id, &fault).await,
        }
    }

    async fn answer_panic(&self, incoming: &Incoming, id: &RequestId, fault: &Fault) -> Settle {
        let source = fault.source_text();
        tracing::error!(queue = &*self.queue, request_id = id.as_str(), source, "call failed");
        match incoming.delivery.reply_to() {
            Some(_) => self.answer_fault(incoming, id, fault).await,
            None => self.decide(incoming, id, fault).await,
        }
    }

    async fn process(&self, incoming: &Incoming, context: Context) -> Settle {
        let request_id = context.request_id.clone();
        let wanted = incoming.delivery.reply_to().is_some();
        match self.endpoint.call(&context).await {
            Ok(reply) if wanted => self.answer_reply(incoming, &context, reply).await,
            // Nobody reads it: neither bytes nor items are made.
            Ok(_) => Settle::Ack,
            Err(fault) if self.is_interrupted(&fault) => Settle::Requeue,
            Err(fault) if wanted => self.answer_fault(incoming, &request_id, &fault).await,
            Err(fault) => self.decide(incoming, &request_id, &fault).await,
        }
    }

    /// Whether the operation was cancelled since the process stops: another worker takes it.
    fn is_interrupted(&self, fault: &Fault) -> bool {
        fault.kind() == FaultKind::Cancelled && self.shared.stop.is_cancelled()
    }

    async fn decide(&self, incoming: &Incoming, id: &RequestId, fault: &Fault) -> Settle {
        match fault.kind().queue_decision() {
            QueueDecision::Reject => self.park(incoming, id, fault).await,
            QueueDecision::Retry => self.retry(incoming, id, fault).await,
            QueueDecision::Requeue => {
                self.pause().await;
                Settle::Requeue
            }
        }
    }

    async fn pause(&self) {
        let _ = tokio::time::timeout(PAUSE, self.shared.stop.cancelled()).await;
    }

    async fn retry(&self, incoming: &Incoming, id: &RequestId, fault: &Fault) -> Settle {
        let step = usize::try_from(incoming.delivery.attempt() - 1).unwrap_or(usize::MAX);
        match self.steps.retries.get(step) {
            Some(queue) => {
                let frame_max = self.shared.monitor.frame_max();
                let message = moves::retry(incoming, queue, frame_max);
                self.put_aside(queue, message, &self.pulse.metrics.retried).await
            }
            None => self.park(incoming, id, fault).await,
        }
    }

    async fn park(&self, incoming: &Incoming, id: &RequestId, fault: &Fault) -> Settle {
        let queue = &self.steps.dead;
        tracing::warn!(
            queue = &*self.queue,
            operation = self.endpoint.info().name(),
            request_id = id.as_str(),
            message_id = incoming.delivery.message_id(),
            attempt = incoming.delivery.attempt(),
            %fault,
            "a message is parked in {queue}",
        );
        let frame_max = self.shared.monitor.frame_max();
        let message = moves::park(incoming, queue, fault, id, frame_max);
        self.put_aside(queue, message, &self.pulse.metrics.parked).await
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

    fn give_up(&self, incoming: &Incoming) -> Settle {
        tracing::warn!(
            queue = &*self.queue,
            operation = self.endpoint.info().name(),
            message_id = incoming.delivery.message_id(),
            "a call was cut at the end of the stop; its message goes back to the queue",
        );
        Settle::Requeue
    }
}
