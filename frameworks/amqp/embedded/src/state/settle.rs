//! What follows from a change: deliveries, expiry, dead letters and the next timer.

use std::sync::Arc;

use tokio::time::Instant;

use super::State;
use crate::{
    arguments::Overflow,
    channel::ChannelKey,
    dead_letter::{DeadLetter, Reason},
    message::{Message, Name},
    receivers::ConsumerKey,
};

impl State {
    /// Works until no queue has anything to do.
    pub(crate) fn settle(&mut self) {
        loop {
            if let Some(dead) = self.dead.pop_front() {
                self.route_dead(dead);
            } else if let Some(queue) = self.dirty.pop_front() {
                self.advance(&queue);
            } else {
                return;
            }
        }
    }

    /// Marks the queues whose head, or which themselves, have expired by now.
    pub(crate) fn wake_due(&mut self) {
        while self.timers.first().is_some_and(|(due, _)| *due <= self.now) {
            if let Some((_, name)) = self.timers.pop_first() {
                if let Some(queue) = self.queues.get_mut(&name) {
                    queue.timer = None;
                }
                self.mark(&name);
            }
        }
    }

    /// When [`State::wake_due`] has something to do.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    pub(super) fn mark(&mut self, queue: &Name) {
        if !self.dirty.contains(queue) {
            self.dirty.push_back(queue.clone());
        }
    }

    /// Marks the queues that may deliver again because the channel has room.
    pub(super) fn mark_consumed_by(&mut self, key: ChannelKey) {
        let Some(channel) = self.channels.get(&key) else {
            return;
        };
        for consumer in channel.consumers.values() {
            if !self.dirty.contains(&consumer.queue) {
                self.dirty.push_back(consumer.queue.clone());
            }
        }
    }

    /// Adds a message to a queue; says whether the queue takes it. It goes straight to a consumer
    /// where nothing is before it, even with no time to live.
    pub(super) fn enqueue(&mut self, name: &Name, message: &Arc<Message>) -> bool {
        self.bury_expired(name);
        let now = self.now;
        let Some(queue) = self.queues.get_mut(name) else {
            return false;
        };
        if queue.refuses(message) {
            self.bury_refused(name, message);
            return false;
        }
        let idle = queue.ready() == 0;
        let entry = queue.admit(Arc::clone(message), now);
        queue.put(entry);
        if idle {
            self.deliver_next(name);
        }
        self.mark(name);
        true
    }

    fn advance(&mut self, name: &Name) {
        if self.queues.get(name).is_some_and(|queue| queue.is_abandoned(self.now)) {
            tracing::debug!(queue = %name, "expired: nobody has used it for as long as x-expires");
            self.remove_queue(name);
            return;
        }
        self.bury_excess(name);
        self.bury_expired(name);
        while self.deliver_next(name) {
            self.bury_expired(name);
        }
        self.set_timer(name);
    }

    /// Delivers the head to the consumer whose turn it is; says whether there were both.
    fn deliver_next(&mut self, name: &Name) -> bool {
        let Some(queue) = self.queues.get_mut(name).filter(|queue| queue.ready() > 0) else {
            return false;
        };
        let has_room = |consumer: ConsumerKey| {
            let channel = self.channels.get(&consumer.channel);
            channel.is_some_and(|channel| channel.has_room(consumer.id))
        };
        let Some(receiver) = queue.consumers.next(has_room) else {
            return false;
        };
        if let (Some(channel), Some(entry)) =
            (self.channels.get_mut(&receiver.channel), queue.pop())
        {
            let outgoing = queue.outgoing(&entry, false);
            queue.unacked += usize::from(channel.deliver(receiver.id, queue.id, entry, outgoing));
        }
        true
    }

    pub(super) fn bury_expired(&mut self, name: &Name) {
        while let Some(queue) = self.queues.get_mut(name) {
            let Some(entry) = queue.pop_expired(self.now) else {
                return;
            };
            let id = queue.id;
            self.bury(name, id, &entry.message, Reason::Expired);
        }
    }

    fn bury_excess(&mut self, name: &Name) {
        while let Some(queue) = self.queues.get_mut(name) {
            let Some(entry) = queue.pop_excess() else {
                return;
            };
            let id = queue.id;
            self.bury(name, id, &entry.message, Reason::MaxLength);
        }
    }

    fn bury_refused(&mut self, name: &Name, message: &Message) {
        let queue = self.queues.get(name);
        let queue = queue.filter(|it| it.arguments.overflow == Overflow::RejectPublishDlx);
        if let Some(id) = queue.map(|queue| queue.id) {
            self.bury(name, id, message, Reason::MaxLength);
        }
    }

    /// Hands a message that dies in a queue to the queue's dead letter exchange, if it has one.
    pub(super) fn bury(&mut self, name: &Name, id: u64, message: &Message, reason: Reason) {
        let queue = self.queues.get(name).filter(|queue| queue.id == id);
        if let Some(target) = queue.and_then(|queue| queue.arguments.dead_letter.as_ref()) {
            self.dead.push_back(DeadLetter::new(name, message, target, reason));
        }
    }

    fn route_dead(&mut self, dead: DeadLetter) {
        let letter = &dead.message;
        let mut queues = self.route(&letter.exchange, &letter.routing_key, letter.headers());
        queues.retain(|queue| !dead.circles_to(queue));
        if queues.is_empty() {
            let (exchange, key) = (&letter.exchange, &letter.routing_key);
            tracing::debug!(%exchange, %key, "dead letter dropped: no queue takes it");
        }
        let letter = Arc::new(dead.message);
        for queue in queues {
            self.enqueue(&queue, &letter);
        }
    }

    fn set_timer(&mut self, name: &Name) {
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        let next = queue.next_due();
        if next == queue.timer {
            return;
        }
        if let Some(old) = std::mem::replace(&mut queue.timer, next) {
            self.timers.remove(&(old, name.clone()));
        }
        if let Some(next) = next {
            self.timers.insert((next, name.clone()));
        }
    }
}
