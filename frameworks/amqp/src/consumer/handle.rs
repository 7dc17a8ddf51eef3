use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use polyport_bootstrap::Fault;
use tokio::time::{timeout, timeout_at};

use super::{
    AckPolicy, Incoming, Worker,
    acker::{Acker, Settle, Unread},
    flow::Turn,
};
use crate::settlement::{Decided, Settlement};

/// How long a message is held before it goes back to its queue, so that it does not spin.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

impl Worker {
    /// Handles one message to the end: the broker always gets an answer about it.
    pub(super) async fn handle(self: Arc<Self>, incoming: Incoming, acker: Arc<Acker>, turn: Turn) {
        let _beat = self.pulse.begin();
        match self.terms.ack {
            AckPolicy::AfterSuccess => {
                let settle = self.call(&incoming, None).await;
                self.tell(&acker, &incoming, settle, Some(turn)).await;
            }
            AckPolicy::Before => Box::pin(self.acknowledge_and_call(&acker, &incoming)).await,
            AckPolicy::Manual => {
                Box::pin(self.call_to_be_settled(&acker, &incoming, turn)).await;
            }
        }
    }

    async fn call_to_be_settled(&self, acker: &Acker, incoming: &Incoming, turn: Turn) {
        let (settle, decided) = self.call_with_settlement(incoming).await;
        drop(turn);
        let settle = match settle {
            Settle::Open => self.settle_as_decided(incoming, decided).await,
            settle => settle,
        };
        self.tell(acker, incoming, settle, None).await;
    }

    async fn tell(
        &self,
        acker: &Acker,
        incoming: &Incoming,
        settle: Settle,
        mut turn: Option<Turn>,
    ) {
        incoming.told_settled(settle);
        match settle {
            Settle::Ack => {
                acker.ack(incoming.tag);
                self.pulse.metrics.acknowledged.increment(1);
            }
            Settle::Requeue | Settle::Open => self.put_back(acker, incoming),
            Settle::Later(pause) => {
                if let Some(turn) = &mut turn {
                    turn.leave_slot();
                }
                let _ = timeout(pause, self.shared.stop.cancelled()).await;
                self.put_back(acker, incoming);
            }
        }
    }

    fn put_back(&self, acker: &Acker, incoming: &Incoming) {
        if acker.requeue(incoming.tag) || !self.is_own() {
            self.pulse.metrics.requeued.increment(1);
        } else {
            self.lose(incoming, &Fault::unavailable("QUEUE_GONE", "its queue is gone"));
        }
    }

    async fn acknowledge_and_call(&self, acker: &Acker, incoming: &Incoming) {
        match acker.ack_for_certain(incoming.tag, self.terms.prefetch).await {
            Ok(()) => self.pulse.metrics.acknowledged.increment(1),
            // Its queue is gone, and it cannot come again.
            Err(_) if self.is_own() => {}
            Err(unread) => return self.leave(incoming, &unread),
        }
        match self.call(incoming, None).await {
            Settle::Ack => incoming.told_settled(Settle::Ack),
            _ => {
                let why = "the broker was not there to send its reply to";
                self.lose(incoming, &Fault::unavailable("NOT_CONNECTED", why));
            }
        }
    }

    /// A message of which nobody knows whether it is acknowledged must not be handled: it may come
    /// again.
    fn leave(&self, incoming: &Incoming, unread: &Unread) {
        let (queue, message_id) = (&*self.queue, incoming.delivery.message_id());
        match unread {
            Unread::Unsent => {
                tracing::warn!(queue, message_id, "a message is left alone: it comes again");
            }
            Unread::Unanswered(error) => {
                let why = "nobody knows whether it is acknowledged: it comes again, or is lost";
                let fault = Fault::unavailable("NOT_ANSWERED", why).caused_by(error.clone());
                self.lose(incoming, &fault);
            }
        }
    }

    async fn call_with_settlement(&self, incoming: &Incoming) -> (Settle, Decided) {
        let (settlement, decided) = Settlement::open();
        let settle = self.call(incoming, Some(&settlement)).await;
        (settle, decided)
    }

    async fn call(&self, incoming: &Incoming, settlement: Option<&Settlement>) -> Settle {
        let _flight = incoming.endpoint.info().enter();
        tokio::select! {
            biased;
            settle = self.process_whatever_happens(incoming, settlement) => settle,
            () = self.shared.cut.cancelled() => self.give_up(incoming),
        }
    }

    /// A reply that panics when it is written or dropped is a fault like that of its operation: a
    /// message that nobody settles would hold its place for as long as the connection lives.
    async fn process_whatever_happens(
        &self,
        incoming: &Incoming,
        settlement: Option<&Settlement>,
    ) -> Settle {
        let processed = AssertUnwindSafe(self.process(incoming, settlement)).catch_unwind().await;
        match processed.map_err(|panic| Fault::panicked(&*panic)) {
            Ok(settle) => settle,
            Err(fault) => Box::pin(self.answer_panic(incoming, &fault)).await,
        }
    }

    async fn answer_panic(&self, incoming: &Incoming, fault: &Fault) -> Settle {
        let (source, request_id) = (fault.source_text(), incoming.id.as_str());
        tracing::error!(queue = &*self.queue, request_id, source, "call failed");
        match incoming.delivery.reply_to() {
            Some(_) => self.answer_fault(incoming, fault).await,
            None => self.decide(incoming, fault).await,
        }
    }

    // What is rare is boxed: the future of each call has room for everything else in it.

    /// Handles the message once, or where nobody else can keep it meanwhile, after each delay again.
    async fn process(&self, incoming: &Incoming, settlement: Option<&Settlement>) -> Settle {
        loop {
            let fault = match self.attempt(incoming, settlement).await {
                Ok(settle) => return settle,
                Err(fault) => fault,
            };
            if self.is_interrupted(&fault) {
                return self.give_up(incoming);
            }
            if incoming.delivery.reply_to().is_some() {
                return Box::pin(self.answer_fault(incoming, &fault)).await;
            }
            let Some(again) = self.hold(incoming, &fault) else {
                return Box::pin(self.decide(incoming, &fault)).await;
            };
            if timeout_at(again, self.shared.stop.cancelled()).await.is_ok() {
                return self.give_up(incoming);
            }
            incoming.delivery.repeat();
        }
    }

    /// Calls the operation, and answers with its value where somebody waits for that.
    async fn attempt(
        &self,
        incoming: &Incoming,
        settlement: Option<&Settlement>,
    ) -> Result<Settle, Fault> {
        let context = self.shared.adapter.context(incoming, self.terms.timeout, settlement);
        let reply = incoming.endpoint.call(&context).await?;
        let settle = match incoming.delivery.reply_to() {
            Some(_) => Box::pin(self.answer_reply(incoming, &context, reply)).await,
            // Nobody reads it: neither bytes nor items are made.
            None => Settle::Ack,
        };
        Ok(match settlement {
            Some(_) if settle == Settle::Ack => Settle::Open,
            _ => settle,
        })
    }
}
