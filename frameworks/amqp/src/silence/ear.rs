use std::time::SystemTime;

use crate::pulse::Look;

/// Tells a consumer that gets nothing although there is something from one that has nothing to do,
/// and from one that has its hands full.
#[derive(Debug, Default)]
pub(super) struct Ear {
    taken: u64,
    /// How many messages waited at the last look.
    waited: Option<u32>,
    /// Since when messages wait of which it gets nothing.
    since: Option<SystemTime>,
    silent: Option<Silent>,
}

/// What the broker says of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// How many messages could be given out.
    pub(super) ready: u32,
    /// How many consumers it has, ours among them.
    pub(super) consumers: u32,
}

/// A consumer that is silent while its queue grows, or does not sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Silent {
    pub(super) depth: u32,
    pub(super) since: SystemTime,
}

impl Ear {
    /// Whether the broker is to be asked: the consumer has got nothing since the last look, and
    /// does nothing. Otherwise it is well.
    pub(super) fn hears_nothing(&mut self, look: Look) -> bool {
        if look.idle && look.taken == self.taken {
            return true;
        }
        *self = Self { taken: look.taken, ..Self::default() };
        false
    }

    /// What it was found to be, until it gets something, or nothing waits any more.
    pub(super) fn silent(&self) -> Option<Silent> {
        self.silent
    }

    /// Judges by what waits in the queue, at two looks in a row: whether it is silent, and is to be
    /// started again, which gets it two further looks. `by_turns` is whether only one of the queue's
    /// consumers gets messages at a time (single active consumer): with others there, it may be
    /// their turn.
    pub(super) fn judge(&mut self, depth: Option<Depth>, by_turns: bool) -> Option<Silent> {
        let counts = |depth: &Depth| depth.ready > 0 && !(by_turns && depth.consumers > 1);
        let Some(Depth { ready, .. }) = depth.filter(counts) else {
            *self = Self { taken: self.taken, ..Self::default() };
            return None;
        };
        let since = *self.since.get_or_insert_with(SystemTime::now);
        let before = self.waited.replace(ready)?;
        if ready < before {
            self.silent = None;
            return None;
        }
        self.waited = None;
        self.silent = Some(Silent { depth: ready, since });
        self.silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Look = Look { taken: 0, idle: true };

    fn waiting(ready: u32) -> Option<Depth> {
        Some(Depth { ready, consumers: 1 })
    }

    #[test]
    fn what_waits_at_two_looks_and_does_not_sink_is_noticed() {
        let mut ear = Ear::default();
        assert!(ear.hears_nothing(IDLE));
        assert_eq!(ear.judge(waiting(3), false), None);
        let first = ear.judge(waiting(3), false).expect("silent");
        assert_eq!(first.depth, 3);
        assert_eq!(ear.judge(waiting(4), false), None, "it was started again just now");
        assert_eq!(ear.silent(), Some(first));
        let second = ear.judge(waiting(5), false).expect("silent still");
        assert_eq!((second.depth, second.since), (5, first.since));
        assert!(!ear.hears_nothing(Look { taken: 1, idle: true }));
        assert_eq!(ear.silent(), None);
    }

    #[test]
    fn one_that_takes_or_handles_something_is_well() {
        let mut ear = Ear::default();
        assert!(ear.hears_nothing(IDLE));
        assert_eq!(ear.judge(waiting(3), false), None);
        assert!(!ear.hears_nothing(Look { taken: 1, idle: false }), "it has its hands full");
        assert!(!ear.hears_nothing(Look { taken: 1, idle: false }));
        assert!(ear.hears_nothing(Look { taken: 1, idle: true }));
        assert_eq!(ear.judge(waiting(3), false), None, "it begins anew");
    }

    #[test]
    fn an_empty_queue_and_one_that_sinks_are_no_reason() {
        let mut ear = Ear::default();
        assert_eq!(ear.judge(waiting(3), false), None);
        assert_eq!(ear.judge(waiting(2), false), None);
        assert_eq!(ear.judge(waiting(0), false), None);
        assert_eq!(ear.judge(waiting(9), false), None);
        assert_eq!(ear.judge(None, false), None, "the queue is gone");
    }

    #[test]
    fn one_that_waits_for_its_turn_is_no_reason() {
        let mut ear = Ear::default();
        let busy = Some(Depth { ready: 9, consumers: 2 });
        assert_eq!(ear.judge(busy, true), None);
        assert_eq!(ear.judge(busy, true), None);
        assert_eq!(ear.judge(waiting(9), true), None);
        assert!(ear.judge(waiting(9), true).is_some(), "it is the only one");
    }
}
