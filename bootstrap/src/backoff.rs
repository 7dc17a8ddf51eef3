//! How long to wait before trying again.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use tokio::time::Instant;

/// Who needed no further try for that long has succeeded meanwhile, and begins anew.
const RESET: Duration = Duration::from_secs(30);

/// Delays with full jitter: each is random between nothing and a bound that doubles from `first`
/// to `last`, so that many who have failed at one moment do not come back at one moment. After
/// half a minute without a further failure it begins anew.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use polyport_bootstrap::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// assert!(backoff.next_delay() <= Duration::from_millis(100));
/// assert!(backoff.next_delay() <= Duration::from_millis(200));
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    attempts: u32,
    latest: Option<Instant>,
}

/// From 100 ms to 5 s.
impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

impl Backoff {
    /// Begins with delays of at most `first`; none is ever longer than `last`.
    #[must_use]
    pub fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, attempts: 0, latest: None }
    }

    /// How long to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        if self
            .latest
            .is_some_and(|latest| latest.elapsed() > RESET.max(self.last.saturating_mul(2)))
        {
            self.attempts = 0;
        }
        self.latest = Some(Instant::now());
        let bound = self.first.saturating_mul(1 << self.attempts.min(16)).min(self.last);
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

    const FIRST: Duration = Duration::from_millis(100);
    const LAST: Duration = Duration::from_secs(5);

    #[test]
    fn delays_stay_below_a_growing_bound() {
        let mut backoff = Backoff::new(FIRST, LAST);
        for attempt in 0..40 {
            let bound = FIRST.saturating_mul(1 << attempt.min(10)).min(LAST);
            assert!(backoff.next_delay() <= bound);
        }
    }

    #[test]
    fn delays_differ() {
        let once = || Backoff { attempts: 9, ..Backoff::new(FIRST, LAST) }.next_delay();
        let delays: std::collections::HashSet<_> = (0..50).map(|_| once()).collect();
        assert!(delays.len() > 40);
    }

    #[test]
    fn no_delay_overflows() {
        let mut backoff = Backoff { attempts: u32::MAX, ..Backoff::new(Duration::MAX, LAST) };
        assert!(backoff.next_delay() <= LAST);
    }
}
