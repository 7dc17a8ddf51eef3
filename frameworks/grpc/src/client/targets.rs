//! The addresses of one client, and whose turn it is.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

/// How long an address that could not be reached is left alone while there are others.
const REST: Duration = Duration::from_secs(1);

/// Every address, each with a connection of its own.
#[derive(Debug)]
pub(super) struct Targets {
    all: Vec<Target>,
    next: AtomicUsize,
    begun: Instant,
}

#[derive(Debug)]
pub(super) struct Target {
    pub(super) channel: Channel,
    /// Until when it rests, in milliseconds from the beginning; 0 where it does not.
    rests: AtomicU64,
}

impl Targets {
    pub(super) fn new(endpoints: &[Endpoint]) -> Self {
        let target = |endpoint: &Endpoint| Target {
            channel: endpoint.connect_lazy(),
            rests: AtomicU64::new(0),
        };
        Self {
            all: endpoints.iter().map(target).collect(),
            next: AtomicUsize::new(0),
            begun: Instant::now(),
        }
    }

    /// Each of them once, in the order in which a call tries them: by turns, and first those that do
    /// not rest now, whatever fails meanwhile.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = &Target> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let resting = self.resting();
        let turn = move || (first..self.all.len()).chain(0..first);
        let awake = turn().filter(move |index| !is_marked(resting, *index));
        let asleep = turn().filter(move |index| is_marked(resting, *index));
        awake.chain(asleep).map(|index| &self.all[index])
    }

    /// Which of them rest now, a bit for each. Those that find no bit are tried in their turn.
    fn resting(&self) -> u64 {
        let now = self.now();
        let marked = self.all.iter().take(u64::BITS as usize).enumerate();
        marked
            .filter(|(_, target)| target.rests.load(Ordering::Relaxed) > now)
            .fold(0, |marks, (index, _)| marks | 1 << index)
    }

    pub(super) fn failed(&self, target: &Target) {
        let rest = u64::try_from(REST.as_millis()).unwrap_or(u64::MAX);
        target.rests.store(self.now().saturating_add(rest), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn is_marked(marks: u64, index: usize) -> bool {
    index < u64::BITS as usize && marks & (1 << index) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(count: usize) -> Targets {
        Targets::new(&vec![Endpoint::from_static("http://127.0.0.1:1"); count])
    }

    /// Which ones a call tries that fails with all of them.
    fn tried(targets: &Targets) -> Vec<usize> {
        let index = |found: &Target| targets.all.iter().position(|t| std::ptr::eq(t, found));
        let try_one = |target| {
            targets.failed(target);
            index(target).unwrap_or(usize::MAX)
        };
        targets.in_turn().map(try_one).collect()
    }

    #[tokio::test]
    async fn a_call_that_fails_with_all_addresses_tries_each_of_them_once() {
        let some = targets(3);
        assert_eq!(tried(&some), [0, 1, 2]);
        assert_eq!(tried(&some), [1, 2, 0], "all rest");
        let many = targets(70);
        assert_eq!(tried(&many).len(), 70);
        let mut again = tried(&many);
        again.sort_unstable();
        assert!(again.into_iter().eq(0..70));
    }

    #[tokio::test]
    async fn an_address_that_rests_is_tried_behind_those_that_do_not() {
        let targets = targets(3);
        targets.failed(&targets.all[1]);
        assert_eq!(tried(&targets), [0, 2, 1]);
    }
}
