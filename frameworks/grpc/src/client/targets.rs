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

    /// All of them, in the order in which a call tries them: by turns, and first those that do not
    /// rest.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = &Target> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let (before, after) = self.all.split_at(first);
        let now = self.now();
        let turn = move || after.iter().chain(before);
        let rests = move |target: &&Target| target.rests.load(Ordering::Relaxed) > now;
        turn().filter(move |target| !rests(target)).chain(turn().filter(rests))
    }

    pub(super) fn failed(&self, target: &Target) {
        let rest = u64::try_from(REST.as_millis()).unwrap_or(u64::MAX);
        target.rests.store(self.now().saturating_add(rest), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
