//! What a restart takes away.

use super::State;
use crate::message::Name;

impl State {
    /// Forgets what RabbitMQ does not store. All connections have ended before.
    pub(crate) fn lose_transient(&mut self) {
        let transient = self.queues.iter().filter(|(_, queue)| !queue.durable);
        let transient: Vec<Name> = transient.map(|(name, _)| name.clone()).collect();
        for queue in transient {
            self.remove_queue(&queue);
        }
        let transient = self.exchanges.iter().filter(|(_, exchange)| !exchange.durable);
        let transient: Vec<Name> = transient.map(|(name, _)| name.clone()).collect();
        for exchange in transient {
            self.remove_exchange(&exchange);
        }
        let kept: Vec<Name> = self.queues.keys().cloned().collect();
        for name in kept {
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.lose_transient();
                queue.touch(self.now);
            }
            self.mark(&name);
        }
    }
}
