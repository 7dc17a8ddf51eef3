//! A channel as the broker's state knows it: its consumers, and what it has not acknowledged.

use std::{collections::BTreeMap, sync::Arc};

use amq_protocol::protocol::{AMQPClass, basic};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    codec::Outgoing,
    exception::{Exception, ReplyCode},
    message::{Entry, Message, Name},
};

/// A channel of one of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChannelKey {
    pub(crate) connection: u64,
    pub(crate) number: u16,
}

/// The way out of a connection. It never waits, so that a client that does not read holds up
/// nobody: what is in it shares its messages with the queues, and prefetch bounds it.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(UnboundedSender<Outgoing>);

impl Outbox {
    pub(crate) fn new() -> (Self, UnboundedReceiver<Outgoing>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }

    pub(crate) fn method(&self, channel: u16, method: AMQPClass) {
        self.push(Outgoing::Method(channel, method));
    }

    fn push(&self, item: Outgoing) {
        // A closed outbox belongs to a connection that has ended and is about to be cleaned up.
        let _ = self.0.send(item);
    }
}

/// A consumer as its channel knows it.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) tag: Name,
    pub(crate) queue: Name,
    pub(crate) no_ack: bool,
    /// The most deliveries it holds unacknowledged; 0 is no limit.
    pub(crate) prefetch: u16,
    unacked: usize,
}

/// A delivery that waits for its acknowledgement.
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) queue: Name,
    pub(crate) queue_id: u64,
    pub(crate) entry: Entry,
    consumer: Option<u64>,
}

/// The receiver of replies through `amq.rabbitmq.reply-to`.
#[derive(Debug, Clone)]
pub(crate) struct ReplyConsumer {
    pub(crate) tag: Name,
    /// The routing key that requests of this channel carry as `reply_to`.
    pub(crate) address: Name,
}

/// An open channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) notify_cancel: bool,
    pub(crate) consumers: BTreeMap<u64, Consumer>,
    pub(crate) reply_consumer: Option<ReplyConsumer>,
    /// What an empty queue name stands for.
    pub(crate) last_queue: Name,
    /// Prefetch of the consumers to come.
    pub(crate) prefetch: u16,
    /// Prefetch of all consumers of the channel together; 0 is no limit.
    pub(crate) shared_prefetch: u16,
    number: u16,
    outbox: Outbox,
    confirmed: Option<u64>,
    last_tag: u64,
    held: usize,
    unacked: BTreeMap<u64, Unacked>,
}

impl Channel {
    pub(crate) fn new(number: u16, outbox: Outbox, notify_cancel: bool) -> Self {
        Self {
            notify_cancel,
            consumers: BTreeMap::new(),
            reply_consumer: None,
            last_queue: Name::default(),
            prefetch: 0,
            shared_prefetch: 0,
            number,
            outbox,
            confirmed: None,
            last_tag: 0,
            held: 0,
            unacked: BTreeMap::new(),
        }
    }

    pub(crate) fn send(&self, method: AMQPClass) {
        self.outbox.method(self.number, method);
    }

    pub(crate) fn send_content(&self, method: basic::AMQPMethod, message: Arc<Message>) {
        let method = AMQPClass::Basic(method);
        self.outbox.push(Outgoing::Content(self.number, method, message));
    }

    pub(crate) fn wants_confirms(&self) -> bool {
        self.confirmed.is_some()
    }

    pub(crate) fn enable_confirms(&mut self) {
        self.confirmed.get_or_insert(0);
    }

    /// Answers the next publish of a channel in confirm mode.
    pub(crate) fn confirm(&mut self, accepted: bool) {
        let Some(confirmed) = &mut self.confirmed else {
            return;
        };
        *confirmed += 1;
        let (delivery_tag, multiple) = (*confirmed, false);
        self.send(AMQPClass::Basic(if accepted {
            basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple })
        } else {
            basic::AMQPMethod::Nack(basic::Nack { delivery_tag, multiple, requeue: false })
        }));
    }

    pub(crate) fn add_consumer(&mut self, id: u64, tag: Name, queue: Name, no_ack: bool) {
        let consumer = Consumer { tag, queue, no_ack, prefetch: self.prefetch, unacked: 0 };
        self.consumers.insert(id, consumer);
    }

    pub(crate) fn consumer_id(&self, tag: &Name) -> Option<u64> {
        self.consumers.iter().find(|(_, consumer)| consumer.tag == *tag).map(|(id, _)| *id)
    }

    /// Whether the consumer takes one delivery more.
    pub(crate) fn has_room(&self, consumer: u64) -> bool {
        self.consumers.get(&consumer).is_some_and(|consumer| {
            consumer.no_ack
                || (below(consumer.unacked, consumer.prefetch)
                    && below(self.held, self.shared_prefetch))
        })
    }

    /// Sends `message`, which is that of `entry`, to a consumer; says whether it will be
    /// acknowledged.
    pub(crate) fn deliver(
        &mut self,
        consumer: u64,
        queue_id: u64,
        entry: Entry,
        message: Arc<Message>,
    ) -> bool {
        let delivery_tag = self.next_tag();
        let Some(receiver) = self.consumers.get_mut(&consumer) else {
            return false;
        };
        let deliver = basic::Deliver {
            consumer_tag: receiver.tag.clone(),
            delivery_tag,
            redelivered: entry.redelivered,
            exchange: entry.message.exchange.clone(),
            routing_key: entry.message.routing_key.clone(),
        };
        let to_ack = !receiver.no_ack;
        if to_ack {
            receiver.unacked += 1;
            self.held += 1;
            let queue = receiver.queue.clone();
            let held = Unacked { queue, queue_id, entry, consumer: Some(consumer) };
            self.unacked.insert(delivery_tag, held);
        }
        self.send_content(basic::AMQPMethod::Deliver(deliver), message);
        to_ack
    }

    /// Answers a get with `message`, which is that of `entry`, with `remaining` messages behind it.
    pub(crate) fn deliver_got(
        &mut self,
        get: basic::Get,
        queue_id: u64,
        (entry, message): (Entry, Arc<Message>),
        remaining: u32,
    ) {
        let delivery_tag = self.next_tag();
        let got = basic::GetOk {
            delivery_tag,
            redelivered: entry.redelivered,
            exchange: entry.message.exchange.clone(),
            routing_key: entry.message.routing_key.clone(),
            message_count: remaining,
        };
        self.send_content(basic::AMQPMethod::GetOk(got), message);
        if !get.no_ack {
            let held = Unacked { queue: get.queue, queue_id, entry, consumer: None };
            self.unacked.insert(delivery_tag, held);
        }
    }

    /// Sends a reply to the channel's reply consumer.
    pub(crate) fn deliver_reply(&mut self, consumer_tag: Name, message: Arc<Message>) {
        let deliver = basic::Deliver {
            consumer_tag,
            delivery_tag: self.next_tag(),
            redelivered: false,
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
        };
        self.send_content(basic::AMQPMethod::Deliver(deliver), message);
    }

    fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// Takes the deliveries that an acknowledgement covers, in order.
    ///
    /// # Errors
    /// 406 for a tag that is not outstanding.
    pub(crate) fn settle(&mut self, tag: u64, multiple: bool) -> Result<Vec<Unacked>, Exception> {
        if multiple && tag == 0 {
            return Ok(self.settle_all());
        }
        if !self.unacked.contains_key(&tag) {
            let text = format!("unknown delivery tag {tag}");
            return Err(ReplyCode::PreconditionFailed.because(text));
        }
        let settled = if multiple {
            let later = self.unacked.split_off(&(tag + 1));
            std::mem::replace(&mut self.unacked, later).into_values().collect()
        } else {
            self.unacked.remove(&tag).into_iter().collect()
        };
        Ok(self.released(settled))
    }

    /// Takes all outstanding deliveries, in order.
    pub(crate) fn settle_all(&mut self) -> Vec<Unacked> {
        let all = std::mem::take(&mut self.unacked).into_values().collect();
        self.released(all)
    }

    fn released(&mut self, settled: Vec<Unacked>) -> Vec<Unacked> {
        for id in settled.iter().filter_map(|unacked| unacked.consumer) {
            self.held -= 1;
            if let Some(consumer) = self.consumers.get_mut(&id) {
                consumer.unacked -= 1;
            }
        }
        settled
    }
}

const fn below(held: usize, limit: u16) -> bool {
    limit == 0 || held < limit as usize
}
