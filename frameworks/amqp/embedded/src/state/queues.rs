//! Declaring, purging and deleting queues.

use amq_protocol::protocol::{AMQPClass, basic, queue};

use super::{REPLY_TO, State, no_such};
use crate::{
    channel::ChannelKey,
    exception::{Exception, ReplyCode},
    exchange::Destination,
    message::Name,
    queue::{Queue, count},
    receivers::ConsumerKey,
};

impl State {
    pub(super) fn queue_declare(
        &mut self,
        key: ChannelKey,
        mut declare: queue::Declare,
    ) -> Result<(), Exception> {
        if declare.queue.as_str().starts_with(REPLY_TO) {
            return self.declare_reply_queue(key, declare);
        }
        if declare.passive {
            declare.queue = self.queue_name(key, declare.queue)?;
            self.accessible(key, &declare.queue)?;
        } else {
            self.find_or_create_queue(key, &mut declare)?;
        }
        let now = self.now;
        let queue = self.accessible(key, &declare.queue)?;
        queue.touch(now);
        let (ready, consumers) = (count(queue.ready()), count(queue.consumers.len()));
        self.channel(key)?.last_queue = declare.queue.clone();
        self.mark(&declare.queue);
        self.declare_ok(key, declare, ready, consumers);
        Ok(())
    }

    fn find_or_create_queue(
        &mut self,
        key: ChannelKey,
        declare: &mut queue::Declare,
    ) -> Result<(), Exception> {
        if declare.queue.as_str().is_empty() {
            declare.queue = self.fresh_name("amq.gen-");
        } else if let Some(queue) = self.queues.get(&declare.queue) {
            queue.check_access(key.connection)?;
            return queue.check_equivalent(declare);
        } else {
            self.reserved("queue", &declare.queue)?;
        }
        let label = self.label("queue", &declare.queue);
        let queue = Queue::new(self.next_id(), declare, key.connection, label)?;
        self.queues.insert(declare.queue.clone(), queue);
        Ok(())
    }

    /// Declaring a reply address asks whether somebody still waits for the reply.
    fn declare_reply_queue(
        &mut self,
        key: ChannelKey,
        declare: queue::Declare,
    ) -> Result<(), Exception> {
        if declare.queue.as_str() != REPLY_TO && !self.replies.contains_key(&declare.queue) {
            return Err(self.no_such("queue", &declare.queue));
        }
        self.declare_ok(key, declare, 0, 1);
        Ok(())
    }

    fn declare_ok(&self, key: ChannelKey, declare: queue::Declare, ready: u32, consumers: u32) {
        let ok = queue::DeclareOk {
            queue: declare.queue,
            message_count: ready,
            consumer_count: consumers,
        };
        let ok = AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok));
        self.reply(key, declare.nowait, ok);
    }

    pub(super) fn queue_purge(
        &mut self,
        key: ChannelKey,
        purge: queue::Purge,
    ) -> Result<(), Exception> {
        let name = self.queue_name(key, purge.queue)?;
        let message_count = count(self.accessible(key, &name)?.purge());
        self.mark(&name);
        let ok = queue::AMQPMethod::PurgeOk(queue::PurgeOk { message_count });
        self.reply(key, purge.nowait, AMQPClass::Queue(ok));
        Ok(())
    }

    pub(super) fn queue_delete(
        &mut self,
        key: ChannelKey,
        delete: queue::Delete,
    ) -> Result<(), Exception> {
        let name = self.queue_name(key, delete.queue)?;
        if self.queues.contains_key(&name) {
            let queue = self.accessible(key, &name)?;
            let in_use = delete.if_unused && !queue.consumers.is_empty();
            let not_empty = delete.if_empty && queue.ready() > 0;
            if in_use || not_empty {
                let why = if in_use { "in use" } else { "not empty" };
                let text = format!("{} {why}", self.label("queue", &name));
                return Err(ReplyCode::PreconditionFailed.because(text));
            }
        }
        let message_count = count(self.remove_queue(&name));
        let ok = queue::AMQPMethod::DeleteOk(queue::DeleteOk { message_count });
        self.reply(key, delete.nowait, AMQPClass::Queue(ok));
        Ok(())
    }

    /// Removes a queue with its messages, its bindings and its consumers, which are told; says
    /// how many messages were ready.
    pub(super) fn remove_queue(&mut self, name: &Name) -> usize {
        let Some(mut queue) = self.queues.remove(name) else {
            return 0;
        };
        if let Some(timer) = queue.timer {
            self.timers.remove(&(timer, name.clone()));
        }
        self.remove_bindings_to(&Destination::Queue(name.clone()));
        for consumer in queue.consumers.iter() {
            self.notify_cancel(consumer);
        }
        queue.purge()
    }

    /// As a delete from outside; says whether there was such a queue.
    pub(crate) fn take_away(&mut self, name: &Name) -> bool {
        let existed = self.queues.contains_key(name);
        self.remove_queue(name);
        existed
    }

    fn notify_cancel(&mut self, consumer: ConsumerKey) {
        let Some(channel) = self.channels.get_mut(&consumer.channel) else {
            return;
        };
        let removed = channel.consumers.remove(&consumer.id);
        if let (Some(removed), true) = (removed, channel.notify_cancel) {
            let cancel = basic::Cancel { consumer_tag: removed.tag, nowait: true };
            channel.send(AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)));
        }
    }

    /// The queue that `given` names: the channel's last declared one when it is empty.
    ///
    /// # Errors
    /// 404 when there is none.
    pub(super) fn queue_name(&mut self, key: ChannelKey, given: Name) -> Result<Name, Exception> {
        if !given.as_str().is_empty() {
            return Ok(given);
        }
        let last = self.channel(key)?.last_queue.clone();
        if last.as_str().is_empty() {
            return Err(ReplyCode::NotFound.because("no previously declared queue"));
        }
        Ok(last)
    }

    /// # Errors
    /// 404 when the queue does not exist, 405 when it belongs to another connection.
    pub(super) fn accessible(
        &mut self,
        key: ChannelKey,
        name: &Name,
    ) -> Result<&mut Queue, Exception> {
        let missing = || no_such(&self.vhost, "queue", name);
        let queue = self.queues.get_mut(name).ok_or_else(missing)?;
        queue.check_access(key.connection)?;
        Ok(queue)
    }
}
