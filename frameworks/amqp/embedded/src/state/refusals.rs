//! Confirms that a test wants to be negative.

use super::State;
use crate::message::Name;

/// So many messages that are not taken: those for a queue, or any.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) queue: Option<Name>,
    pub(crate) count: usize,
}

impl State {
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.refusals.push(refusal);
    }

    /// Whether the next message to these queues is one that a test does not want to be taken.
    pub(super) fn is_refused(&mut self, queues: &[Name]) -> bool {
        let concerns = |refusal: &&mut Refusal| {
            refusal.queue.as_ref().is_none_or(|queue| queues.contains(queue))
        };
        self.refusals.retain(|refusal| refusal.count > 0);
        let refusal = self.refusals.iter_mut().find(concerns);
        refusal.map(|refusal| refusal.count -= 1).is_some()
    }
}
