//! Which delivery tags of a channel are settled, and in how few words the broker is told.

use std::collections::BTreeMap;

/// An acknowledgement as the broker gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) tag: u64,
    /// Whether it is for everything up to this tag that is not settled.
    pub(super) multiple: bool,
}

/// The tags of one channel, which the broker counts from 1. All that are settled up to the first
/// one that is not are acknowledged at once; those behind it one by one, so that nobody waits for a
/// slow one. A tag that nobody has spoken of is not settled.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// The broker was told of every tag up to this one.
    told: u64,
    /// Those behind it that it was told of, in ranges without gaps: from the first to the last.
    apart: BTreeMap<u64, u64>,
    /// Acknowledged, and not told.
    fresh: Vec<u64>,
}

impl Tags {
    /// The message is done with, which the broker is to be told.
    pub(super) fn ack(&mut self, tag: u64) {
        self.fresh.push(tag);
    }

    /// The broker was told of this one otherwise: it must not be told before.
    pub(super) fn told(&mut self, tag: u64) {
        if !self.is_told(tag) {
            self.set_apart(tag);
        }
    }

    /// What the broker is to be told now.
    pub(super) fn take(&mut self) -> Vec<Ack> {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_unstable();
        fresh.dedup();
        fresh.retain(|tag| !self.is_told(*tag));
        let mut acks = Vec::new();
        let together = self.advance(&fresh);
        if let Some(tag) = fresh[..together].last() {
            acks.push(Ack { tag: *tag, multiple: together > 1 });
        }
        for tag in &fresh[together..] {
            self.set_apart(*tag);
            acks.push(Ack { tag: *tag, multiple: false });
        }
        fresh.clear();
        self.fresh = fresh;
        acks
    }

    /// Goes on up to the first tag that is not settled; how many of `fresh` lie before it.
    fn advance(&mut self, fresh: &[u64]) -> usize {
        let mut together = 0;
        loop {
            let next = self.told + 1;
            if fresh.get(together) == Some(&next) {
                (self.told, together) = (next, together + 1);
            } else if let Some(last) = self.apart.remove(&next) {
                self.told = last;
            } else {
                return together;
            }
        }
    }

    fn is_told(&self, tag: u64) -> bool {
        let last = self.apart.range(..=tag).next_back().map(|(_, last)| *last);
        tag <= self.told || last.is_some_and(|last| tag <= last)
    }

    fn set_apart(&mut self, tag: u64) {
        let before = self.apart.range(..tag).next_back();
        let first = before.filter(|(_, last)| **last + 1 == tag).map_or(tag, |(first, _)| *first);
        let last = self.apart.remove(&(tag + 1)).unwrap_or(tag);
        self.apart.insert(first, last);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Verdict {
        Ack,
        Nack,
    }

    /// A broker that has delivered so many messages, and what it was told of each of them.
    struct Broker(Vec<Option<Verdict>>);

    impl Broker {
        fn one(&mut self, tag: u64, verdict: Verdict) {
            let index = usize::try_from(tag - 1).expect("few");
            let told = self.0[index].replace(verdict);
            assert_eq!(told, None, "{tag} is settled twice, which closes the channel");
        }

        /// What RabbitMQ does: the tag itself must be open, and all open ones before it go along.
        fn ack(&mut self, Ack { tag, multiple }: Ack) {
            self.one(tag, Verdict::Ack);
            let before = usize::try_from(tag - 1).expect("few");
            for told in self.0[..before].iter_mut().filter(|told| multiple && told.is_none()) {
                *told = Some(Verdict::Ack);
            }
        }
    }

    /// In which order messages are settled, how each of them, and where the broker is told.
    fn cases() -> impl Strategy<Value = Vec<(u64, Verdict, bool)>> {
        (1..60_usize).prop_flat_map(|count| {
            let order = Just((1..=count as u64).collect::<Vec<_>>()).prop_shuffle();
            let verdict = prop_oneof![5 => Just(Verdict::Ack), 1 => Just(Verdict::Nack)];
            let verdicts = proptest::collection::vec(verdict, count);
            let cuts = proptest::collection::vec(any::<bool>(), count);
            // Nearly in the order in which they came, as it mostly is, or in any.
            let near = prop::sample::select(vec![1, 2, 5, count]);
            (order, near, verdicts, cuts).prop_map(|(order, near, verdicts, cuts)| {
                let mut order = order;
                order.sort_by_key(|tag| *tag as usize / near);
                order.into_iter().zip(verdicts).zip(cuts).map(|((t, v), c)| (t, v, c)).collect()
            })
        })
    }

    proptest! {
        #[test]
        fn each_tag_is_settled_once_with_its_own_verdict_and_none_before_it_was(case in cases()) {
            let (mut tags, mut broker) = (Tags::default(), Broker(vec![None; case.len()]));
            let mut settled = vec![None; case.len()];
            for (tag, verdict, cut) in case {
                settled[tag as usize - 1] = Some(verdict);
                match verdict {
                    Verdict::Ack => tags.ack(tag),
                    Verdict::Nack => {
                        broker.one(tag, Verdict::Nack);
                        tags.told(tag);
                    }
                }
                if cut {
                    tags.take().into_iter().for_each(|ack| broker.ack(ack));
                    prop_assert_eq!(&broker.0, &settled);
                }
            }
            tags.take().into_iter().for_each(|ack| broker.ack(ack));
            prop_assert_eq!(&broker.0, &settled);
            prop_assert!(tags.apart.is_empty() && tags.told == settled.len() as u64);
        }
    }

    fn taken(tags: &mut Tags, acked: &[u64]) -> Vec<(u64, bool)> {
        acked.iter().for_each(|tag| tags.ack(*tag));
        tags.take().into_iter().map(|ack| (ack.tag, ack.multiple)).collect()
    }

    #[test]
    fn one_word_is_enough_for_all_before_the_first_that_is_open() {
        let mut tags = Tags::default();
        assert_eq!(taken(&mut tags, &[3, 1, 2]), [(3, true)]);
        assert_eq!(taken(&mut tags, &[6, 4, 7]), [(4, false), (6, false), (7, false)]);
        assert_eq!(taken(&mut tags, &[]), []);
        assert_eq!(taken(&mut tags, &[8, 5]), [(8, true)], "6 and 7 are settled already");
    }

    #[test]
    fn what_was_given_back_is_passed_over_and_not_acknowledged() {
        let mut tags = Tags::default();
        tags.told(2);
        tags.told(4);
        assert_eq!(taken(&mut tags, &[1, 3]), [(3, true)]);
        assert_eq!(taken(&mut tags, &[2, 4, 1]), [], "nobody is told twice");
        assert_eq!(taken(&mut tags, &[5]), [(5, false)]);
    }

    #[test]
    fn a_slow_message_costs_no_memory_for_those_behind_it() {
        let mut tags = Tags::default();
        for tag in 2..10_000 {
            assert_eq!(taken(&mut tags, &[tag]), [(tag, false)]);
        }
        assert_eq!(tags.apart.len(), 1);
        assert_eq!(taken(&mut tags, &[1]), [(1, false)]);
        assert_eq!((tags.apart.len(), tags.told), (0, 9_999));
    }
}
