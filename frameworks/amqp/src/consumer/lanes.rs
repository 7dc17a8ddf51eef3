//! Messages that were taken and wait: for a slot, or for the one before of the same key.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

/// What waits. Of each key at most one is begun at a time, in the order in which they were added;
/// keys take turns, and what has no key waits for a slot only.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    /// What may begin.
    ready: VecDeque<(Option<u64>, T)>,
    /// Of each key of which one is ready or begun, what waits behind that.
    behind: HashMap<u64, VecDeque<T>>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { ready: VecDeque::new(), behind: HashMap::new() }
    }
}

impl<T> Lanes<T> {
    pub(super) fn add(&mut self, key: Option<u64>, item: T) {
        if let Some(key) = key {
            if let Some(behind) = self.behind.get_mut(&key) {
                behind.push_back(item);
                return;
            }
            self.behind.insert(key, VecDeque::new());
        }
        self.ready.push_back((key, item));
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Begins the next one, whose key is held until it is [finished](Self::finish).
    pub(super) fn begin(&mut self) -> Option<(Option<u64>, T)> {
        self.ready.pop_front()
    }

    /// Lets the next one of a key be ready, when the one before has ended. It stands behind
    /// whatever is ready, so that no key keeps the others waiting.
    pub(super) fn finish(&mut self, key: u64) {
        let Some(behind) = self.behind.get_mut(&key) else { return };
        match behind.pop_front() {
            Some(item) => self.ready.push_back((Some(key), item)),
            None => drop(self.behind.remove(&key)),
        }
    }

    /// Everything that waits.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &T> {
        self.ready.iter().map(|(_, item)| item).chain(self.behind.values().flatten())
    }

    /// Takes out everything that waits; keys of which one is begun stay held.
    pub(super) fn clear(&mut self) -> Vec<T> {
        let mut cleared = Vec::new();
        for (key, item) in mem::take(&mut self.ready) {
            cleared.push(item);
            cleared.extend(key.and_then(|key| self.behind.remove(&key)).into_iter().flatten());
        }
        cleared.extend(self.behind.values_mut().flat_map(mem::take));
        cleared
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A message: its key, and its place among all.
    type Item = (Option<u64>, usize);

    #[derive(Debug, Clone)]
    enum Step {
        Add(Option<u64>),
        Begin,
        /// Ends one of those that are begun.
        Finish(prop::sample::Index),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => proptest::option::of(0..4_u64).prop_map(Step::Add),
            3 => Just(Step::Begin),
            3 => any::<prop::sample::Index>().prop_map(Step::Finish),
            1 => Just(Step::Clear),
        ];
        proptest::collection::vec(step, 0..120)
    }

    /// What has happened, and what must hold at each step.
    #[derive(Default)]
    struct World {
        lanes: Lanes<Item>,
        added: usize,
        begun: Vec<Item>,
        done: usize,
        cleared: usize,
        last_of_key: BTreeMap<u64, usize>,
    }

    impl World {
        fn take(&mut self, step: &Step) {
            match step {
                Step::Add(key) => {
                    self.lanes.add(*key, (*key, self.added));
                    self.added += 1;
                }
                Step::Begin => self.begin(),
                Step::Finish(index) if !self.begun.is_empty() => {
                    let (key, _) = self.begun.swap_remove(index.index(self.begun.len()));
                    self.done += 1;
                    key.into_iter().for_each(|key| self.lanes.finish(key));
                }
                Step::Finish(_) => {}
                Step::Clear => self.cleared += self.lanes.clear().len(),
            }
            let waiting = self.lanes.waiting().count();
            assert_eq!(waiting + self.begun.len() + self.done + self.cleared, self.added);
        }

        fn begin(&mut self) {
            let Some((key, item)) = self.lanes.begin() else { return };
            assert_eq!(key, item.0);
            if let Some(key) = key {
                assert!(self.begun.iter().all(|(other, _)| *other != Some(key)), "two of {key}");
                let last = self.last_of_key.insert(key, item.1);
                assert!(last.is_none_or(|last| last < item.1), "out of order");
            }
            self.begun.push(item);
        }

        /// Nothing waits for anything but a slot, once all that was begun has ended.
        fn run_dry(&mut self) {
            while self.lanes.has_ready() || !self.begun.is_empty() {
                self.take(&Step::Begin);
                let (key, _) = self.begun.remove(0);
                self.done += 1;
                key.into_iter().for_each(|key| self.lanes.finish(key));
            }
            assert_eq!(self.lanes.waiting().count(), 0, "something is stuck");
            assert!(self.lanes.behind.is_empty(), "a key is held for nothing");
        }
    }

    proptest! {
        #[test]
        fn keys_are_in_order_one_at_a_time_and_nothing_is_stuck_or_lost(steps in steps()) {
            let mut world = World::default();
            steps.iter().for_each(|step| world.take(step));
            world.run_dry();
        }
    }

    #[test]
    fn a_busy_key_does_not_keep_others_waiting() {
        let mut lanes = Lanes::default();
        (0..100).for_each(|number| lanes.add(Some(1), number));
        lanes.add(Some(2), 100);
        assert_eq!(lanes.begin(), Some((Some(1), 0)));
        lanes.finish(1);
        assert_eq!(lanes.begin(), Some((Some(2), 100)), "the other key's turn");
        assert_eq!(lanes.begin(), Some((Some(1), 1)));
        assert!(!lanes.has_ready());
    }

    #[test]
    fn what_is_taken_out_holds_no_key_and_what_is_begun_does() {
        let mut lanes = Lanes::default();
        lanes.add(Some(1), 'a');
        lanes.add(Some(1), 'b');
        assert_eq!(lanes.begin(), Some((Some(1), 'a')));
        lanes.add(Some(2), 'c');
        lanes.add(Some(2), 'd');
        let mut cleared = lanes.clear();
        cleared.sort_unstable();
        assert_eq!(cleared, ['b', 'c', 'd']);
        lanes.add(Some(2), 'e');
        lanes.add(Some(1), 'f');
        assert_eq!(lanes.begin(), Some((Some(2), 'e')));
        assert_eq!(lanes.begin(), None, "the first of key 1 still goes on");
        lanes.finish(1);
        assert_eq!(lanes.begin(), Some((Some(1), 'f')));
    }
}
