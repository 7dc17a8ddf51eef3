//! Consuming, getting, cancelling and prefetch.

use amq_protocol::protocol::{AMQPClass, basic};

use super::{REPLY_TO, State};
use crate::{
    channel::{ChannelKey, ReplyConsumer},
    exception::{Exception, ReplyCode},
    message::Name,
    queue::count,
    receivers::{ConsumerKey, priority},
};

impl State {
    /// `global` has RabbitMQ's meaning: for the channel as a whole, otherwise for each consumer
    /// that follows.
    pub(super) fn qos(&mut self, key: ChannelKey, qos: &basic::Qos) -> Result<(), Exception> {
        let channel = self.channel(key)?;
        if qos.global {
            channel.shared_prefetch = qos.prefetch_count;
        } else {
            channel.prefetch = qos.prefetch_count;
        }
        self.mark_consumed_by(key);
        self.reply(key, false, AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {})));
        Ok(())
    }

    pub(super) fn consume(
        &mut self,
        key: ChannelKey,
        mut consume: basic::Consume,
    ) -> Result<(), Exception> {
        consume.consumer_tag = self.consumer_tag(key, consume.consumer_tag)?;
        if consume.queue.as_str() == REPLY_TO {
            return self.consume_replies(key, consume);
        }
        consume.queue = self.queue_name(key, consume.queue)?;
        self.attach(key, &consume)?;
        self.mark(&consume.queue);
        self.consume_ok(key, consume);
        Ok(())
    }

    fn attach(&mut self, key: ChannelKey, consume: &basic::Consume) -> Result<(), Exception> {
        let id = self.next_id();
        let now = self.now;
        let queue = self.accessible(key, &consume.queue)?;
        let alone = consume.exclusive && !queue.arguments.single_active;
        // As in RabbitMQ: a classic queue with a single active consumer knows no exclusive ones,
        // a quorum queue does not mind.
        let unfit = consume.exclusive && queue.arguments.single_active && !queue.arguments.quorum;
        if unfit || queue.has_exclusive_consumer || (alone && !queue.consumers.is_empty()) {
            let text = format!("{} in exclusive use", self.label("queue", &consume.queue));
            return Err(ReplyCode::AccessRefused.because(text));
        }
        queue.has_exclusive_consumer = alone;
        queue.consumers.join(ConsumerKey { channel: key, id }, priority(&consume.arguments));
        queue.touch(now);
        let (tag, name) = (consume.consumer_tag.clone(), consume.queue.clone());
        self.channel(key)?.add_consumer(id, tag, name, consume.no_ack);
        Ok(())
    }

    fn consume_ok(&self, key: ChannelKey, consume: basic::Consume) {
        let ok = basic::ConsumeOk { consumer_tag: consume.consumer_tag };
        let ok = AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok));
        self.reply(key, consume.nowait, ok);
    }

    fn consumer_tag(&mut self, key: ChannelKey, given: Name) -> Result<Name, Exception> {
        if given.as_str().is_empty() {
            return Ok(self.fresh_name("amq.ctag-"));
        }
        let channel = self.channel(key)?;
        let reply = channel.reply_consumer.as_ref();
        if channel.consumer_id(&given).is_some() || reply.is_some_and(|reply| reply.tag == given) {
            let text = format!("attempt to reuse consumer tag '{given}'");
            return Err(ReplyCode::NotAllowed.because(text));
        }
        Ok(given)
    }

    fn consume_replies(
        &mut self,
        key: ChannelKey,
        consume: basic::Consume,
    ) -> Result<(), Exception> {
        let refused = |text: &str| Err(ReplyCode::PreconditionFailed.because(text));
        if !consume.no_ack {
            return refused("reply consumer cannot acknowledge");
        }
        if self.channel(key)?.reply_consumer.is_some() {
            return refused("reply consumer already set");
        }
        let address = self.fresh_name(&format!("{REPLY_TO}."));
        let tag = consume.consumer_tag.clone();
        self.replies.insert(address.clone(), key);
        self.channel(key)?.reply_consumer = Some(ReplyConsumer { tag, address });
        self.consume_ok(key, consume);
        Ok(())
    }

    pub(super) fn cancel(
        &mut self,
        key: ChannelKey,
        cancel: basic::Cancel,
    ) -> Result<(), Exception> {
        let channel = self.channel(key)?;
        let reply = channel.reply_consumer.as_ref();
        if reply.is_some_and(|reply| reply.tag == cancel.consumer_tag) {
            self.detach_reply_consumer(key);
        } else if let Some(id) = channel.consumer_id(&cancel.consumer_tag) {
            self.detach(ConsumerKey { channel: key, id });
        }
        let ok = basic::CancelOk { consumer_tag: cancel.consumer_tag };
        self.reply(key, cancel.nowait, AMQPClass::Basic(basic::AMQPMethod::CancelOk(ok)));
        Ok(())
    }

    /// Removes all consumers of a channel.
    pub(super) fn detach_consumers(&mut self, key: ChannelKey) {
        self.detach_reply_consumer(key);
        let ids = self.channels.get(&key).map(|channel| channel.consumers.keys().copied());
        let ids: Vec<u64> = ids.into_iter().flatten().collect();
        for id in ids {
            self.detach(ConsumerKey { channel: key, id });
        }
    }

    fn detach_reply_consumer(&mut self, key: ChannelKey) {
        let channel = self.channels.get_mut(&key);
        if let Some(reply) = channel.and_then(|channel| channel.reply_consumer.take()) {
            self.replies.remove(&reply.address);
        }
    }

    /// Removes a consumer, and its auto-delete queue when it was the last one there. What it holds
    /// unacknowledged stays with its channel.
    fn detach(&mut self, consumer: ConsumerKey) {
        let channel = self.channels.get_mut(&consumer.channel);
        let removed = channel.and_then(|channel| channel.consumers.remove(&consumer.id));
        let Some(name) = removed.map(|removed| removed.queue) else {
            return;
        };
        let Some(queue) = self.queues.get_mut(&name) else {
            return;
        };
        queue.consumers.leave(consumer);
        queue.has_exclusive_consumer &= !queue.consumers.is_empty();
        queue.touch(self.now);
        if queue.auto_delete && queue.consumers.is_empty() {
            self.remove_queue(&name);
        } else {
            self.mark(&name);
        }
    }

    pub(super) fn get(&mut self, key: ChannelKey, mut get: basic::Get) -> Result<(), Exception> {
        get.queue = self.queue_name(key, get.queue)?;
        self.check_gettable(key, &get.queue)?;
        self.bury_expired(&get.queue);
        self.mark(&get.queue);
        let Some(queue) = self.queues.get_mut(&get.queue) else {
            return Ok(());
        };
        queue.touch(self.now);
        let Some(entry) = queue.pop() else {
            let empty = basic::AMQPMethod::GetEmpty(basic::GetEmpty {});
            self.reply(key, false, AMQPClass::Basic(empty));
            return Ok(());
        };
        if !get.no_ack {
            queue.unacked += 1;
        }
        let (id, remaining, message) =
            (queue.id, count(queue.ready()), queue.outgoing(&entry, true));
        self.channel(key)?.deliver_got(get, id, (entry, message), remaining);
        Ok(())
    }

    fn check_gettable(&mut self, key: ChannelKey, name: &Name) -> Result<(), Exception> {
        let queue = self.accessible(key, name)?;
        if queue.arguments.quorum && queue.arguments.single_active {
            return Err(ReplyCode::ResourceLocked.because(format!(
                "cannot obtain access to locked {}. basic.get operations are not supported by \
                 quorum queues with single active consumer",
                self.label("queue", name)
            )));
        }
        Ok(())
    }
}
