//! Acknowledging, rejecting and requeueing deliveries.

use amq_protocol::protocol::{AMQPClass, basic};

use super::State;
use crate::{
    channel::{ChannelKey, Unacked},
    dead_letter::Reason,
    exception::{Exception, ReplyCode},
    queue::Queue,
};

impl State {
    pub(super) fn ack(&mut self, key: ChannelKey, ack: &basic::Ack) -> Result<(), Exception> {
        for unacked in self.channel(key)?.settle(ack.delivery_tag, ack.multiple)? {
            self.release(&unacked);
        }
        self.mark_consumed_by(key);
        Ok(())
    }

    pub(super) fn nack(&mut self, key: ChannelKey, nack: &basic::Nack) -> Result<(), Exception> {
        let settled = self.channel(key)?.settle(nack.delivery_tag, nack.multiple)?;
        self.return_or_bury(settled, nack.requeue);
        self.mark_consumed_by(key);
        Ok(())
    }

    pub(super) fn reject(
        &mut self,
        key: ChannelKey,
        reject: &basic::Reject,
    ) -> Result<(), Exception> {
        let settled = self.channel(key)?.settle(reject.delivery_tag, false)?;
        self.return_or_bury(settled, reject.requeue);
        self.mark_consumed_by(key);
        Ok(())
    }

    /// Requeues everything that is outstanding on the channel; like RabbitMQ, to any consumer and
    /// not to the same one.
    pub(super) fn recover(
        &mut self,
        key: ChannelKey,
        requeue: bool,
        answer: bool,
    ) -> Result<(), Exception> {
        if !requeue {
            return Err(ReplyCode::NotImplemented.because("recover without requeue"));
        }
        let outstanding = self.channel(key)?.settle_all();
        self.requeue(outstanding, true);
        self.mark_consumed_by(key);
        let ok = basic::AMQPMethod::RecoverOk(basic::RecoverOk {});
        self.reply(key, !answer, AMQPClass::Basic(ok));
        Ok(())
    }

    fn return_or_bury(&mut self, settled: Vec<Unacked>, requeue: bool) {
        if requeue {
            return self.requeue(settled, true);
        }
        for unacked in settled {
            self.release(&unacked);
            self.bury(&unacked.queue, unacked.queue_id, &unacked.entry.message, Reason::Rejected);
        }
    }

    /// Puts deliveries back to their places, marked as redelivered: those that a consumer has
    /// `refused`, or those of one that is gone.
    pub(super) fn requeue(&mut self, settled: Vec<Unacked>, refused: bool) {
        for unacked in settled {
            let Some(queue) = self.release(&unacked) else {
                continue;
            };
            let (name, id, mut entry) = (unacked.queue, unacked.queue_id, unacked.entry);
            entry.redelivered = true;
            entry.returns += 1;
            if queue.gives_up(&entry) {
                self.bury(&name, id, &entry.message, Reason::DeliveryLimit);
            } else {
                queue.put_back(entry, refused);
            }
            self.mark(&name);
        }
    }

    /// Counts a delivery as settled; `None` when its queue has been deleted meanwhile.
    fn release(&mut self, unacked: &Unacked) -> Option<&mut Queue> {
        let queue = self.queues.get_mut(&unacked.queue);
        let queue = queue.filter(|queue| queue.id == unacked.queue_id)?;
        queue.unacked -= 1;
        Some(queue)
    }
}
