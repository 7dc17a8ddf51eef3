//! How long to wait before trying again.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, Instant},
};

const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_secs(5);

/// Who needed no further try for that long has succeeded meanwhile, and begins anew.
const RESET: Duration = Duration::from_secs(30);

/// Delays with full jitter: each is random between nothing and a bound that doubles from 100 ms
/// to 5 s, so that many clients of one broker do not come back at the same moment.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempts: u32,
    last: Option<Instant>,
}

impl Backoff {
    pub(crate) fn next(&mut self) -> Duration {
        if self.last.is_some_and(|last| last.elapsed() > RESET) {
            self.attempts = 0;
        }
        self.last = Some(Instant::now());
        let bound = FIRST.saturating_mul(1 << self.attempts.min(16)).min(LAST);
        self.attempts = self.attempts.saturating_add(1);
        bound.mul_f64(random())
    }
}

/// A number from 0 to 1. The standard library seeds its hashers at random, which is good enough
/// here and needs no further dependency.
fn random() -> f64 {
    let bits = u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_below_a_growing_bound() {
        let mut backoff = Backoff::default();
        for attempt in 0..40 {
            let bound = FIRST.saturating_mul(1 << attempt.min(10)).min(LAST);
            assert!(backoff.next() <= bound);
        }
    }

    #[test]
    fn delays_differ() {
        let delays: std::collections::HashSet<_> =
            (0..50).map(|_| Backoff { attempts: 9, last: None }.next()).collect();
        assert!(delays.len() > 40);
    }
}
